// What a cluster says of itself: the JSON of a StatusReply. docs/protocol.md describes each field.
import { malformed } from './table.js';

/**
 * What a replica is doing. `blank`: it has never taken part and asks its peers before it does. `unknown`: the cluster
 * knows another uid in its place (an emptied disk). `failed`: it has met an error that it cannot survive. `unreachable`:
 * it did not answer the replica that was asked.
 */
export type ReplicaRole =
  | 'leader'
  | 'follower'
  | 'candidate'
  | 'preCandidate'
  | 'blank'
  | 'unknown'
  | 'failed'
  | 'unreachable';

/** Another replica, as one sees it. */
export interface PeerStatus {
  readonly id: number;
  readonly address: string;
  readonly connected: boolean;
  /** 16 hex digits; null while nobody has vouched for one. */
  readonly uid: string | null;
  /** Why it does not take us in, or we do not take it in. */
  readonly refused?: string;
  /** Seen by a leader: the last log index that it holds durably, and how it is sent the rest: probe, replicate, snapshot. */
  readonly match?: number;
  readonly sending?: string;
  /** Seen by a leader: it is so far behind that the log is no longer kept for it. */
  readonly outrun?: boolean;
}

/** One replica, as it was seen by the one that answered. Fields that nobody could tell are absent. */
export interface ReplicaStatus {
  readonly id: number;
  /** Where clients reach it: host:port. */
  readonly address: string;
  readonly reachable: boolean;
  readonly role: ReplicaRole;
  readonly term?: number;
  readonly commitIndex?: number;
  readonly appliedIndex?: number;
  /** Bytes of log on disk. */
  readonly logBytes?: number;
  readonly storeBytes?: number;
  readonly snapshotBytes?: number;
  /** The last entry in the last complete snapshot there; 0: there is none. */
  readonly snapshotIndex?: number;
  /** Its state is being replaced by a snapshot. */
  readonly installing?: boolean;
  readonly diskFull?: boolean;
  /** Why it does not take part, or what else its operator should know. */
  readonly problem?: string;
  readonly peers?: readonly PeerStatus[];
  /** Newer replicas say more. */
  readonly [more: string]: unknown;
}

export interface ClusterStatus {
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  /** The leader's replica id; null: none is known. */
  readonly leader: number | null;
  readonly replicas: readonly ReplicaStatus[];
}

/** Reads the JSON of a StatusReply. @throws ERAFT_BAD_REQUEST when it is not a ClusterStatus */
export function parseClusterStatus(json: string): ClusterStatus {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw malformed('status that is not JSON');
  }
  if (!isClusterStatus(value)) throw malformed('status with missing fields');
  return value;
}

function isClusterStatus(value: unknown): value is ClusterStatus {
  if (!isObject(value)) return false;
  const leader = value.leader;
  if (typeof value.clusterId !== 'string' || !(leader === null || typeof leader === 'number')) return false;
  const replicas = value.replicas;
  return Array.isArray(replicas) && replicas.every(isReplicaStatus);
}

function isReplicaStatus(value: unknown): value is ReplicaStatus {
  return (
    isObject(value) &&
    typeof value.id === 'number' &&
    typeof value.address === 'string' &&
    typeof value.reachable === 'boolean' &&
    typeof value.role === 'string'
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
