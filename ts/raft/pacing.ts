/** Appends that a follower may lack and still count as one that keeps up. */
const KEEPS_UP_APPENDS = 4;

/**
 * How fast a follower that lacks much is sent it. Its disk, its processor and the network are those that serve clients, so
 * it gains on the end of the log by so many bytes per tick, however long that end grows meanwhile.
 *
 * One bucket for each follower, that leaks with every tick. It may be overfull by one append.
 */
export class Pace {
  readonly #bytesPerTick: number;
  readonly #lagMax: number;
  #grown = 0; // the log, since the last tick
  #leak: number; // of the tick that runs

  constructor(bytesPerTick: number, appendBytesMax: number) {
    this.#bytesPerTick = bytesPerTick;
    this.#lagMax = KEEPS_UP_APPENDS * appendBytesMax;
    this.#leak = bytesPerTick;
  }

  grew(bytes: number): void {
    this.#grown += bytes;
  }

  /** Is a follower that lacks so many bytes behind, rather than a round trip away? */
  isFarBehind(lacks: number): boolean {
    return lacks > this.#lagMax;
  }

  /** May more leave for a follower in whose bucket are so many bytes? */
  admits(held: number): boolean {
    return held < this.#leak;
  }

  /** A tick has passed. */
  tick(): void {
    this.#leak = this.#bytesPerTick + this.#grown;
    this.#grown = 0;
  }

  /** What is left in a bucket after a tick. */
  leaked(held: number): number {
    return Math.max(0, held - this.#leak);
  }
}
