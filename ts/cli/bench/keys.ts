// Keys, values and chance of a load: the same seed gives the same sequence.
import type { BenchPlan, Distribution } from './plan.js';

/** mulberry32: 32 bits of state, good enough to spread keys, the same everywhere. @returns numbers in [0, 1) */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ZERO = 0x30;
const ZIPF_THETA = 0.99;

/**
 * Zipf-distributed ranks in [0, count): rank 0 is the most frequent. YCSB's generator.
 * Source: Gray et al., Quickly Generating Billion-Record Synthetic Databases, SIGMOD 1994.
 */
function zipf(count: number, random: () => number): () => number {
  let zeta = 0;
  for (let rank = 1; rank <= count; rank++) zeta += 1 / rank ** ZIPF_THETA;
  const zetaOfTwo = 1 + 0.5 ** ZIPF_THETA;
  const alpha = 1 / (1 - ZIPF_THETA);
  const eta = (1 - (2 / count) ** (1 - ZIPF_THETA)) / (1 - zetaOfTwo / zeta);
  return () => {
    const u = random();
    if (u * zeta < 1) return 0;
    if (u * zeta < zetaOfTwo) return Math.min(1, count - 1);
    return Math.min(count - 1, Math.floor(count * (eta * u - eta + 1) ** alpha));
  };
}

/** Indexes of keys, in [0, count). */
export function keyIndexes(distribution: Distribution, count: number, random: () => number): () => number {
  if (distribution === 'zipf') return zipf(count, random);
  if (distribution === 'uniform') return () => Math.floor(random() * count);
  let next = 0;
  return () => {
    const index = next;
    next = (next + 1) % count;
    return index;
  };
}

/** A key of exactly `bytes` bytes: digits, so that neighbours in number are neighbours in order. */
export function keyAt(index: number, bytes: number): string {
  return String(index).padStart(bytes, '0');
}

/** The same key as bytes, in one buffer: whoever takes a key copies it before the call returns. */
export class KeyBytes {
  readonly #bytes: Uint8Array;
  /** Digits written last; what is before them is zeros. */
  #digits = 0;

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes).fill(ZERO);
  }

  /** Valid until the next call. */
  of(index: number): Uint8Array {
    const bytes = this.#bytes;
    let at = bytes.length;
    for (let rest = index; rest > 0; rest = Math.floor(rest / 10)) bytes[--at] = ZERO + (rest % 10);
    const digits = bytes.length - at;
    if (digits < this.#digits) bytes.fill(ZERO, bytes.length - this.#digits, at);
    this.#digits = digits;
    return bytes;
  }
}

/** Bytes that do not compress, made once: what is measured is the store, not the making of values. */
export function someValue(plan: BenchPlan, random: () => number): Uint8Array {
  return Uint8Array.from({ length: plan.valueBytes }, () => Math.floor(random() * 256));
}
