// Latencies, counted in buckets whose width is at most a thousandth of what they hold.

/** Buckets of each power of two. */
const STEPS = 1024;
const STEP_BITS = 10;
const VALUE_BITS_MAX = 42;
const VALUE_MAX = 2 ** VALUE_BITS_MAX - 1;
const TWO_32 = 2 ** 32;

/**
 * Values below `2 * STEPS` have a bucket each; above, each power of two has `STEPS`. Recording is an increment, and what a
 * percentile tells is the highest value of its bucket, never above the highest that was recorded.
 */
export class Histogram {
  readonly #counts = new Float64Array((VALUE_BITS_MAX - STEP_BITS + 1) * STEPS);
  #count = 0;
  #sum = 0;
  #min = VALUE_MAX;
  #max = 0;

  /** @param value - taken as the nearest whole number that is not negative and below 2^42 */
  record(value: number): void {
    const whole = Math.min(VALUE_MAX, Math.max(0, Math.round(value)));
    const bucket = bucketOf(whole);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sum += whole;
    if (whole < this.#min) this.#min = whole;
    if (whole > this.#max) this.#max = whole;
  }

  get count(): number {
    return this.#count;
  }

  /** Of nothing: the greatest value there is. */
  get min(): number {
    return this.#min;
  }

  get max(): number {
    return this.#max;
  }

  get mean(): number {
    return this.#sum / this.#count;
  }

  /** @param percent - above 0, up to 100. @returns 0 when nothing was recorded */
  percentile(percent: number): number {
    let left = Math.ceil((this.#count * percent) / 100);
    if (left === 0) return 0;
    let bucket = 0;
    while (left > 0) left -= this.#counts[bucket++] ?? left;
    return Math.min(this.#max, highestOf(bucket - 1));
  }
}

function bucketOf(value: number): number {
  const bits = value < TWO_32 ? 32 - Math.clz32(value) : 64 - Math.clz32(value / TWO_32);
  const shift = Math.max(0, bits - STEP_BITS - 1);
  return shift * STEPS + (value < TWO_32 ? value >>> shift : Math.floor(value / 2 ** shift));
}

function highestOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / STEPS) - 1);
  return (bucket - shift * STEPS + 1) * 2 ** shift - 1;
}
