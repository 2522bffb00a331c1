import type { Random } from '../base/clock.js';

const FIRST_MS = 50;
const MAX_MS = 3_000;

/** How long to wait before the next attempt: twice as long each time, half of it by chance, so that peers do not meet in step. */
export class Backoff {
  readonly #random: Random;
  #ms = FIRST_MS;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): number {
    const ms = this.#ms;
    this.#ms = Math.min(2 * ms, MAX_MS);
    return ms / 2 + (ms / 2) * this.#random();
  }

  /** It worked. */
  reset(): void {
    this.#ms = FIRST_MS;
  }

  /** It will not work before somebody changes something. */
  discourage(): void {
    this.#ms = MAX_MS;
  }
}
