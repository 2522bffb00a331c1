// What a measurement asks of a store, and the stores there are.

export const SYSTEMS = ['eraft', 'eraft-3', 'lmdb', 'classic-level', 'rocksdb'] as const;
export type SystemName = (typeof SYSTEMS)[number];

/** How each store is used, for whoever reads the figures. Every put is on disk, synced, when its promise resolves. */
export const SETTINGS: Readonly<Record<SystemName, string>> = {
  eraft: 'Store, one replica; gets are linearizable, from a promise',
  'eraft-3': 'Store, three replicas as three processes, callers in the leader; synced by a majority',
  lmdb: 'lmdb-js, overlappingSync off: its own batch of a turn, synced before puts resolve; getBinary, synchronous',
  'classic-level': 'LevelDB, one batch of a turn, sync on, no compression, memtable 16 MiB, cache 128 MiB; getSync',
  rocksdb:
    '@nxtedition/rocksdb, one batch of a turn, sync on, log and tables not compressed, memtable 16 MiB, cache 128 MiB; getMany of a turn',
};

export interface MeasuredStore {
  /** Resolves when it is synced. */
  put(key: string, value: Uint8Array): Promise<unknown>;
  /** Memory that belongs to the caller. Synchronous where that is how the store is best used. */
  get(key: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  close(): Promise<unknown>;
  /** Further processes that work for the store. */
  readonly pids: readonly number[];
}
