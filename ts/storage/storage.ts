import { EraftError, errorCodeOf } from '../base/errors.js';
import { type LogStore, NativeLogStore } from './log-store.js';
import {
  type Engine,
  type EngineDamage,
  type EngineDigest,
  type EngineDurable,
  type EngineGroup,
  type EngineIdentity,
  type EngineStats,
  eraftError,
  loadAddon,
} from './native.js';
import { engineOptions, type StorageOptions } from './options.js';
import { NativeSnapshotStore, type SnapshotStore } from './snapshot-store.js';
import { NativeStateMachine, type StateMachine } from './state-machine.js';

/**
 * What log and store held of one group when the folder was opened. With `damaged`, the log is the beginning of what it was, and
 * may lack entries and a vote that this replica has acknowledged. It may do so again when a leader has given it everything up to
 * `maybeIndex`, in a term that is not below `maybeTerm`, and it has called `setRepaired`. Unless `damaged.known`, more may
 * have been lost than these numbers show.
 */
export type GroupRecovery = Readonly<EngineGroup>;
export type LogDamage = Readonly<EngineDamage>;
export type StorageIdentity = Readonly<EngineIdentity>;
export type StorageStats = Readonly<EngineStats>;
/** A group's state as applied, to compare replicas by. */
export type StorageDigest = Readonly<EngineDigest>;
/** What a crash would leave of a group's log, as far as completed syncs tell. */
export type DurableLog = Readonly<EngineDurable>;

/** How far everything is. One object for all polls: read it, do not keep it. */
export interface Progress {
  /** Every ticket up to here is on disk. */
  durable: number;
  /** Terms and votes of every ticket up to here are: they overtake queued records. */
  durableVotes: number;
  /** The wire number of the error that ended the storage; 0 while it is well. */
  failed: number;
  /** The disk is full: take no new writes while it is. */
  diskFull: boolean;
  /** How long the sync that runs now has been running; 0 when none does. */
  syncPendingMicros: number;
  /** Waiting in `StateMachine.results`, and in `Storage.answers`. */
  resultsBytes: number;
  answersBytes: number;
  /** On disk. The store's is looked up now and then. */
  logBytes: number;
  storeBytes: number;
  /** Submitted and not yet on disk. */
  queuedBytes: number;
  /** Counters: when they have moved, `applied` and `flushed` may have. */
  applyRuns: number;
  flushRuns: number;
}

/** What may go wrong on an in-memory disk. */
export type DiskFault = 'error' | 'full' | 'short' | 'power-loss';

/** One data folder, as one thread holds it. */
export interface Storage {
  readonly log: LogStore;
  readonly machine: StateMachine;
  readonly snapshots: SnapshotStore;
  readonly identity: StorageIdentity;
  /** Names this storage within the process, for `attachStorage` in another thread. */
  readonly token: number;
  /** As found at opening; empty for a new folder. */
  groups(): readonly GroupRecovery[];
  /** Lets `onProgress` be called again, and reads the counters. Once per turn. */
  poll(): Progress;
  /** Why `Progress.failed` is not 0. */
  failure(): EraftError | undefined;
  /**
   * Takes answers of `fetch`, `read`, `scan` and `snapshots`: { length u32, tag u32, status u32, zero u32, bytes, padding to 8 }. A
   * status other than 0 is the wire number of an error, the bytes its message. Returns the bytes written, whole answers
   * only; 0: none; -n: n bytes of room are needed.
   */
  answers(out: Uint8Array, outStart: number): number;
  /**
   * Marks the folder as one that may have promised something. Durable on return, and blocks for it: once in a replica's
   * life, before its first vote or acknowledgement.
   */
  setMemberKnown(): void;
  /**
   * The group holds everything again that it may have acknowledged before its log was damaged: it is not reported as damaged any
   * more. Durable on return, and blocks for it.
   *
   * @throws EraftError ERAFT_IO, ERAFT_DISK_FULL: it still counts as damaged
   */
  setRepaired(group: number): void;
  /** For metrics; allocates. */
  stats(): StorageStats;
  /**
   * The applied index, and 24 hexadecimal digits over everything that the group has there: data, sessions, their results,
   * applied index, term and revision. Equal on all replicas at this index; another byte anywhere makes another digest.
   * Reads the whole group on this thread: for tests and tools.
   */
  digest(group: number): StorageDigest;
  /** What a crash now would leave of the group's log at least: it may leave what was not acknowledged as well. Allocates. */
  durable(group: number): DurableLog;
  /** What `openStorage` gave: closes for every thread. What `attachStorage` gave: lets go. No more calls of onProgress. Idempotent. */
  close(): Promise<void>;
  /** Stepped mode: one unit of work: a log frame, a burst of apply, a read, a chunk of a snapshot, upkeep. False: idle. */
  step(): boolean;
  /** Stepped mode: the time by which pinned views grow old, ms. */
  setNow(ms: number): void;
  /** In-memory disk: the power fails. What was not synced is lost or torn, as `seed` decides; this storage is closed. */
  crash(seed: number): void;
  /** In-memory disk: the n-th file operation from now (1 = the next) meets `fault`. */
  failOperation(n: number, fault: DiskFault): void;
  /** In-memory disk: as `limitMemory`. */
  setCapacity(bytes: number): void;
}

const PROGRESS_NUMBERS = 12;

/**
 * Opens or formats a data folder.
 *
 * Costs: reading the log, and opening RocksDB, on other threads.
 *
 * @throws EraftError (rejects) ERAFT_DATA_LOCKED, ERAFT_DATA_MISMATCH, ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION, ERAFT_IO,
 * ERAFT_CONFIG
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const gate = new Gate(options.onProgress);
  try {
    return new NativeStorage(await loadAddon().Engine.open(engineOptions(options), gate.call), gate);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/**
 * Attaches this thread to a storage that another thread has open: results and answers come to whoever asked.
 *
 * @throws EraftError ERAFT_CLOSED when none with this token is open
 */
