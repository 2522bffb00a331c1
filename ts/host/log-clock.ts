import type { Clock } from '../base/clock.js';

const STEP_MS_MAX = 60_000;

/**
 * Time as the log tells it: the time of the record before, plus what has passed here since this leader's last record, at
 * most a minute. It never goes back, and no wall clock can make it jump.
 */
export class LogClock {
  readonly #clock: Clock;
  #mark: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#mark = clock.now();
  }

  /** A new leadership: what passed before it is not counted. */
  start(): void {
    this.#mark = this.#clock.now();
  }

  /** Log time, in whole milliseconds, of a record behind one of time `before`. */
  next(before: number): number {
    const passed = Math.max(0, Math.floor(this.#clock.now() - this.#mark));
    this.#mark += passed;
    return before + Math.min(passed, STEP_MS_MAX);
  }
}
