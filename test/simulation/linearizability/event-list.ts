// The calls and returns that a search has not passed yet.
import type { Task } from './tasks.js';

/** Calls and returns in the order of events, as a doubly linked list. Task i has its call at 2i + 1, its return at 2i + 2. */
export class EventList {
  readonly #after: Int32Array;
  readonly #before: Int32Array;
  readonly #returns: Uint8Array;

  /** Events at the same place: calls first, so that the operations overlap. */
  constructor(tasks: readonly Task[]) {
    const events: { readonly node: number; readonly place: number; readonly isReturn: boolean }[] = [];
    this.#returns = new Uint8Array(tasks.length);
    for (const [at, { op, until }] of tasks.entries()) {
      events.push({ node: 2 * at + 1, place: op.call, isReturn: false });
      if (until === Number.POSITIVE_INFINITY) continue;
      events.push({ node: 2 * at + 2, place: until, isReturn: true });
      this.#returns[at] = 1;
    }
    events.sort((a, b) => a.place - b.place || Number(a.isReturn) - Number(b.isReturn));
    this.#after = new Int32Array(2 * tasks.length + 3).fill(-1);
    this.#before = new Int32Array(2 * tasks.length + 3).fill(-1);
    let last = 0;
    for (const { node } of events) {
      this.#link(last, node);
      last = node;
    }
  }

  /** The first call that is left, -1 if a return or nothing comes first. */
  firstCall(): number {
    return this.#callAt(this.#after[0] ?? -1);
  }

  /** The call behind that of task `at`, in the list or just taken out; -1 if a return or the end is there. */
  callAfter(at: number): number {
    return this.#callAt(this.#after[2 * at + 1] ?? -1);
  }

  /** Tasks whose calls come before the first return. */
  window(): number[] {
    const found: number[] = [];
    for (let at = this.firstCall(); at >= 0; at = this.callAfter(at)) found.push(at);
    return found;
  }

  /** The task whose return is the first that is left, -1: none. */
  firstReturn(): number {
    let node = this.#after[0] ?? -1;
    while (node > 0 && node % 2 === 1) node = this.#after[node] ?? -1;
    return node > 0 ? (node - 2) / 2 : -1;
  }

  /** The return first, so that the call still points at what is left. */
  takeOut(at: number): void {
    if (this.#returns[at] === 1) this.#unlink(2 * at + 2);
    this.#unlink(2 * at + 1);
  }

  /** In reverse order of `takeOut`: the nodes still know their neighbours of then. */
  putBack(at: number): void {
    this.#relink(2 * at + 1);
    if (this.#returns[at] === 1) this.#relink(2 * at + 2);
  }

  #callAt(node: number): number {
    return node > 0 && node % 2 === 1 ? (node - 1) / 2 : -1;
  }

  #link(a: number, b: number): void {
    this.#after[a] = b;
    this.#before[b] = a;
  }

  #unlink(node: number): void {
    const [before, after] = [this.#before[node] ?? 0, this.#after[node] ?? -1];
    this.#after[before] = after;
    if (after > 0) this.#before[after] = before;
  }

  #relink(node: number): void {
    const [before, after] = [this.#before[node] ?? 0, this.#after[node] ?? -1];
    this.#after[before] = node;
    if (after > 0) this.#before[after] = node;
  }
}