export function attachStorage(token: number, onProgress: () => void): Storage {
  const gate = new Gate(onProgress);
  try {
    return new NativeStorage(loadAddon().Engine.attach(token, gate.call), gate);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/** Forgets an in-memory disk that no storage uses any more. */
export function forgetMemory(name: string): void {
  loadAddon().Engine.forgetMemory(name);
}

/**
 * Limits the bytes of an in-memory disk: of the log's files, and as many of the store's tables. -1: unlimited. What exceeds
 * them meets a full disk; RocksDB's own background flushes do not. It outlives crashes.
 */
export function limitMemory(name: string, bytes: number): void {
  try {
    loadAddon().Engine.limitMemory(name, bytes);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/**
 * Has the next `writes` writes into the store of an in-memory disk fail, and the next `flushes` flushes of it. A write is tried
 * again some times before the replica gives up; a flush is not. It outlives crashes; zeros end it.
 */
export function failMemoryStore(name: string, writes: number, flushes: number): void {
  try {
    loadAddon().Engine.failMemoryStore(name, writes, flushes);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/**
 * Has stores that are opened on an in-memory disk from now on keep so many sessions of a group, instead of LIMITS.sessionsMax.
 * All replicas of a cluster must keep as many.
 */
export function limitMemorySessions(name: string, sessions: number): void {
  try {
    loadAddon().Engine.limitMemorySessions(name, sessions);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/**
 * Lets an in-memory disk rot that no storage has open: a few bits change in one frame of its log, chosen by `seed` among those
 * of which something behind them says that they were durable. Returns what was done, in one line; '' when there is no such
 * frame.
 *
 * @throws EraftError ERAFT_DATA_LOCKED while the disk is open
 */
export function rotMemory(name: string, seed: number): string {
  try {
    return loadAddon().Engine.rotMemory(name, seed);
  } catch (thrown) {
    throw eraftError(thrown);
  }
}

/** Lets onProgress through until `close` is called: a call may still be on its way from another thread then. */
class Gate {
  #onProgress: (() => void) | undefined;
  readonly call = (): void => this.#onProgress?.();

  constructor(onProgress: () => void) {
    this.#onProgress = onProgress;
  }

  shut(): void {
    this.#onProgress = undefined;
  }
}

class NativeStorage implements Storage {
  readonly log: LogStore;
  readonly machine: StateMachine;
  readonly snapshots: SnapshotStore;
  readonly token: number;
  readonly #engine: Engine;
  readonly #gate: Gate;
  readonly #numbers = new Float64Array(PROGRESS_NUMBERS);
  readonly #progress: Progress = {
    durable: 0,
    durableVotes: 0,
    failed: 0,
    diskFull: false,
    syncPendingMicros: 0,
    resultsBytes: 0,
    answersBytes: 0,
    logBytes: 0,
    storeBytes: 0,
    queuedBytes: 0,
    applyRuns: 0,
    flushRuns: 0,
  };
  #identity: StorageIdentity;
  #closing: Promise<void> | undefined;

  constructor(engine: Engine, gate: Gate) {
    this.#engine = engine;
    this.#gate = gate;
    this.log = new NativeLogStore(engine);
    this.machine = new NativeStateMachine(engine);
    this.snapshots = new NativeSnapshotStore(engine);
    this.token = engine.token;
    this.#identity = engine.identity();
  }

  get identity(): StorageIdentity {
    return this.#identity;
  }

  groups(): readonly GroupRecovery[] {
    return this.#engine.groups();
  }

  poll(): Progress {
    const n = this.#numbers;
    this.#engine.poll(n);
    const p = this.#progress;
    p.durable = n[0] as number;
    p.failed = n[1] as number;
    p.diskFull = n[2] !== 0;
    p.syncPendingMicros = n[3] as number;
    p.resultsBytes = n[4] as number;
    p.answersBytes = n[5] as number;
    p.logBytes = n[6] as number;
    p.storeBytes = n[7] as number;
    p.queuedBytes = n[8] as number;
    p.applyRuns = n[9] as number;
    p.flushRuns = n[10] as number;
    p.durableVotes = n[11] as number;
    return p;
  }

  failure(): EraftError | undefined {
    const message = this.#engine.failure();
    if (message === null) return undefined;
    const code = errorCodeOf(this.poll().failed) ?? 'ERAFT_FAILED';
    return new EraftError(code, message, { outcome: 'unknown' });
  }

  answers(out: Uint8Array, outStart: number): number {
    return this.#engine.answers(out, outStart);
  }

  setMemberKnown(): void {
    try {
      this.#engine.setMemberKnown();
      this.#identity = this.#engine.identity();
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  setRepaired(group: number): void {
    try {
      this.#engine.setRepaired(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  stats(): StorageStats {
    try {
      return this.#engine.stats();
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  digest(group: number): StorageDigest {
    try {
      return this.#engine.digest(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  durable(group: number): DurableLog {
    try {
      return this.#engine.durable(group);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  close(): Promise<void> {
    this.#gate.shut();
    this.#closing ??= this.#engine.close();
    return this.#closing;
  }

  step(): boolean {
    try {
      return this.#engine.step();
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  setNow(ms: number): void {
    this.#engine.setNow(ms);
  }

  crash(seed: number): void {
    try {
      this.#engine.crash(seed);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  failOperation(n: number, fault: DiskFault): void {
    try {
      this.#engine.failOperation(n, fault);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }

  setCapacity(bytes: number): void {
    try {
      this.#engine.setCapacity(bytes);
    } catch (thrown) {
      throw eraftError(thrown);
    }
  }
}
