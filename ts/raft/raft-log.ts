import { ByteTotals } from './byte-totals.js';
import type { InitialState } from './config.js';
import { invariant } from './invariant.js';
import type { Entry } from './messages.js';
import { TermRuns } from './term-runs.js';

const NO_ENTRIES: readonly Entry[] = Object.freeze([]);

/**
 * The log of one replica as (index, term, bytes), and how far each thing has come that happens to it.
 *
 *     compacted <= applied <= min(commit, durable)     durable <= handed <= last     commit <= last
 *
 * - compacted: the entries up to here are gone; the term of this one is still known
 * - applied: the state machine has it
 * - commit: will never change, on this replica or on any other
 * - durable: on this disk, as this log holds it
 * - handed: given to the host in a Ready, to be written
 */
export class RaftLog {
  #terms: TermRuns;
  #totals: ByteTotals;
  #compacted: number;
  #applied: number;
  #commit: number;
  #durable: number;
  #handed: number;
  #last: number;
  #epoch = 0;

  /** The log as the disk holds it: all of it durable, and committed as far as anybody noted. */
  constructor(initial: InitialState) {
    const { compactedIndex, compactedTerm, hardState, appliedIndex, sizes, termRuns } = initial;
    this.#terms = new TermRuns(compactedIndex, compactedTerm);
    this.#totals = new ByteTotals(compactedIndex);
    this.#compacted = compactedIndex;
    this.#last = compactedIndex;
    let run = 0;
    for (let i = 0; i < sizes.length; i++) {
      while ((termRuns[run + 1]?.[0] ?? Number.POSITIVE_INFINITY) <= this.#last + 1) run += 1;
      const [first, term] = termRuns[run] ?? [Number.POSITIVE_INFINITY, 0];
      invariant(first <= this.#last + 1, 'every entry has a term: index, first of its run', this.#last + 1, first);
      this.#push(term, sizes[i] as number);
    }
    this.#handed = this.#last;
    this.#durable = this.#last;
    this.#commit = Math.max(hardState.commit, appliedIndex);
    this.#applied = appliedIndex;
    invariant(compactedIndex <= appliedIndex, 'compacted <= applied', compactedIndex, appliedIndex);
    invariant(
      this.#commit <= this.#last,
      'what was committed here is in the log: commit, last',
      this.#commit,
      this.#last,
    );
    invariant(this.lastTerm <= hardState.term, 'no entry is of a term never seen', this.lastTerm, hardState.term);
  }

  get compacted(): number {
    return this.#compacted;
  }

  get commit(): number {
    return this.#commit;
  }

  get durable(): number {
    return this.#durable;
  }

  get handed(): number {
    return this.#handed;
  }

  get last(): number {
    return this.#last;
  }

  get lastTerm(): number {
    return this.#terms.lastTerm;
  }

  /** Counts truncations and restorations: between two moments of one epoch, entries were added and none was replaced. */
  get epoch(): number {
    return this.#epoch;
  }

  // SAFETY: the state machine gets committed entries only once they are on our own disk (rule 4).
  // Claim:   after any crash, the store has applied nothing that the log beside it does not hold.
  // Why:     commit may run ahead of our disk, as others can be the majority; a store that flushed such an entry would,
  //          after a crash, be ahead of its own log, and could not tell whether that log is of the same history.
  // Rests:   #durable falls with every truncation and rises by reports of the current epoch alone (markDurable).
  // Checked: transcripts/leader-disk-slow.txt, transcripts/follower-disk-slow.txt; random.test.ts after every step.
  get applicable(): number {
    return Math.min(this.#commit, this.#durable);
  }

  get uncommittedBytes(): number {
    return this.#totals.between(this.#commit, this.#last);
  }

  /** Is the term of `index` known here? */
  knows(index: number): boolean {
    return index >= this.#compacted && index <= this.#last;
  }

  /** Term of an entry that is known. */
  termAt(index: number): number {
    return this.#terms.at(index);
  }

  /** Does this log hold the entry (`index`, `term`)? What is compacted is not held: its term could not be compared. */
  holds(index: number, term: number): boolean {
    return this.knows(index) && this.#terms.at(index) === term;
  }

  /** Is a log that ends with (`index`, `term`) at least as complete as this one? (§5.4.1) */
  isCoveredBy(index: number, term: number): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.#last);
  }

  /** The last known index <= `index` with a term <= `term`; less than `compacted` when none is known. */
  lastAtMost(index: number, term: number): number {
    if (index < this.#compacted) return this.#compacted - 1;
    return this.#terms.lastAtMost(Math.min(index, this.#last), term);
  }

  /** Bytes of the entries after `from` up to `to`, of which those that are gone count nothing. */
  bytesBetween(from: number, to: number): number {
    return this.#totals.between(Math.max(from, this.#compacted), to);
  }

  /** The first index behind which the log takes at most `bytes`. */
  startOfLast(bytes: number): number {
    return this.#totals.startOfLast(bytes);
  }

  /** The last index of an append that starts after `from` and carries at most `bytesMax`, or one larger entry. */
  fit(from: number, bytesMax: number): number {
    return from >= this.#last ? from : this.#totals.fit(from, this.#last, bytesMax);
  }

  /** Leader: the next entry, of its own term. Returns its index. */
  append(term: number, bytes: number): number {
    this.#push(term, bytes);
    return this.#last;
  }

  /**
   * Follower: makes the log agree with what a leader sent after an entry that matched.
   *
   * Only a conflict shortens the log, so an old or duplicated message changes nothing (§5.3).
   *
   * @param entries - consecutive
   * @param proven - up to here the log is known to match this leader: a conflict there breaks Raft
   */
  merge(entries: readonly Entry[], proven: number): void {
    for (const { index, term, bytes } of entries) {
      if (index < this.#compacted) continue;
      if (index <= this.#last) {
        if (this.#terms.at(index) === term) continue;
        invariant(
          index > proven,
          'a leader never contradicts what it has proven: index, proven, term',
          index,
          proven,
          term,
        );
        this.#truncateAfter(index - 1);
      }
      invariant(index === this.#last + 1, 'entries are consecutive: index, last', index, this.#last);
      this.#push(term, bytes);
    }
  }

  /** The entries not yet handed out, which now are. */
  handOut(): readonly Entry[] {
    if (this.#handed === this.#last) return NO_ENTRIES;
    const entries: Entry[] = [];
    for (let index = this.#handed + 1; index <= this.#last; index++) {
      entries.push({ index, term: this.#terms.at(index), bytes: this.#totals.bytesOf(index) });
    }
    this.#handed = this.#last;
    return Object.freeze(entries);
  }

  // SAFETY: asynchronous writes and overwritten suffixes (ABA; rule 3).
  // Claim:   durable never covers an entry that the disk may yet lose or replace.
  // Why:     a report says "the log was on disk up to `index`, as it stood when the epoch was `epoch`". In the same
  //          epoch entries were only added since, so it holds now. In a later one, the entry at `index` may be another
  //          one whose write is still queued, even if its term is the same again.
  // Rests:   #truncateAfter and restore are the only ways to lose entries, and they start a new epoch; the write that
  //          replaces them is handed out afterwards, in order, with a report of its own, or was done before restore was
  //          called, so nothing waits for the report ignored.
  // Checked: transcripts/async-storage-aba.txt; rules.test.ts, rule 3.
  markDurable(index: number, term: number, epoch: number): boolean {
    if (epoch !== this.#epoch || index <= this.#durable) return false;
    invariant(index <= this.#handed, 'durable <= handed', index, this.#handed);
    invariant(this.holds(index, term), 'within an epoch nothing is replaced: index, term', index, term);
    this.#durable = index;
    return true;
  }

  /** True if the commit index moved. It never goes back. */
  commitTo(index: number): boolean {
    if (index <= this.#commit) return false;
    invariant(index <= this.#last, 'commit <= last', index, this.#last);
    this.#commit = index;
    return true;
  }

  applyTo(index: number): void {
    invariant(index >= this.#applied, 'applied never goes back', index, this.#applied);
    invariant(index <= this.applicable, 'applied <= min(commit, durable)', index, this.#commit, this.#durable);
    this.#applied = index;
  }

  compactTo(index: number): void {
    if (index <= this.#compacted) return;
    invariant(index <= this.#applied, 'compacted <= applied', index, this.#applied);
    this.#terms.compactTo(index);
    this.#totals.compactTo(index);
    this.#compacted = index;
  }

  /**
   * Follower: state machine and log have been replaced, durably, by a snapshot that ends with (`index`, `term`): the log
   * begins behind it, empty, and all marks stand there.
   */
  restore(index: number, term: number): void {
    invariant(
      index > this.#commit,
      'a snapshot never takes back what is committed: index, commit',
      index,
      this.#commit,
    );
    invariant(
      !this.holds(index, term),
      'a log that holds the end of a snapshot keeps what follows: index, term',
      index,
      term,
    );
    this.#terms = new TermRuns(index, term);
    this.#totals = new ByteTotals(index);
    this.#compacted = index;
    this.#applied = index;
    this.#commit = index;
    this.#durable = index;
    this.#handed = index;
    this.#last = index;
    this.#epoch += 1;
  }

  #push(term: number, bytes: number): void {
    this.#terms.append(this.#last + 1, term);
    this.#totals.push(bytes);
    this.#last += 1;
  }

  #truncateAfter(index: number): void {
    invariant(index >= this.#commit, 'nothing committed is ever replaced: index, commit', index, this.#commit);
    this.#terms.truncateAfter(index);
    this.#totals.truncateAfter(index);
    this.#last = index;
    this.#handed = Math.min(this.#handed, index);
    this.#durable = Math.min(this.#durable, index);
    this.#epoch += 1;
  }
}
