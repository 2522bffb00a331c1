// What the server needs of the replica that it serves: structural, so that a test can stand in for one.
import type { EraftError } from '../base/errors.js';
import type { MetricsSnapshot } from '../kv/metrics.js';
import type { Requester } from '../kv/requester.js';
import type { ClusterStatus, ReplicaStatus } from '../kv/status.js';

export interface ServedLeader {
  /** 0: none is known. */
  readonly id: number;
  /** Where clients reach it; empty when not known. */
  readonly address: string;
}

/** A complete snapshot of this replica. */
export interface ServedSnapshot {
  readonly id: string;
  readonly index: number;
  readonly term: number;
  readonly chunks: number;
  readonly bytes: number;
}

export interface ServedSnapshots {
  /** Of what is applied here now. */
  make(): Promise<ServedSnapshot>;
  /** The same, and the log is cut behind it. */
  compact(): Promise<ServedSnapshot>;
  /** Keeps it, though newer ones are made, until it is released. */
  hold(snapshot: ServedSnapshot): { release(): void };
  /** One of its chunks, 0 to `chunks` - 1, verified. */
  read(snapshot: ServedSnapshot, chunk: number): Promise<Uint8Array>;
}

/** The part of KvService behind the fronts. */
export interface ServedService {
  readonly clusterId: string;
  readonly replica: number;
  readonly leader: ServedLeader;
  handle(frame: Uint8Array, from: Requester): void;
  onLeaderChange(listener: (leader: ServedLeader) => void): () => void;
  status(): ReplicaStatus;
  clusterStatus(timeoutMs?: number): Promise<ClusterStatus>;
  readonly snapshots: ServedSnapshots;
}

/** The part of ReplicaNode. */
export interface ServedReplica {
  readonly service: ServedService;
  metrics(): MetricsSnapshot;
}

export type { ClusterStatus, EraftError, MetricsSnapshot, ReplicaStatus, Requester };
