import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { KiB, MiB } from '../base/limits.js';
import type { EngineOptions } from './native.js';

/** How log and store use memory and disk. Sizes in bytes. */
export interface StorageTuning {
  /** Of one log file: whole pages of 4096 bytes. Half of it must hold the largest record. Truncation frees whole files. */
  readonly segmentBytes: number;
  /** Log records kept in memory for replication and apply. */
  readonly tailBytes: number;
  /** One write to the log takes no further record beyond this: how long a vote may wait for records. */
  readonly frameBytesMax: number;
  /** Write the log past the page cache, where the file system can. */
  readonly directIo: boolean;
  /** Memory for reads: three quarters for table blocks, the rest for values that were read lately. */
  readonly cacheBytes: number;
  /** Data in memory before it is flushed to a table; up to three of them exist. */
  readonly memtableBytes: number;
  readonly compression: 'lz4' | 'zstd' | 'none';
  /** Threads for reads that memory cannot answer. */
  readonly readThreads: number;
  /** A burst of log records up to this size may be applied on the JavaScript thread; 0: never. */
  readonly inlineBytesMax: number;
  /** Log bytes submitted and not yet on disk, above which submit refuses with ERAFT_OVERLOADED. */
  readonly queueBytesMax: number;
  /** Results not yet taken, above which apply waits. */
  readonly resultsBytesMax: number;
  /** Answers not yet taken, above which reads are answered with ERAFT_OVERLOADED. */
  readonly answersBytesMax: number;
  /** Applied log bytes after which the store is flushed, so that the log can be truncated. */
  readonly flushLogBytes: number;
  /** Pinned views of scans at once. */
  readonly viewsMax: number;
  /** After which an unused pinned view is released. */
  readonly viewIdleMs: number;
}

export const STORAGE_DEFAULTS: StorageTuning = {
  segmentBytes: 64 * MiB,
  tailBytes: 64 * MiB,
  frameBytesMax: 1 * MiB, // some 1 ms of a solid state disk
  directIo: true,
  cacheBytes: 128 * MiB,
  memtableBytes: 64 * MiB,
  compression: 'lz4',
  readThreads: 2,
  inlineBytesMax: 64 * KiB,
  queueBytesMax: 64 * MiB,
  resultsBytesMax: 16 * MiB,
  answersBytesMax: 64 * MiB,
  flushLogBytes: 128 * MiB,
  viewsMax: 64,
  viewIdleMs: 30_000,
};

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface StorageOptions extends Optional<StorageTuning> {
  /** The data folder; created when absent. */
  readonly dir: string;
  /** 1 to 2^32 - 1. */
  readonly replica: number;
  /** 32 hexadecimal digits. '': whatever the folder holds, random when it is formatted (a store alone). */
  readonly cluster: string;
  /** Called when there is something to poll, once until `poll`. Never keeps the process alive; never called when stepped. */
  readonly onProgress: () => void;
  /** 'stepped': no threads; everything happens in `step`. For simulation. Default 'threads'. */
  readonly mode?: 'threads' | 'stepped' | undefined;
  /** Name of an in-memory disk of this process, instead of the real one. For simulation. */
  readonly memory?: string | undefined;
  /**
   * Open a folder whose log is damaged, instead of refusing it with ERAFT_DATA_DAMAGED. It comes with what stands before the
   * damage; the rest is set aside in the folder, and nothing is deleted. `GroupRecovery.damaged` then says what may be missing,
   * at this and every later opening, until `Storage.setRepaired`: such a replica may neither vote nor acknowledge. For a replica
   * with others that can give it everything back; one that is alone would lose what it has acknowledged. Default false.
   */
  readonly repair?: boolean | undefined;
  /** 64 hexadecimal digits of randomness, others at each opening. Default: from the operating system. */
  readonly entropy?: string | undefined;
}

/** Every option explicit, as the addon wants them. Nothing is repaired: the addon refuses what cannot be. */
export function engineOptions(o: StorageOptions): EngineOptions {
  const memory = o.memory ?? '';
  return {
    dir: memory === '' ? resolve(o.dir) : o.dir,
    replica: o.replica,
    cluster: o.cluster,
    entropy: o.entropy ?? randomBytes(32).toString('hex'),
    mode: o.mode ?? 'threads',
    memory,
    repair: o.repair ?? false,
    ...tuning(o),
  };
}

function tuning(o: Optional<StorageTuning>): StorageTuning {
  const d = STORAGE_DEFAULTS;
  return {
    segmentBytes: o.segmentBytes ?? d.segmentBytes,
    tailBytes: o.tailBytes ?? d.tailBytes,
    frameBytesMax: o.frameBytesMax ?? d.frameBytesMax,
    directIo: o.directIo ?? d.directIo,
    cacheBytes: o.cacheBytes ?? d.cacheBytes,
    memtableBytes: o.memtableBytes ?? d.memtableBytes,
    compression: o.compression ?? d.compression,
    readThreads: o.readThreads ?? d.readThreads,
    inlineBytesMax: o.inlineBytesMax ?? d.inlineBytesMax,
    queueBytesMax: o.queueBytesMax ?? d.queueBytesMax,
    resultsBytesMax: o.resultsBytesMax ?? d.resultsBytesMax,
    answersBytesMax: o.answersBytesMax ?? d.answersBytesMax,
    flushLogBytes: o.flushLogBytes ?? d.flushLogBytes,
    viewsMax: o.viewsMax ?? d.viewsMax,
    viewIdleMs: o.viewIdleMs ?? d.viewIdleMs,
  };
}
