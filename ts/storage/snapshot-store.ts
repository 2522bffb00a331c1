import { type Engine, type EngineSnapshot, eraftError } from './native.js';

/** A complete snapshot: the state of a group after the record `index`, as a file. */
export type Snapshot = Readonly<EngineSnapshot>;

/** What a sender says of a snapshot before it comes; from `Snapshot`. */
export interface AnnouncedSnapshot {
  /** 32 hexadecimal digits: whether two snapshots are one. */
  readonly id: string;
  readonly index: number;
  readonly term: number;
  readonly chunks: number;
  /** Of the whole file. */
  readonly bytes: number;
}

const NO_CONF = new Uint8Array(0);

/**
 * Snapshots of the groups of a data folder: made beside the work, sent and received chunk by chunk, installed as a whole.
 *
 * Nothing here waits for a disk. What takes long is answered through `Storage.answers` under the caller's `tag`: status 0, or
 * the wire number of an error with its message. In stepped mode it is done by `Storage.step`, a chunk at a time.
 *
 * Chunks are numbered from 0; the first and the last hold the header and what proves that all are there. Each carries its own
 * checksum. The bytes of all chunks, one behind the other, are the file: a backup (docs/snapshot-format.md).
 */
export interface SnapshotStore {
  /**
   * Has a snapshot made of what is applied now, without stopping anything. Answered without bytes when it is durable and
   * `latest` tells of it, or when the latest one is of the present already. One at a time: else ERAFT_OVERLOADED.
   * ERAFT_BAD_REQUEST when nothing is applied; ERAFT_DISK_FULL and ERAFT_IO leave nothing behind.
   */
  create(group: number, tag: number): void;
  /**
   * The one that was completed last, made or received; null: there is none. Older ones go, and so does this one when the log
   * has been cut beyond it; none of them while it is held. Allocates.
   */
  latest(group: number): Snapshot | null;
  /** Keeps the snapshot until `release` was called as often, or the storage closes. False: it is gone. */
  hold(id: string): boolean;
  release(id: string): void;
  /**
   * One chunk of a snapshot, checksum verified: its bytes come as the answer. ERAFT_SNAPSHOT_LOST: the snapshot is gone, send
   * the latest; ERAFT_DATA_DAMAGED: it is damaged, and not offered any more: make another.
   */
  readChunk(id: string, chunk: number, tag: number): void;
  /**
   * A snapshot is going to come. Answered with the number of the chunk that is wanted, u32 little-endian: behind what is kept of
   * the same snapshot, also from before a restart; `chunks` when it is complete already. One at a time: what is kept
   * of another one goes. ERAFT_BAD_REQUEST when it is of no use, because as much is applied, or cannot be.
   */
  receive(group: number, announced: AnnouncedSnapshot, tag: number): void;
  /**
   * Chunk `chunk` of it is slab[start..end): copied before this returns, verified before it is written. Answered with the
   * number of the next one, as `receive` is; `chunks`: all are there, verified and durable, and `install` may follow.
   * ERAFT_BAD_REQUEST (not the one that is wanted) and ERAFT_DATA_DAMAGED change nothing; after ERAFT_DISK_FULL and
   * ERAFT_IO begin again with `receive`.
   */
  receiveChunk(chunk: number, slab: Uint8Array, start: number, end: number, tag: number): void;
  /**
   * Puts the complete snapshot (index, term) in the place of all that the group has. The log then begins behind it, and keeps
   * what follows that entry if it holds it. Answered without bytes when that is durable; nothing must be appended or applied
   * in between, and reads are refused with ERAFT_OVERLOADED. A crash leaves the old state or the new one. Term and vote stay.
   * `conf`, the membership to be noted with `confIndex`: the snapshot's if left out.
   *
   * ERAFT_BAD_REQUEST when it is older than what is applied, ERAFT_DATA_DAMAGED, ERAFT_DATA_MISMATCH (of another cluster)
   * and ERAFT_DISK_FULL change nothing; any other error ends the storage, and opening it goes on with the installation.
   */
  install(group: number, index: number, term: number, tag: number, conf?: { index: number; bytes: Uint8Array }): void;
}

export class NativeSnapshotStore implements SnapshotStore {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  create(group: number, tag: number): void {
    try {
      this.#engine.createSnapshot(group, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  latest(group: number): Snapshot | null {
    try {
      return this.#engine.latestSnapshot(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  hold(id: string): boolean {
    try {
      return this.#engine.holdSnapshot(id);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  release(id: string): void {
    try {
      this.#engine.releaseSnapshot(id);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  readChunk(id: string, chunk: number, tag: number): void {
    try {
      this.#engine.readSnapshot(id, chunk, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  receive(group: number, announced: AnnouncedSnapshot, tag: number): void {
    const { id, index, term, chunks, bytes } = announced;
    try {
      this.#engine.receiveSnapshot(group, index, term, id, chunks, bytes, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  receiveChunk(chunk: number, slab: Uint8Array, start: number, end: number, tag: number): void {
    try {
      this.#engine.receiveChunk(chunk, slab, start, end, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  install(group: number, index: number, term: number, tag: number, conf?: { index: number; bytes: Uint8Array }): void {
    try {
      this.#engine.installSnapshot(group, index, term, conf?.index ?? 0, conf?.bytes ?? NO_CONF, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }
}
