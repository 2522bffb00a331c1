// Growing memory that is filled call by call during a turn and copied out once at its end.
import type { Bytes } from '../base/bytes.js';

/** Bytes gathered one after the other. Kept and filled again: nothing is allocated per call once it has grown. */
export class ByteScratch {
  #buffer: Buffer;
  length = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** Appends `value` and returns how many bytes that took. Well-formed text only (`demandBytes`). */
  append(value: Bytes): number {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    const most = typeof value === 'string' ? value.length * 3 : value.length;
    if (this.length + most > this.#buffer.length) this.#grow(this.length + most);
    let written = most;
    if (typeof value === 'string') written = this.#buffer.write(value, this.length, 'utf8');
    else this.#buffer.set(value, this.length);
    this.length += written;
    return written;
  }

  /** Copies `[start, end)` to `target[at…]` and returns the place behind it. */
  copyTo(target: Uint8Array, at: number, start: number, end: number): number {
    if (end - start < 128) {
      const source = this.#buffer;
      for (let from = start, to = at; from < end; from++, to++) target[to] = source[from] ?? 0;
    } else {
      this.#buffer.copy(target, at, start, end);
    }
    return at + end - start;
  }

  #grow(least: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(least, this.#buffer.length * 2));
    this.#buffer.copy(bigger, 0, 0, this.length);
    this.#buffer = bigger;
  }
}

/** Words of 32 bits, little-endian once copied out, gathered like the bytes above. */
export class WordScratch {
  #words: Uint32Array;
  length = 0;

  constructor(words: number) {
    this.#words = new Uint32Array(words);
  }

  /** Room for `count` more. @returns the words, valid until the next call; write from `length` on and raise it */
  room(count: number): Uint32Array {
    if (this.length + count > this.#words.length) {
      const bigger = new Uint32Array(Math.max(this.length + count, this.#words.length * 2));
      bigger.set(this.#words.subarray(0, this.length));
      this.#words = bigger;
    }
    return this.#words;
  }

  /** Copies words `[start, end)` as bytes to `target[at…]` and returns the place behind them. */
  copyTo(target: Uint8Array, at: number, start: number, end: number): number {
    const bytes = (end - start) * 4;
    target.set(new Uint8Array(this.#words.buffer, start * 4, bytes), at);
    return at + bytes;
  }
}

/** Typed arrays have the machine's byte order, and the wire is little-endian: eraft runs on no other machine. */
export function assertLittleEndian(): void {
  if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) throw new Error('eraft needs a little-endian machine');
}
