// Snapshots of one replica, in memory: what a disk would keep of them, and answers that come when they are asked for.
import { EraftError } from '../../ts/base/errors.js';
import type { AnnouncedSnapshot, Done, SnapshotFiles, SnapshotInfo } from '../../ts/host/snapshot-files.js';
import type { SnapshotPoint } from '../../ts/raft/index.js';

/** What survives a restart. */
export interface SnapshotDisk {
  complete: { info: SnapshotInfo; chunks: Uint8Array[] } | null;
  partial: { announced: AnnouncedSnapshot; chunks: Uint8Array[] } | null;
}

export const emptyDisk = (): SnapshotDisk => ({ complete: null, partial: null });

/** A disk with a snapshot of so many chunks of so many bytes; each begins with its number. */
export function diskWithSnapshot(
  index: number,
  term: number,
  chunks: number,
  chunkBytes: number,
  id = 1,
): SnapshotDisk {
  const made = Array.from({ length: chunks }, (_, i) => new Uint8Array(chunkBytes).fill(i + 1));
  return { complete: { info: infoOf(index, term, made, id), chunks: made }, partial: null };
}

function infoOf(index: number, term: number, chunks: Uint8Array[], id: number): SnapshotInfo {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const name = id.toString(16).padStart(32, '0');
  return { id: name, index, term, chunks: chunks.length, bytes, time: 5, nextRevision: 9, conf: new Uint8Array(0) };
}

export class MemorySnapshots implements SnapshotFiles {
  readonly disk: SnapshotDisk;
  readonly held: string[] = [];
  /** The next answer is this error. */
  failure: EraftError | null = null;
  /** What `make` makes. */
  next: SnapshotDisk['complete'] = null;
  makes = 0;
  reads: number[] = [];
  installed: SnapshotPoint[] = [];
  #answers: (() => void)[] = [];

  constructor(disk: SnapshotDisk) {
    this.disk = disk;
  }

  /** Gives the answers that are due. False: none was. */
  run(): boolean {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) answer();
    return answers.length > 0;
  }

  latest(): SnapshotInfo | null {
    return this.disk.complete?.info ?? null;
  }

  hold(id: string): void {
    this.held.push(id);
  }

  release(id: string): void {
    this.held.splice(this.held.indexOf(id), 1);
  }

  make(done: Done<SnapshotInfo>): void {
    this.makes += 1;
    this.#answer(done, () => {
      this.disk.complete = this.next;
      return this.latest() as SnapshotInfo;
    });
  }

  read(id: string, chunk: number, done: Done<Uint8Array>): void {
    this.reads.push(chunk);
    const { complete } = this.disk;
    this.#answer(done, () => (complete?.info.id === id ? (complete.chunks[chunk] as Uint8Array) : new Uint8Array(0)));
  }

  receive(announced: AnnouncedSnapshot, done: Done<number>): void {
    if (this.disk.partial?.announced.id !== announced.id) this.disk.partial = { announced, chunks: [] };
    this.#answer(done, () =>
      this.latest()?.id === announced.id ? announced.chunks : (this.disk.partial?.chunks.length ?? 0),
    );
  }

  receiveChunk(chunk: number, bytes: Uint8Array, done: Done<number>): void {
    const copy = new Uint8Array(bytes);
    this.#answer(done, () => {
      const { partial } = this.disk;
      if (partial === null || chunk !== partial.chunks.length || copy[0] !== chunk + 1)
        throw new EraftError('ERAFT_DATA_DAMAGED', `chunk ${chunk} is damaged`);
      partial.chunks.push(copy);
      const { index, term, id, chunks } = partial.announced;
      if (partial.chunks.length === chunks) {
        this.disk.complete = { info: { ...infoOf(index, term, partial.chunks, 0), id }, chunks: partial.chunks };
        this.disk.partial = null;
      }
      return chunk + 1;
    });
  }

  install(point: SnapshotPoint, _conf: Uint8Array, done: Done<true>): void {
    this.#answer(done, () => {
      this.installed.push(point);
      return true as const;
    });
  }

  #answer<T>(done: Done<T>, value: () => T): void {
    this.#answers.push(() => {
      const { failure } = this;
      this.failure = null;
      if (failure !== null) {
        done(failure, null);
        return;
      }
      let result: T;
      try {
        result = value();
      } catch (error) {
        done(error as EraftError, null);
        return;
      }
      done(null, result);
    });
  }
}
