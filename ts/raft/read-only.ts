import type { ReadState } from './ready.js';

interface Round {
  readonly round: number;
  readonly index: number;
  readonly contexts: readonly number[];
}

const NONE: readonly never[] = Object.freeze([]);

/**
 * Linearizable reads without a log entry (Ongaro 2014, §6.4): a leader that a quorum still follows, after the read was
 * asked, answers from everything committed by then.
 *
 * All reads asked in one turn share a round. A round's number is never used again, not even by a later leadership of this
 * replica, so that no reply to an old question can answer a new one.
 */
export class ReadOnly {
  #round = 0;
  #asked: number[] = [];
  #open: Round[] = []; // oldest first
  #answered: ReadState[] = [];
  #lost: number[] = [];

  /** The newest round. Every message of a leader carries it. */
  get round(): number {
    return this.#round;
  }

  /** Are there reads that no round asks for yet? */
  get asking(): boolean {
    return this.#asked.length > 0;
  }

  /** Is there anything to tell the host? */
  get concluded(): boolean {
    return this.#answered.length > 0 || this.#lost.length > 0;
  }

  ask(context: number): void {
    this.#asked.push(context);
  }

  /** Puts the reads asked so far into a new round, to be answered at `index`. */
  open(index: number): void {
    if (this.#asked.length === 0) return;
    this.#round += 1;
    this.#open.push({ round: this.#round, index, contexts: this.#asked });
    this.#asked = [];
  }

  /** A quorum has confirmed `round`, and with it every earlier one. */
  confirm(round: number): void {
    let count = 0;
    for (const open of this.#open) {
      if (open.round > round) break;
      for (const context of open.contexts) this.#answered.push({ context, index: open.index });
      count += 1;
    }
    if (count > 0) this.#open.splice(0, count);
  }

  /** Leadership is gone, and with it the right to answer. */
  lose(): void {
    for (const open of this.#open) this.#lost.push(...open.contexts);
    this.#lost.push(...this.#asked);
    // What was confirmed and not yet handed out stays answered: it was true when a quorum said so.
    this.#open = [];
    this.#asked = [];
  }

  takeAnswered(): readonly ReadState[] {
    if (this.#answered.length === 0) return NONE;
    const answered = this.#answered;
    this.#answered = [];
    return answered;
  }

  takeLost(): readonly number[] {
    if (this.#lost.length === 0) return NONE;
    const lost = this.#lost;
    this.#lost = [];
    return lost;
  }
}
