import type { RaftLog } from './raft-log.js';

/** What a node tells of its log. */
export class LogMarks {
  readonly #log: RaftLog;

  constructor(log: RaftLog) {
    this.#log = log;
  }

  get commit(): number {
    return this.#log.commit;
  }

  /** The first entry still in the log, or the next one to come. */
  get firstIndex(): number {
    return this.#log.compacted + 1;
  }

  get lastIndex(): number {
    return this.#log.last;
  }

  /** The last entry on our own disk. */
  get durableIndex(): number {
    return this.#log.durable;
  }

  /** Changes whenever entries were replaced: what was true of (index, term) in an earlier epoch must be checked again. */
  get epoch(): number {
    return this.#log.epoch;
  }

  /** Record bytes of all entries in the log. */
  get logBytes(): number {
    return this.#log.bytesBetween(this.#log.compacted, this.#log.last);
  }

  /** The first index behind which the log takes at most `bytes`. */
  startOfLast(bytes: number): number {
    return this.#log.startOfLast(bytes);
  }

  /** Term of an entry in the log, or of the last one compacted; 0 if it is neither. */
  termAt(index: number): number {
    return this.#log.knows(index) ? this.#log.termAt(index) : 0;
  }
}
