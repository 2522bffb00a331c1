/** Ticks since a leader was heard of, or a vote was given, and how many of them are too many. */
export class ElectionTimer {
  readonly #ticks: number;
  readonly #jitter: () => number;
  #elapsed = 0;
  #timeout = 0;

  constructor(ticks: number, jitter: () => number) {
    this.#ticks = ticks;
    this.#jitter = jitter;
    this.restart();
  }

  /** Time to campaign? The jitter keeps replicas from doing so all at once. */
  get expired(): boolean {
    return this.#elapsed >= this.#timeout;
  }

  /** Too short a time for any replica to have lost patience with its leader. */
  get fresh(): boolean {
    return this.#elapsed < this.#ticks;
  }

  tick(): void {
    this.#elapsed += 1;
  }

  /** A leader was heard of. */
  rewind(): void {
    this.#elapsed = 0;
  }

  /** A new attempt, with a new timeout. */
  restart(): void {
    this.#elapsed = 0;
    this.#timeout = this.#ticks + this.#jitter();
  }
}
