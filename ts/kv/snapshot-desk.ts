import type { Done, SnapshotFiles, SnapshotInfo } from '../host/snapshot-files.js';

/** What the desk needs of the host. */
export interface SnapshotMaker {
  readonly snapshots: { readonly files: SnapshotFiles; make(done: Done<SnapshotInfo>): void };
  compact(): Promise<SnapshotInfo>;
}

/** Snapshots for those outside: made when asked for, and read chunk by chunk. */
export class SnapshotDesk {
  readonly #host: SnapshotMaker;

  constructor(host: SnapshotMaker) {
    this.#host = host;
  }

  /** Of what is applied here now. @throws EraftError (rejects) ERAFT_OVERLOADED, ERAFT_DISK_FULL, ERAFT_IO, … */
  make(): Promise<SnapshotInfo> {
    return settled((done) => this.#host.snapshots.make(done));
  }

  /** The same, and the log is cut behind it but for its newest part. */
  compact(): Promise<SnapshotInfo> {
    return this.#host.compact();
  }

  /** Keeps it, though newer ones are made, until it is released. */
  hold({ id }: { readonly id: string }): { release(): void } {
    const { files } = this.#host.snapshots;
    files.hold(id);
    let held = true;
    return {
      release: () => {
        if (held) files.release(id);
        held = false;
      },
    };
  }

  /** One of its chunks, verified. @throws EraftError (rejects) ERAFT_SNAPSHOT_LOST, ERAFT_DATA_DAMAGED, ERAFT_IO */
  read({ id }: { readonly id: string }, chunk: number): Promise<Uint8Array> {
    return settled((done) => this.#host.snapshots.files.read(id, chunk, done));
  }
}

function settled<T>(ask: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((error, value) => (value === null ? reject(error) : resolve(value)));
  });
}
