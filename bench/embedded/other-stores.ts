// The other stores, each in the same durable setting as eraft and in its best use; SETTINGS in store.ts tells it in words.
//
// Claim:   a put that has resolved is synced, in every one of them.
// Why:     LevelDB and RocksDB sync their log for each batch with `sync`; lmdb-js without `overlappingSync` syncs data and
//          meta page before it reports the commit (with it, only `db.flushed` would tell; that was slower).
// Checked: strace -c counts one fdatasync and more for each put of one caller, in all of them.
//
// Tried and slower: a put for each caller with `sync` (LevelDB groups only what its four threads bring together); arrays
// instead of chained batches (less than half, LevelDB); a compressed log (RocksDB).
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Gather } from './gather.js';
import type { MeasuredStore } from './store.js';

const MiB = 1024 * 1024;
/** What eraft takes by default. */
const CACHE_BYTES = 128 * MiB;
/** One size for all values, as eraft has. Of 4, 16 and 64 MiB: smaller is faster with 16 B, slower with 1 KiB. */
const MEMTABLE_BYTES = 16 * MiB;

interface Lmdb {
  put(key: string, value: Uint8Array): Promise<boolean>;
  getBinary(key: string): Buffer | undefined;
  close(): Promise<void>;
}

interface Level {
  open(): Promise<void>;
  close(): Promise<void>;
  batch(): LevelBatch;
  getMany(keys: readonly string[]): Promise<(Buffer | undefined)[]>;
}

interface ClassicLevel extends Level {
  getSync(key: string): Buffer | undefined;
}

interface LevelBatch {
  put(key: string, value: Uint8Array): unknown;
  write(options: { readonly sync: boolean }): Promise<void>;
}

interface Put {
  readonly key: string;
  readonly value: Uint8Array;
}

/** @param packages - the folder whose node_modules has them */
export type OpenOther = (packages: string, dir: string) => Promise<MeasuredStore>;

function load<M>(packages: string, name: string): M {
  return createRequire(join(packages, 'package.json'))(name) as M;
}

export const openLmdb: OpenOther = async (packages, dir) => {
  const { open } = load<{ open(options: object): Lmdb }>(packages, 'lmdb');
  const db = open({ path: join(dir, 'data'), encoding: 'binary', compression: false, overlappingSync: false });
  return {
    put: (key, value) => db.put(key, value),
    // Not getBinaryFast: its buffer is overwritten by the next get.
    get: (key) => db.getBinary(key),
    close: () => db.close(),
    pids: [],
  };
};

function syncedPuts(db: Level): Gather<Put, undefined> {
  return new Gather<Put, undefined>(async (puts) => {
    const batch = db.batch();
    for (const { key, value } of puts) batch.put(key, value);
    await batch.write({ sync: true });
    return [];
  });
}

export const openClassicLevel: OpenOther = async (packages, dir) => {
  type Constructor = new (location: string, options: object) => ClassicLevel;
  const { ClassicLevel } = load<{ ClassicLevel: Constructor }>(packages, 'classic-level');
  const db = new ClassicLevel(join(dir, 'data'), {
    keyEncoding: 'utf8',
    valueEncoding: 'buffer',
    compression: false,
    cacheSize: CACHE_BYTES,
    writeBufferSize: MEMTABLE_BYTES,
  });
  await db.open();
  const puts = syncedPuts(db);
  return {
    put: (key, value) => puts.ask({ key, value }),
    get: (key) => db.getSync(key),
    close: () => db.close(),
    pids: [],
  };
};

export const openRocksdb: OpenOther = async (packages, dir) => {
  type Constructor = new (location: string, options: object) => Level;
  const { RocksLevel } = load<{ RocksLevel: Constructor }>(packages, '@nxtedition/rocksdb');
  const db = new RocksLevel(join(dir, 'data'), {
    keyEncoding: 'utf8',
    valueEncoding: 'buffer',
    createIfMissing: true,
    compression: false,
    walCompression: false,
    cacheSize: CACHE_BYTES,
    // The memtable is a quarter of the budget.
    compaction: 'level',
    memtableMemoryBudget: 4 * MEMTABLE_BYTES,
  });
  await db.open();
  const puts = syncedPuts(db);
  const gets = new Gather((keys: readonly string[]) => db.getMany(keys));
  return {
    put: (key, value) => puts.ask({ key, value }),
    get: (key) => gets.ask(key),
    close: () => db.close(),
    pids: [],
  };
};
