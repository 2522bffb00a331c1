import { invariant } from './invariant.js';
import type { HardState, ReplicaId } from './messages.js';
import type { RaftLog } from './raft-log.js';
import type { Persist } from './ready.js';

/**
 * The promises of one replica: its term, its vote in that term, and whether this disk knows of them.
 *
 * SAFETY: a term is asserted only when it is durable (rule 1).
 * Claim:   no two leaders of one term, whatever crashes (§5.2).
 * Why:     a candidate that was elected, crashed before (term, vote) was on its disk, and restarted one term below, could
 *          vote for another in the same term, or win it again with another log. So its requests, its own vote, its
 *          counting and with it all that a leader says, wait for the report of exactly this term and vote.
 * Rests:   `durable` falls with every change of term or vote, and rises by a report of that term and vote alone; messages
 *          that promise something are held while it is false, and dropped when their term is left before a Ready has
 *          taken them (Outbox).
 * Checked: transcripts/election.txt; rules.test.ts, rule 1; random.test.ts, whenever a message leaves.
 */
export class Ballot {
  #term: number;
  #vote: ReplicaId;
  #durable = true;
  #handed: HardState;

  constructor(onDisk: HardState) {
    this.#term = onDisk.term;
    this.#vote = onDisk.vote;
    this.#handed = onDisk;
  }

  get term(): number {
    return this.#term;
  }

  get vote(): ReplicaId {
    return this.#vote;
  }

  /** Are term and vote on this disk? */
  get durable(): boolean {
    return this.#durable;
  }

  /** Does the host have yet to hear of them? */
  get changed(): boolean {
    return this.#handed.term !== this.#term || this.#handed.vote !== this.#vote;
  }

  /** May `candidate` have our vote in `term`, as far as votes go? `leader`: of our own term, 0: none. */
  isFreeFor(candidate: ReplicaId, term: number, leader: ReplicaId): boolean {
    return term > this.#term || this.#vote === candidate || (this.#vote === 0 && leader === 0);
  }

  enterTerm(term: number, vote: ReplicaId): void {
    invariant(term > this.#term && Number.isSafeInteger(term), 'terms only rise: new, old', term, this.#term);
    this.#term = term;
    this.#vote = vote;
    this.#durable = false;
  }

  voteFor(candidate: ReplicaId): void {
    if (this.#vote === candidate) return;
    invariant(this.#vote === 0, 'one vote per term: given, asked, term', this.#vote, candidate, this.#term);
    this.#vote = candidate;
    this.#durable = false;
  }

  /** This term is on disk, with `vote`. True if that is what holds now, and was not known. */
  markDurable(vote: ReplicaId): boolean {
    if (this.#durable || vote !== this.#vote) return false;
    this.#durable = true;
    return true;
  }

  // SAFETY: the commit index on disk is a hint that must never be wrong.
  // Claim:   after a crash, everything up to the recovered commit index is committed.
  // Why:     the hard state is written before the entries of its Ready. A commit index that covered those could reach the
  //          disk without them, above the old suffix that they were to replace; so it covers only what is durable already.
  // Rests:   the caller passes RaftLog.applicable.
  // Checked: rules.test.ts, "the commit index on disk never covers entries that are not".
  /** What to write beside appends (or without any), or null if nothing is worth a write. */
  take(appends: boolean, applicable: number): HardState | null {
    const commit = Math.max(this.#handed.commit, applicable);
    if (!this.changed && !(appends && commit > this.#handed.commit)) return null;
    this.#handed = Object.freeze({ term: this.#term, vote: this.#vote, commit });
    return this.#handed;
  }

  /** What is on disk once this term and vote are, and all of `log`. */
  persist({ epoch, last, lastTerm }: RaftLog): Persist {
    return Object.freeze({ epoch, term: this.#term, vote: this.#vote, lastIndex: last, lastTerm });
  }
}
