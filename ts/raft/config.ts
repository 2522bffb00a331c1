import { invariant } from './invariant.js';
import type { HardState, ReplicaId } from './messages.js';

/** What a group is run with. Nothing has a default here: the host's options table is the one place for those. */
export interface RaftConfig {
  readonly id: ReplicaId;
  readonly voters: readonly ReplicaId[];
  /** Ticks without a word from a leader before a follower campaigns, and the leader's check-quorum window. */
  readonly electionTicks: number;
  /** Ticks between two heartbeats. */
  readonly heartbeatTicks: number;
  /** Integer ticks added to each election timeout, 0 <= x < electionTicks. The only source of chance. */
  readonly electionJitter: () => number;
  /** Appends on the way to one follower. */
  readonly inflightMessagesMax: number;
  /** Log bytes on the way to one follower. One append may pass it: an entry larger than the window must be sendable. */
  readonly inflightBytesMax: number;
  /** Log bytes in one append. An entry larger than this travels alone. */
  readonly appendBytesMax: number;
  /** Log bytes proposed and not yet committed. One entry is always allowed, whatever its size. */
  readonly uncommittedBytesMax: number;
  /** Log bytes that a member may be behind and still have the log kept for it. */
  readonly catchUpBytesMax: number;
  /** Log bytes per tick by which a member far behind gains on the end of the log, as long as a majority does without it. */
  readonly catchUpBytesPerTick: number;
  /** Record size of a new leader's blank entry. */
  readonly blankBytes: number;
  /** Ask whether an election could be won before disturbing anybody with a new term. Default true. */
  readonly preVote?: boolean;
  /** A leader that has not heard from a quorum for a window steps down, and followers of a live leader refuse others. Default true. */
  readonly checkQuorum?: boolean;
}

/** What this replica's disk held when it was opened. */
export interface InitialState {
  readonly hardState: HardState;
  /** The entries up to here have been removed from the log. 0, term 0: none. */
  readonly compactedIndex: number;
  readonly compactedTerm: number;
  /** [first index, term] of each run of entries of one term, ascending, from compactedIndex + 1 on. */
  readonly termRuns: readonly (readonly [first: number, term: number])[];
  /** Record bytes of the entries compactedIndex + 1, + 2, … */
  readonly sizes: ArrayLike<number>;
  /** Applied to the store, durably or by replay, before the first step. */
  readonly appliedIndex: number;
}

/** Refuses, never repairs: a value changed behind the user's back is one that nobody can reason about. */
export function checkConfig(c: RaftConfig): void {
  invariant(Number.isSafeInteger(c.id) && c.id > 0, 'id is a positive integer', c.id);
  invariant(new Set(c.voters).size === c.voters.length, 'no voter is named twice', c.voters.length);
  invariant(c.voters.length > 0 && c.voters.every((v) => v > 0), 'voters are positive ids, at least one');
  invariant(c.heartbeatTicks >= 1, 'heartbeatTicks >= 1', c.heartbeatTicks);
  invariant(c.electionTicks > c.heartbeatTicks, 'electionTicks > heartbeatTicks', c.electionTicks, c.heartbeatTicks);
  invariant(c.inflightMessagesMax >= 1 && c.inflightBytesMax >= 1, 'the in-flight window admits a message');
  invariant(c.appendBytesMax >= 1 && c.uncommittedBytesMax >= 1, 'appends and proposals admit a byte');
  invariant(c.catchUpBytesPerTick >= 1, 'catchUpBytesPerTick >= 1', c.catchUpBytesPerTick);
  invariant(c.catchUpBytesMax >= 0 && c.blankBytes >= 1, 'catchUpBytesMax >= 0 and blankBytes >= 1');
}
