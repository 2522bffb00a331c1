// The interface of a store, wherever it lives: `Store` (in this process) and `Client` (over the network) implement it.
import type { Bytes } from '../base/bytes.js';
import type { ClusterStatus } from '../proto/status.js';

export type { Bytes } from '../base/bytes.js';
export type { ClusterStatus, PeerStatus, ReplicaRole, ReplicaStatus } from '../proto/status.js';

/**
 * How keys or values come out: as bytes, or as text (strictly UTF-8, else a TypeError).
 *
 * Bytes are plain Uint8Arrays that nobody writes to again. Those of up to 1 KiB that came together may lie in one ArrayBuffer,
 * of at most 4 KiB, which lives as long as one of them; longer ones have memory of their own. So look at `byteOffset` before
 * you touch `buffer`, and copy (`bytes.slice()`) before you transfer it.
 */
export type Encoding = { utf8: string; bytes: Uint8Array<ArrayBuffer> };
export type E = keyof Encoding;

export interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
  /** Of the command that wrote this value last. Rises with every command, is never used twice. */
  readonly revision: number;
}

export interface CallOptions {
  /** Gives the call up: it rejects with an EraftError named AbortError, `outcome` says what became of a write. */
  signal?: AbortSignal | undefined;
  /** 1 to 2^31 - 1, counted from this call. Default 5,000. */
  timeoutMs?: number | undefined;
}

export interface ReadOptions extends CallOptions {
  /** `linearizable` (default): sees every write that was answered before the call. `stale`: from any replica, at once. */
  consistency?: 'linearizable' | 'stale';
  /** The answer is at least as new as this revision. */
  minRevision?: number;
}

/** A range of keys in unsigned bytewise order (which differs from JavaScript's `<` for some strings). */
export interface ScanOptions extends ReadOptions {
  prefix?: Bytes;
  gte?: Bytes;
  gt?: Bytes;
  lt?: Bytes;
  lte?: Bytes;
  /** From the last key to the first. */
  reverse?: boolean;
  /** The most entries to return. */
  limit?: number;
  /** The most bytes that one page may have. Default 256 KiB. */
  pageBytes?: number;
  /** Leaves the values away: they come back empty. */
  keysOnly?: boolean;
  /** All pages show one moment; fails with ERAFT_SNAPSHOT_LOST when it cannot be kept. Without it, each page is of its own. */
  snapshot?: boolean;
}

export interface WriteOptions extends CallOptions {
  /** Waits for the old entry and returns it. */
  previous?: boolean;
}

/** `revision: 0`: no entry. */
export type Condition = { key: Bytes } & ({ revision: number } | { value: Bytes } | { exists: boolean });

export type Operation =
  | { put: Bytes; value: Bytes }
  | { append: Bytes; value: Bytes }
  | { delete: Bytes }
  | { increment: Bytes; by: number };

export interface Written<T> {
  readonly revision: number;
  readonly previous?: T | undefined;
}

/** A failed condition is an answer: `index` is its place among the conditions, `current` the entry that it found. */
export type Decision<T> =
  | { ok: true; revision: number }
  | { ok: false; failed: readonly { index: number; current: T | undefined }[] };

/**
 * A replicated, ordered key-value store.
 *
 * Every method rejects with an EraftError (docs/errors.md), or a TypeError or RangeError for a wrong argument; none
 * throws. Keys have 1 to 4,096 bytes, values up to 1 MiB.
 */
export interface KeyValue<K = Encoding['bytes'], V = Encoding['bytes'], T = Entry<K, V>> extends AsyncDisposable {
  get(key: Bytes, o?: ReadOptions): Promise<V | undefined>;
  getEntry(key: Bytes, o?: ReadOptions): Promise<T | undefined>;
  /** All of one moment. */
  getMany(keys: readonly Bytes[], o?: ReadOptions): Promise<(T | undefined)[]>;
  has(key: Bytes, o?: ReadOptions): Promise<boolean>;
  /** Each iteration starts anew. `pages()`: the same, page by page; `timeoutMs` is for each page. */
  scan(o?: ScanOptions): AsyncIterable<T> & { pages(): AsyncIterable<readonly T[]> };
  put(key: Bytes, value: Bytes, o?: WriteOptions): Promise<Written<T>>;
  /** To an absent key: like put. @returns the new length of the value in bytes */
  append(key: Bytes, suffix: Bytes, o?: CallOptions): Promise<{ revision: number; length: number }>;
  /** The value is a decimal integer within +-(2^53 - 1); an absent one counts as 0. @param by - default 1 */
  increment(key: Bytes, by?: number, o?: CallOptions): Promise<{ revision: number; value: number }>;
  delete(key: Bytes, o?: WriteOptions): Promise<Written<T>>;
  /** Deletes at most 100,000 keys; more need a limit and several calls. */
  deleteRange(
    o: Omit<ScanOptions, 'snapshot' | 'pageBytes' | 'keysOnly'>,
  ): Promise<{ revision: number; count: number }>;
  compareAndSwap(when: Condition, value: Bytes, o?: CallOptions): Promise<Decision<T>>;
  /** All operations or, when a condition fails, none. */
  transact(ops: readonly Operation[], o?: CallOptions & { when?: readonly Condition[] }): Promise<Decision<T>>;
  /** The same store, other types. It shares everything with this one: closing either closes both. */
  as<A extends E, B extends E>(key: A, value: B): KeyValue<Encoding[A], Encoding[B]>;
  status(o?: CallOptions): Promise<ClusterStatus>;
  /** Waits for pending calls, then rejects what is left with ERAFT_CLOSED. Idempotent. @param o.timeoutMs - default 5,000 */
  close(o?: { timeoutMs?: number | undefined }): Promise<void>;
}
