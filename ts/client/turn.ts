// The event-loop turn of a client: what is called in it leaves together at its end.
import type { Clock } from '../base/clock.js';

export class Turn {
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #now = Number.NaN;
  #scheduled = false;

  /** @param onEnd - called once at the end of every turn that was touched */
  constructor(clock: Clock, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  /** The time, read once a turn that was touched. */
  now(): number {
    if (!this.#scheduled) return this.#clock.now();
    if (Number.isNaN(this.#now)) this.#now = this.#clock.now();
    return this.#now;
  }

  /** Something is to be done at the end of this turn. */
  touch(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#now = Number.NaN;
    this.#clock.endOfTurn(() => {
      this.#scheduled = false;
      this.#onEnd();
    });
  }
}
