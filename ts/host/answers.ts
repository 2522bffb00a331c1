import type { Storage } from '../storage/index.js';
import type { Tags } from './tags.js';

const INITIAL_BYTES = 256 * 1024;
const KEPT_BYTES_MAX = 8 * 1024 * 1024;
const PREFIX_BYTES = 16; // u32 length, u32 tag, u32 status, u32 zero

/** Takes the answers of the storage's read threads, and gives each to who asked. */
export class Answers {
  readonly #storage: Storage;
  readonly #tags: Tags;
  #slab = new Uint8Array(INITIAL_BYTES);

  constructor(storage: Storage, tags: Tags) {
    this.#storage = storage;
    this.#tags = tags;
  }

  drain(): void {
    for (;;) {
      const written = this.#storage.answers(this.#slab, 0);
      if (written === 0) break;
      if (written < 0) this.#slab = new Uint8Array(Math.max(-written, 2 * this.#slab.length));
      else this.#route(written);
    }
    if (this.#slab.length > KEPT_BYTES_MAX) this.#slab = new Uint8Array(INITIAL_BYTES);
  }

  #route(written: number): void {
    const slab = this.#slab;
    const view = new DataView(slab.buffer);
    let at = 0;
    while (at < written) {
      const length = view.getUint32(at, true);
      const tag = view.getUint32(at + 4, true);
      const status = view.getUint32(at + 8, true);
      const start = at + PREFIX_BYTES;
      this.#tags.release(tag)?.(status, slab, start, start + length);
      at = start + Math.ceil(length / 8) * 8;
    }
  }
}
