// ts/storage: the log, the state machine and the snapshots of one data folder, and the border to the native engine behind them.
//
// In:   sealed records to submit, indexes to apply, reads; once per event-loop turn.
// Out:  tickets, and through `poll` how far disk and state machine are; results and answers as bytes.
// Not:  which entries are committed, who leads (ts/raft, ts/host); what a batch means (Rust verifies and applies it).
// May import: ts/base, and the addon through native.ts, the only loader.
// Start at storage.ts, then log-store.ts, state-machine.ts and snapshot-store.ts.

export {
  type Inspected,
  type InspectedFolder,
  type InspectedLog,
  type InspectedLogGroup,
  type InspectedSnapshot,
  type InspectedStoreGroup,
  inspectFiles,
  restoreFolder,
} from './files.js';
export {
  INSPECTED,
  INSPECTED_NUMBERS,
  type LogStore,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
} from './log-store.js';
export { STORAGE_DEFAULTS, type StorageOptions, type StorageTuning } from './options.js';
export type { AnnouncedSnapshot, Snapshot, SnapshotStore } from './snapshot-store.js';
export {
  ANSWER_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  PEEK,
  RESULT_RECORD_HEADER_BYTES,
  type StateMachine,
} from './state-machine.js';
export {
  attachStorage,
  type DiskFault,
  type DurableLog,
  failMemoryStore,
  forgetMemory,
  type GroupRecovery,
  type LogDamage,
  limitMemory,
  limitMemorySessions,
  openStorage,
  type Progress,
  rotMemory,
  type Storage,
  type StorageDigest,
  type StorageIdentity,
  type StorageStats,
} from './storage.js';
