import type { Entry, HardState, Message, ReplicaId } from './messages.js';

/**
 * Names what a Ready asked to be written, and comes back as the report that it is on disk.
 *
 * `epoch` counts truncations of the log, so that a report about an entry that has since been overwritten is recognised
 * as such and ignored (ABA).
 */
export interface Persist {
  readonly epoch: number;
  /** Of the hard state in force when this Ready was made. */
  readonly term: number;
  readonly vote: ReplicaId;
  /** The last entry of the log, this Ready's appends included. */
  readonly lastIndex: number;
  readonly lastTerm: number;
}

/** A read may be answered once everything up to `index` is applied here. `context` is what the host asked with. */
export interface ReadState {
  readonly context: number;
  readonly index: number;
}

/** Names a snapshot: the state after the entry (`index`, `term`). */
export interface SnapshotPoint {
  readonly index: number;
  readonly term: number;
}

/** What must happen outside, now. Handed out once and frozen: the host may hold it across turns. */
export interface Ready {
  /** To be written before `append`. null: no need to write; term and vote are as in an earlier Ready. */
  readonly hardState: HardState | null;
  /** To the log, in this order. The first one may overwrite: what the log holds from its index on is superseded. */
  readonly append: readonly Entry[];
  /** The blank entry of a new leader, one of `append`: its bytes are the host's to make. null: none. */
  readonly blank: Entry | null;
  /** To be returned to `onDurable` when hardState and append are on disk. null: nothing to write. */
  readonly persist: Persist | null;
  /** True whatever becomes of our disk. */
  readonly sendNow: readonly Message[];
  /** Promises that only a disk can keep: to be sent once all that was asked to be written so far, this Ready's included, is durable. */
  readonly sendWhenDurable: readonly Message[];
  /** Committed, durable here, with all below it. Never goes back. */
  readonly applyUpTo: number;
  readonly reads: readonly ReadState[];
  /** Contexts of reads that will not be answered: leadership was lost. */
  readonly readsLost: readonly number[];
  /**
   * Followers that the log can no longer help. For each of them the host calls `offerSnapshot` once the follower's host
   * holds a snapshot, or `snapshotFailed`; until then, or until `wantsSnapshot` ends, none is named again.
   */
  readonly needSnapshot: readonly ReplicaId[];
  /**
   * After `append`: replace state machine and log by this snapshot, durably and entirely, then call `onInstalled`; or
   * `onInstallFailed` when nothing was touched. Until then nothing more is to be applied. null: none.
   */
  readonly install: SnapshotPoint | null;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export type Proposed = { readonly index: number } | { readonly refused: 'not-leader' | 'uncommitted-limit' };
