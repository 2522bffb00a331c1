import type { EraftError } from '../base/errors.js';
import type { SnapshotPoint } from '../raft/ready.js';

/** What is announced of a snapshot before it comes. */
export interface AnnouncedSnapshot extends SnapshotPoint {
  /** 32 hex digits, drawn when it was made: says whether two are one. */
  readonly id: string;
  /** Pieces that travel, header and trailer included. */
  readonly chunks: number;
  readonly bytes: number;
}

/** A snapshot that is complete, durable and verified. */
export interface SnapshotInfo extends AnnouncedSnapshot {
  /** Log time of its last entry, ms. */
  readonly time: number;
  /** The first revision that the next record may have. */
  readonly nextRevision: number;
  /** The membership as its maker held it, as `encodeConfState` wrote it; empty: none. */
  readonly conf: Uint8Array;
}

/** How what was asked for ended: the error, or null and the value. In a later turn, and the last word. */
export type Done<T> = (error: EraftError | null, value: T | null) => void;

/**
 * The snapshots of one group, as this replica's disk holds them. One is being made, one received and one installed at a time.
 *
 * Whatever error comes has changed nothing, or has ended the storage, which tells of that by itself.
 */
export interface SnapshotFiles {
  /**
   * The one that was completed last, made or received; null: none. Others go, and so does this one when the log has been cut
   * beyond it; none of them while it is held.
   */
  latest(): SnapshotInfo | null;
  hold(id: string): void;
  release(id: string): void;
  /** Makes one of what is applied now; applies go on meanwhile. */
  make(done: Done<SnapshotInfo>): void;
  /** One chunk as it stands in the file, its checksum verified. */
  read(id: string, chunk: number, done: Done<Uint8Array>): void;
  /** Takes in what was announced: answers from which chunk on. What is there of it from an earlier time counts. */
  receive(announced: AnnouncedSnapshot, done: Done<number>): void;
  /** The next chunk, copied before this returns. Answers what is wanted then; the number of chunks: it is complete. */
  receiveChunk(chunk: number, bytes: Uint8Array, done: Done<number>): void;
  /** Replaces state machine and log by a complete snapshot, crash-safely, and notes this membership with it. */
  install(point: SnapshotPoint, conf: Uint8Array, done: Done<true>): void;
}
