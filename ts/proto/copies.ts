// Byte ranges of an answer as memory that outlives it.
import { copyOf } from './table.js';

/** A range up to here may share its memory with its neighbours; a longer one never does. */
const SHARED_BYTES_MAX = 1024;
const CHUNK_BYTES = 4 * 1024;

/**
 * Copies ranges out of `bytes`, best in ascending order.
 *
 * An ArrayBuffer costs far more than the few bytes in it, so small ranges that lie together are views of one copy. That bounds
 * what a range keeps alive: `CHUNK_BYTES`, or exactly itself when it is longer than `SHARED_BYTES_MAX` or the last one.
 */
export class Copies {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  /** What the chunk holds of `bytes`: [from, to). */
  #from = 0;
  #to = 0;
  #chunk: ArrayBuffer | undefined;

  /** @param end - of the last range */
  constructor(bytes: Uint8Array, end: number) {
    this.#bytes = bytes;
    this.#end = end;
  }

  take(start: number, length: number): Uint8Array<ArrayBuffer> {
    if (length === 0 || length > SHARED_BYTES_MAX) return copyOf(this.#bytes, start, length);
    if (this.#chunk === undefined || start < this.#from || start + length > this.#to) {
      this.#from = start;
      this.#to = Math.min(start + CHUNK_BYTES, this.#end);
      this.#chunk = copyOf(this.#bytes, start, this.#to - start).buffer;
    }
    return new Uint8Array(this.#chunk, start - this.#from, length);
  }
}
