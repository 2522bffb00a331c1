import { type Engine, eraftError } from './native.js';

/** Head of one record in what `results` writes: index u64, term u64, batches u32, bytes u32, group u32, zero u32. */
export const RESULT_RECORD_HEADER_BYTES = 32;
/** Head of each batch in it, and of each frame of `read`: length u32, tag u32 (zero in results). Padded to 8 behind. */
export const FRAME_HEADER_BYTES = 8;
/** Head of one answer: length u32, tag u32, status u32, zero u32. Padded to 8 behind. */
export const ANSWER_HEADER_BYTES = 16;

/** What `peek` answers instead of a length. */
export const PEEK = { absent: -1, notInMemory: -2, needsRoom: -3 } as const;

/**
 * What the log says, applied. Calls are made for a whole turn, not for a command.
 *
 * Applied records change data, sessions and applied index together; a crash never separates them. What was evaluated and
 * not yet written is evaluated again after a crash, to the same end.
 */
export interface StateMachine {
  /**
   * Evaluates committed records up to `to`, in log order, each once: their results wait in `results`, for the thread that
   * called. Reads see nothing of it before `apply`. True: done when this returns. False: queued, `onProgress` tells when.
   *
   * @throws EraftError ERAFT_BAD_REQUEST for an index that is not on this disk, ERAFT_FAILED, ERAFT_CLOSED
   */
  evaluate(group: number, to: number): boolean;
  /**
   * Applies committed records up to `to`: evaluates those that are not, and writes them. True: done when this returns. False:
   * queued; `applied` tells when. With `wantResults` those evaluated now leave results, as by `evaluate`.
   *
   * @throws EraftError ERAFT_BAD_REQUEST for an index that is not on this disk, ERAFT_FAILED, ERAFT_CLOSED
   */
  apply(group: number, to: number, wantResults: boolean): boolean;
  /**
   * Takes results, in log order: for each record a head of RESULT_RECORD_HEADER_BYTES (`bytes` counts what follows it), then
   * its batches: { length u32, zero u32, ResultBatch, padding to 8 }. Returns the bytes written, whole records only; 0:
   * none; -n: n bytes of room are needed.
   */
  results(out: Uint8Array, outStart: number): number;
  /**
   * Answers the ReadBatches slab[start..end) = { length u32, tag u32, ReadBatch, padding to 8 }* over one view. Returns
   * the bytes of the same form, with ReadResults, written for those answered from memory; the others come through
   * `Storage.answers` over the same view, as does the error of a malformed one. -n: n bytes of room are needed, and nothing
   * was done.
   */
  read(group: number, slab: Uint8Array, start: number, end: number, out: Uint8Array, outStart: number): number;
  /** One page of the ScanRequest slab[start..end): the ScanPage comes through `Storage.answers`, under `tag`. */
  scan(group: number, tag: number, slab: Uint8Array, start: number, end: number): void;
  /** Releases a pinned view of scans; unknown ones are fine. */
  closeView(view: number): void;
  /** A value from memory, as of now, into `out`: its length; PEEK.absent; PEEK.notInMemory; PEEK.needsRoom - n: n bytes needed. */
  peek(group: number, key: Uint8Array, out: Uint8Array): number;
  /** The last index really applied. */
  applied(group: number): number;
  /** The last revision applied. */
  revision(group: number): number;
  /** The last applied index that is on disk: what `LogStore.truncate` may reach. */
  flushed(group: number): number;
  /** Starts a flush in the background; `Progress.flushRuns` counts those done. */
  flush(): void;
}

export class NativeStateMachine implements StateMachine {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  evaluate(group: number, to: number): boolean {
    try {
      return this.#engine.evaluate(group, to);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  apply(group: number, to: number, wantResults: boolean): boolean {
    try {
      return this.#engine.apply(group, to, wantResults);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  results(out: Uint8Array, outStart: number): number {
    return this.#engine.results(out, outStart);
  }

  read(group: number, slab: Uint8Array, start: number, end: number, out: Uint8Array, outStart: number): number {
    try {
      return this.#engine.read(group, slab, start, end, out, outStart);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  scan(group: number, tag: number, slab: Uint8Array, start: number, end: number): void {
    try {
      this.#engine.scan(group, tag, slab, start, end);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  closeView(view: number): void {
    try {
      this.#engine.closeView(view);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  peek(group: number, key: Uint8Array, out: Uint8Array): number {
    try {
      return this.#engine.peek(group, key, out);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  applied(group: number): number {
    try {
      return this.#engine.applied(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  revision(group: number): number {
    try {
      return this.#engine.revision(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  flushed(group: number): number {
    try {
      return this.#engine.flushed(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  flush(): void {
    try {
      this.#engine.flush();
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }
}
