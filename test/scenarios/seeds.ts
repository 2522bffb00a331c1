/** The seeds of a random scenario, or the one that is to be replayed. */
export function seeds(...fixed: readonly number[]): readonly number[] {
  const { ERAFT_SEED: only } = process.env;
  return only === undefined ? fixed : [Number(only)];
}

/** What a title says of its seed, so that a failure tells how to see it again. */
export function seeded(seed: number): string {
  return `ERAFT_SEED=${seed}`;
}
