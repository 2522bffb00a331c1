import { invariant } from './invariant.js';

const SLOTS_MIN = 64;

/**
 * Record sizes of the retained entries, kept as running totals in a ring of numbers: how many bytes lie between two
 * entries is one subtraction, so nobody counts bytes up and down beside the log.
 *
 * Invariant: slot (i & mask) holds the bytes of all entries up to i, for i in [compacted, last].
 */
export class ByteTotals {
  #slots = new Float64Array(SLOTS_MIN);
  #compacted: number;
  #last: number;

  constructor(compacted: number) {
    this.#compacted = compacted;
    this.#last = compacted;
  }

  /** The next entry takes `bytes`. */
  push(bytes: number): void {
    invariant(Number.isSafeInteger(bytes) && bytes > 0, 'an entry has bytes', this.#last + 1, bytes);
    const total = this.#at(this.#last) + bytes;
    if (this.#last - this.#compacted + 2 > this.#slots.length) this.#resize(this.#slots.length * 2);
    this.#last += 1;
    this.#slots[this.#last % this.#slots.length] = total;
  }

  truncateAfter(index: number): void {
    this.#last = index;
  }

  compactTo(index: number): void {
    this.#compacted = index;
    const used = this.#last - index + 1;
    // A ring that grew for an absent follower shrinks again, with room to spare so that it does not swing.
    if (this.#slots.length > SLOTS_MIN && used * 8 <= this.#slots.length) this.#resize(this.#slots.length / 4);
  }

  bytesOf(index: number): number {
    return this.between(index - 1, index);
  }

  /** Bytes of the entries after `from` up to and including `to`. */
  between(from: number, to: number): number {
    return this.#at(to) - this.#at(from);
  }

  /** The last index <= `to` such that the entries after `from` take at most `bytesMax`; at least one entry. */
  fit(from: number, to: number, bytesMax: number): number {
    const limit = this.#at(from) + bytesMax;
    if (this.#at(to) <= limit) return to;
    let low = from + 1;
    let high = to;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#at(middle) <= limit) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The first index behind which all entries together take at most `bytesMax`. */
  startOfLast(bytesMax: number): number {
    const least = this.#at(this.#last) - bytesMax;
    let low = this.#compacted;
    let high = this.#last;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#at(middle) >= least) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #at(index: number): number {
    invariant(index >= this.#compacted && index <= this.#last, 'index is retained', index, this.#compacted, this.#last);
    return this.#slots[index % this.#slots.length] as number;
  }

  #resize(length: number): void {
    const slots = new Float64Array(Math.max(length, SLOTS_MIN));
    for (let i = this.#compacted; i <= this.#last; i++) slots[i % slots.length] = this.#at(i);
    this.#slots = slots;
  }
}
