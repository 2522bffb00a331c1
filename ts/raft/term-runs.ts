import { invariant } from './invariant.js';

/**
 * The term of every retained entry, as runs of equal terms: terms never fall along a log, so a few numbers describe
 * millions of entries. The first run begins at the compacted index, whose term is still known.
 */
export class TermRuns {
  readonly #firsts: number[];
  readonly #terms: number[];

  constructor(index: number, term: number) {
    this.#firsts = [index];
    this.#terms = [term];
  }

  get lastTerm(): number {
    return this.#terms[this.#terms.length - 1] as number;
  }

  /** The entry at `index`, the next of the log, is of `term`. */
  append(index: number, term: number): void {
    const last = this.lastTerm;
    invariant(term >= last, 'terms never fall along the log: index, term, last term', index, term, last);
    if (term === last) return;
    this.#firsts.push(index);
    this.#terms.push(term);
  }

  /** Forgets what lies after `index`, which is not before the first run's start. */
  truncateAfter(index: number): void {
    while ((this.#firsts[this.#firsts.length - 1] as number) > index) {
      this.#firsts.pop();
      this.#terms.pop();
    }
    invariant(this.#firsts.length > 0, 'a log is not truncated below its compacted index', index);
  }

  /** Forgets what lies before `index`; its own term stays known. */
  compactTo(index: number): void {
    const run = this.#runOf(index);
    this.#firsts.splice(0, run);
    this.#terms.splice(0, run);
    this.#firsts[0] = index;
  }

  /** Term of the entry at `index`. The caller knows that it is retained, or is the compacted one. */
  at(index: number): number {
    return this.#terms[this.#runOf(index)] as number;
  }

  /** The last index <= `index` whose term is <= `term`; one before the compacted index when there is none. */
  lastAtMost(index: number, term: number): number {
    let end = index;
    for (let run = this.#runOf(index); run >= 0; run--) {
      if ((this.#terms[run] as number) <= term) return end;
      end = (this.#firsts[run] as number) - 1;
    }
    return end;
  }

  #runOf(index: number): number {
    let high = this.#firsts.length - 1;
    if (index >= (this.#firsts[high] as number)) return high;
    let low = 0;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#firsts[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    invariant(index >= (this.#firsts[0] as number), 'index >= compacted index', index, this.#firsts[0]);
    return low;
  }
}
