// Latencies counted in buckets: recording costs a few nanoseconds, the same for every store.

/** Buckets of one power of two; so a bucket is at most 1/128 of its value wide. */
const STEPS = 128;
const STEP_BITS = 7;
const NANOS_MAX = 2 ** 32 - 1;

function bucketOf(nanos: number): number {
  const shift = Math.max(0, 31 - STEP_BITS - Math.clz32(nanos));
  return shift * STEPS + (nanos >>> shift);
}

/** The middle of a bucket. */
function nanosOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / STEPS) - 1);
  return (bucket - shift * STEPS + (shift === 0 ? 0 : 0.5)) * 2 ** shift;
}

export class Latencies {
  readonly #counts = new Uint32Array(bucketOf(NANOS_MAX) + 1);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Above four seconds all are alike. */
  record(ms: number): void {
    const nanos = Math.min(NANOS_MAX, Math.max(0, Math.round(ms * 1e6)));
    const bucket = bucketOf(nanos);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /**
   * @param share - 0.5: the median
   * @returns milliseconds; NaN when nothing was recorded
   */
  percentileMs(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#total * share));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return nanosOf(bucket) / 1e6;
    }
    return Number.NaN;
  }
}
