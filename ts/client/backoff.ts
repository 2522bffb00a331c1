// How long to wait before the next attempt.
import type { Clock, Random, Timer } from '../base/clock.js';

export interface BackoffOptions {
  /** Before the second attempt, on average three quarters of it. */
  readonly firstMs: number;
  /** No wait is longer. */
  readonly mostMs: number;
}

/** Waits that double, each shortened by up to half at random, so that clients which failed together return apart. */
export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: BackoffOptions;
  #attempts = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, random: Random, options: BackoffOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  get waiting(): boolean {
    return this.#timer !== undefined;
  }

  /** Calls `run` after the next wait. While one is under way nothing is added: failures that come together count as one. */
  wait(run: () => void): void {
    if (this.#timer !== undefined) return;
    const full = Math.min(this.#options.mostMs, this.#options.firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts++;
    this.#timer = this.#clock.after(full * (1 - this.#random() / 2), () => {
      this.#timer = undefined;
      run();
    });
  }

  /** It went well: the next failure starts from the beginning. Ends a wait without running it. */
  reset(): void {
    this.#attempts = 0;
    this.cancel();
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
