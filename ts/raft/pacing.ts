import type { Progress } from './progress.js';

type Paced = Pick<Progress, 'nudged' | 'inflights' | 'pacedBytes'>;

/** Appends that a follower may lack and still count as one that keeps up. */
const KEEPS_UP_APPENDS = 4;
/** Of a whole append: what is sent at once to a follower far behind. */
const PACED_PART = 1 / 8;

/**
 * How fast a follower that lacks much is sent it. Its disk, its processor and the network are those that serve clients, so
 * it gains on the end of the log by so many bytes per tick, however long that end grows meanwhile; and it is sent them in
 * small appends, the next when the last is acknowledged, so that nothing waits behind a large one.
 *
 * One bucket for each follower, that leaks with every tick. It may be overfull by one append.
 */
export class Pace {
  readonly #bytesPerTick: number;
  readonly #lagMax: number;
  readonly appendBytesMax: number;
  #grown = 0; // the log, since the last tick
  #leak: number; // of the tick that runs

  constructor(bytesPerTick: number, appendBytesMax: number) {
    this.#bytesPerTick = bytesPerTick;
    this.#lagMax = KEEPS_UP_APPENDS * appendBytesMax;
    this.appendBytesMax = Math.ceil(appendBytesMax * PACED_PART);
    this.#leak = bytesPerTick;
  }

  grew(bytes: number): void {
    this.#grown += bytes;
  }

  /** Is a follower that lacks so many bytes behind, rather than a round trip away? */
  isFarBehind(lacks: number): boolean {
    return lacks > this.#lagMax;
  }

  /** May the next append leave? One that finds out whether others got lost may. */
  admits({ nudged, inflights, pacedBytes }: Paced): boolean {
    return nudged || (inflights.count === 0 && pacedBytes < this.#leak);
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
