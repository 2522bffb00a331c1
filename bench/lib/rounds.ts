// The systems of a row, measured in turns, so that a machine that slows down or speeds up does it to all of them.

/** Numbers by name; undefined: this system has no such figure. */
export type Figures<F> = { readonly [N in keyof F]: number | undefined };

export interface System<F> {
  readonly name: string;
  /** One measurement, warm-up included. */
  measure(): Promise<F>;
}

/** @throws RangeError for an empty list */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new RangeError('the median of nothing');
  return (lower + upper) / 2;
}

/** The median of each figure by itself. */
export function medianOfEach<F extends Figures<F>>(measured: readonly F[]): F {
  const names = Object.keys(measured[0] ?? {}) as (keyof F)[];
  const entries = names.map((name) => {
    const values = measured.map((each) => each[name]).filter((value) => value !== undefined);
    return [name, values.length === 0 ? undefined : median(values)] as const;
  });
  return Object.fromEntries(entries) as F;
}

export interface Measured<F> {
  readonly median: F;
  readonly rounds: readonly F[];
}

/**
 * Measures every system once in each round; every round begins with another one.
 *
 * @param onMeasured - called after each measurement, for who watches
 * @returns by the name of the system
 */
export async function measureInTurns<F extends Figures<F>>(
  systems: readonly System<F>[],
  rounds: number,
  onMeasured: (system: string, round: number, figures: F) => void = () => undefined,
): Promise<Record<string, Measured<F>>> {
  const measured = new Map<string, F[]>(systems.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < systems.length; turn++) {
      const system = systems[(round + turn) % systems.length];
      if (system === undefined) continue;
      const figures = await system.measure();
      measured.get(system.name)?.push(figures);
      onMeasured(system.name, round + 1, figures);
    }
  }
  const results = [...measured].map(([name, list]) => [name, { median: medianOfEach(list), rounds: list }] as const);
  return Object.fromEntries(results);
}
