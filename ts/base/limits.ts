// The limits that a cluster shares: what one replica accepts, every other must be able to hold.

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** Constants of the format: equal on every replica, since apply depends on them. Rust has the same, checked by a test. */
export const LIMITS = {
  keyBytesMax: 4 * KiB,
  valueBytesMax: 1 * MiB,
  batchCommandsMax: 16_384, // of one CommandBatch, parts of transactions included
  batchRangesMax: 16, // deleteRange commands of one CommandBatch: each may walk deleteRangeKeysMax keys while the others wait
  batchBytesMax: 2 * MiB, // of one CommandBatch, encoded
  entryBytesMax: 4 * MiB, // of one log record: the batches of one turn
  sessionsMax: 16_384, // of one group; the least recently used one gives way
  sessionWindow: 256, // unacknowledged batches of one session
  sessionResultBytesMax: 64 * KiB, // stored for one batch; a larger result is not repeated to a duplicate
  deleteRangeKeysMax: 100_000, // one command deletes no more; a larger range needs a limit
  readKeysMax: 16_384, // of one ReadBatch
  scanPageEntriesMax: 16_384,
  scanPageBytesMax: 4 * MiB,
  clientFrameBytesMax: 4 * MiB, // header and body
  peerFrameBytesMax: 16 * MiB, // head and tail
} as const;
