// eraft/client: the client alone. Loads no native code, so that it runs wherever Node does.
export type { Bytes } from './base/bytes.js';
export { EraftError, type ErrorCode, type Outcome } from './base/errors.js';
export { Client, type ClientEvents, type ClientOptions, type ClientState } from './client/client.js';
export type {
  CallOptions,
  ClusterStatus,
  Condition,
  Decision,
  E,
  Encoding,
  Entry,
  KeyValue,
  Operation,
  ReadOptions,
  ReplicaRole,
  ReplicaStatus,
  ScanOptions,
  WriteOptions,
  Written,
} from './client/key-value.js';
