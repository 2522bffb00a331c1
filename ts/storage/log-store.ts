import { type Engine, eraftError } from './native.js';

/** Bytes of a record before its payload. */
export const RECORD_HEADER_BYTES = 56;
/** Record kinds. */
export const RECORD_KINDS = { blank: 1, commands: 2, conf: 3 } as const;
/** Numbers that `inspect` writes for each record: see the offsets below. */
export const INSPECTED_NUMBERS = 8;
export const INSPECTED = {
  index: 0,
  term: 1,
  time: 2,
  firstRevision: 3,
  count: 4,
  bytes: 5,
  kind: 6,
  group: 7,
} as const;

/**
 * The replicated log of all groups of this process: one log, one order, one sync for what a turn submits.
 *
 * Byte ranges are lent for the length of a call. Nothing here waits for a disk; `fetch` answers later.
 */
export interface LogStore {
  /** The number of top-level commands of the CommandBatch bytes[start..end); below 0: -(wire number of the error). */
  verifyBatch(bytes: Uint8Array, start: number, end: number): number;
  /**
   * Completes the record whose payload ends at `payloadEnd`: header and checksum into the RECORD_HEADER_BYTES from
   * `start`, zeros behind the payload, up to 7. Returns the end of the record.
   */
  seal(
    slab: Uint8Array,
    start: number,
    payloadEnd: number,
    kind: number,
    group: number,
    index: number,
    term: number,
    time: number,
    firstRevision: number,
    count: number,
  ): number;
  /**
   * Checks the records slab[start..end), checksums included, and writes INSPECTED_NUMBERS for each into `out`. Returns how
   * many there are; -1 - offset (from `start`) of the first bad one.
   *
   * @throws EraftError ERAFT_BAD_REQUEST when `out` is too small
   */
  inspect(slab: Uint8Array, start: number, end: number, out: Float64Array): number;
  /**
   * Queues hard states (quadruples group, term, vote, commit) and sealed records as one unit, hard states first. A first
   * record within the log replaces what the log holds from there on. Copied before this returns. Returns the ticket:
   * on disk when `Progress.durable` has reached it, some time after `write`.
   *
   * @throws EraftError ERAFT_OVERLOADED (records only; nothing queued), ERAFT_FAILED, ERAFT_CLOSED, ERAFT_BAD_REQUEST
   */
  submit(slab: Uint8Array, start: number, end: number, hardStates: Float64Array, hardStateCount: number): number;
  /**
   * Has what was submitted written. Apart from `submit`, since it wakes the thread that writes, and where processors are
   * few that one takes over at once: what can be done before, such as telling others, should be done before.
   */
  write(): void;
  /** Queues the group's membership as of `index`; written soon. Returns the ticket. */
  saveConf(group: number, index: number, conf: Uint8Array): number;
  /**
   * Copies whole records [from, to] from memory into `out` at `outStart`, up to `maxBytes`, at least one. Returns the bytes
   * written; 0: `from` is not in memory, ask `fetch`; -n: n bytes of room are needed.
   */
  readTail(group: number, from: number, to: number, maxBytes: number, out: Uint8Array, outStart: number): number;
  /** The same from disk, checksums verified: the records come through `Storage.answers`, under `tag`. */
  fetch(group: number, from: number, to: number, maxBytes: number, tag: number): void;
  /** Nobody needs entries up to `index` any more. Never goes past what the state machine has flushed. */
  truncate(group: number, index: number): void;
  /** The index before the first one that the log still holds. Whole files go, so it lags behind `truncate`. */
  compacted(group: number): number;
}

export class NativeLogStore implements LogStore {
  readonly #engine: Engine;
  #queued = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  verifyBatch(bytes: Uint8Array, start: number, end: number): number {
    return this.#engine.verifyBatch(bytes, start, end);
  }

  seal(
    slab: Uint8Array,
    start: number,
    payloadEnd: number,
    kind: number,
    group: number,
    index: number,
    term: number,
    time: number,
    firstRevision: number,
    count: number,
  ): number {
    return this.#engine.seal(slab, start, payloadEnd, kind, group, index, term, time, firstRevision, count);
  }

  inspect(slab: Uint8Array, start: number, end: number, out: Float64Array): number {
    try {
      return this.#engine.inspect(slab, start, end, out);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  submit(slab: Uint8Array, start: number, end: number, hardStates: Float64Array, hardStateCount: number): number {
    this.#queued = true;
    try {
      return this.#engine.submit(slab, start, end, hardStates, hardStateCount);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  write(): void {
    if (!this.#queued) return;
    this.#queued = false;
    try {
      this.#engine.write();
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  saveConf(group: number, index: number, conf: Uint8Array): number {
    try {
      return this.#engine.saveConf(group, index, conf);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  readTail(group: number, from: number, to: number, maxBytes: number, out: Uint8Array, outStart: number): number {
    try {
      return this.#engine.readTail(group, from, to, maxBytes, out, outStart);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  fetch(group: number, from: number, to: number, maxBytes: number, tag: number): void {
    try {
      this.#engine.fetch(group, from, to, maxBytes, tag);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  truncate(group: number, index: number): void {
    try {
      this.#engine.truncate(group, index);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  compacted(group: number): number {
    try {
      return this.#engine.compacted(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }
}
