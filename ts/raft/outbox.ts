import type { Message } from './messages.js';

const NONE: readonly never[] = Object.freeze([]);

/**
 * Messages formed between two Readys.
 *
 * `promises` are held until the hard state of the term in which they were made is durable; a promise of a term that was
 * left before it was handed out is dropped, and the network is free to drop messages anyway.
 */
export class Outbox {
  #now: Message[] = [];
  #promises: Message[] = [];

  get empty(): boolean {
    return this.#now.length === 0 && this.#promises.length === 0;
  }

  /** Asserts nothing about terms and votes: true whatever becomes of our disk. */
  post(m: Message): void {
    this.#now.push(m);
  }

  promise(m: Message): void {
    this.#promises.push(m);
  }

  dropPromises(): void {
    if (this.#promises.length > 0) this.#promises = [];
  }

  /** Splits what is there by when it may leave. */
  take(hardStateDurable: boolean): { now: readonly Message[]; whenDurable: readonly Message[] } {
    if (hardStateDurable) for (const m of this.#promises) this.#now.push(m);
    const now = this.#now.length === 0 ? NONE : this.#now;
    const whenDurable = hardStateDurable || this.#promises.length === 0 ? NONE : this.#promises;
    if (this.#now.length > 0) this.#now = [];
    if (this.#promises.length > 0) this.#promises = [];
    return { now, whenDurable };
  }
}
