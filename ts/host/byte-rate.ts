/** How many bytes may leave now, so that over any longer while no more than a rate of them do. */
export class ByteRate {
  readonly #perMs: number;
  readonly #burst: number;
  #allowance: number;
  #at: number;

  /** @param burstMs - what was not used is kept for so long */
  constructor(bytesPerSecond: number, burstMs: number, now: number) {
    this.#perMs = bytesPerSecond / 1000;
    this.#burst = this.#perMs * burstMs;
    this.#allowance = this.#burst;
    this.#at = now;
  }

  /** May something leave? A piece may pass the allowance; those behind it wait the longer for it. */
  allows(now: number): boolean {
    this.#allowance = Math.min(this.#burst, this.#allowance + this.#perMs * (now - this.#at));
    this.#at = now;
    return this.#allowance > 0;
  }

  spend(bytes: number): void {
    this.#allowance -= bytes;
  }
}
