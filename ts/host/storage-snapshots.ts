import { EraftError, errorCodeOf } from '../base/errors.js';
import type { SnapshotPoint } from '../raft/ready.js';
import type { SnapshotStore } from '../storage/index.js';
import type { AnnouncedSnapshot, Done, SnapshotFiles, SnapshotInfo } from './snapshot-files.js';
import type { Tags } from './tags.js';

/** The snapshots of one group in a storage, whose answers come by tags. */
export class StorageSnapshots implements SnapshotFiles {
  readonly #store: SnapshotStore;
  readonly #group: number;
  readonly #tags: Tags;

  constructor(store: SnapshotStore, group: number, tags: Tags) {
    this.#store = store;
    this.#group = group;
    this.#tags = tags;
  }

  latest(): SnapshotInfo | null {
    return this.#store.latest(this.#group);
  }

  hold(id: string): void {
    this.#store.hold(id);
  }

  release(id: string): void {
    this.#store.release(id);
  }

  make(done: Done<SnapshotInfo>): void {
    this.#store.create(
      this.#group,
      this.#tag(done, () => this.#made()),
    );
  }

  read(id: string, chunk: number, done: Done<Uint8Array>): void {
    this.#store.readChunk(
      id,
      chunk,
      this.#tag(done, (bytes) => bytes.slice()),
    );
  }

  receive(announced: AnnouncedSnapshot, done: Done<number>): void {
    this.#store.receive(this.#group, announced, this.#tag(done, numberIn));
  }

  receiveChunk(chunk: number, bytes: Uint8Array, done: Done<number>): void {
    this.#store.receiveChunk(chunk, bytes, 0, bytes.length, this.#tag(done, numberIn));
  }

  install({ index, term }: SnapshotPoint, conf: Uint8Array, done: Done<true>): void {
    const tag = this.#tag(done, () => true as const);
    this.#store.install(this.#group, index, term, tag, { index, bytes: conf });
  }

  #made(): SnapshotInfo {
    const latest = this.latest();
    if (latest === null) throw new Error('a snapshot was made, and there is none');
    return latest;
  }

  /** @param value - of the answer's bytes, which are lent for the call */
  #tag<T>(done: Done<T>, value: (bytes: Uint8Array) => T): number {
    return this.#tags.take((status, slab, start, end) => {
      const bytes = slab.subarray(start, end);
      if (status === 0) done(null, value(bytes));
      else done(new EraftError(errorCodeOf(status) ?? 'ERAFT_FAILED', Buffer.from(bytes).toString()), null);
    });
  }
}

function numberIn(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
