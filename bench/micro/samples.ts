// Our own clock beside benchmark.js, which tells a mean and hides the tail.

/** Calls are timed in runs of about so long: the clock costs some 50 ns, and a longer run would hide what is rare. */
const RUN_NANOS = 10_000;
const CALIBRATION_NANOS = 5_000_000;
const SAMPLES_MAX = 1_000_000;

const nanos = (): number => Number(process.hrtime.bigint());

export interface Distribution {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

/** The value that `share` of all values do not exceed (nearest rank). @throws RangeError for an empty list */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('a percentile of nothing');
  return found;
}

export function distributionOf(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { mean, p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

/** @returns nanoseconds of a call, one value for each run of calls */
export function sampleCalls(call: () => unknown, seconds: number): number[] {
  const run = runLength(call);
  const values: number[] = [];
  const end = nanos() + seconds * 1e9;
  for (let before = nanos(); before < end && values.length < SAMPLES_MAX; ) {
    for (let i = 0; i < run; i++) call();
    const after = nanos();
    values.push((after - before) / run);
    before = after;
  }
  return values;
}

/** Calls in a run. */
function runLength(call: () => unknown): number {
  const started = nanos();
  let calls = 0;
  do {
    call();
    calls += 1;
  } while (nanos() - started < CALIBRATION_NANOS);
  return Math.max(1, Math.round((RUN_NANOS * calls) / (nanos() - started)));
}

/** The same for calls that are awaited, each for itself. */
export async function sampleAwaited(call: () => Promise<unknown>, seconds: number): Promise<number[]> {
  const values: number[] = [];
  const end = nanos() + seconds * 1e9;
  for (let before = nanos(); before < end && values.length < SAMPLES_MAX; ) {
    await call();
    const after = nanos();
    values.push(after - before);
    before = after;
  }
  return values;
}
