import type { PeerStatus, ReplicaRole } from '../proto/status.js';
import type { ReplicaId } from '../raft/messages.js';

export type { PeerStatus, ReplicaRole };

/** One replica; of one that is unreachable only the first four fields mean anything. */
export interface ReplicaStatus {
  readonly id: ReplicaId;
  /** Where clients reach it. */
  readonly address: string;
  readonly reachable: boolean;
  readonly role: ReplicaRole;
  readonly peerAddress: string;
  readonly term: number;
  readonly leader: ReplicaId;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  readonly firstIndex: number;
  readonly revision: number;
  readonly logBytes: number;
  readonly storeBytes: number;
  readonly snapshotBytes: number;
  /** The last entry in the last complete snapshot here; 0: there is none. */
  readonly snapshotIndex: number;
  /** Its state is being replaced by a snapshot: it answers no reads from what it has. */
  readonly installing: boolean;
  readonly diskFull: boolean;
  readonly uid: string;
  readonly version: string;
  readonly problem?: string;
  readonly peers: readonly PeerStatus[];
  /** The client's types allow newer replicas to say more. */
  readonly [more: string]: unknown;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly leader: ReplicaId | null;
  readonly replicas: readonly ReplicaStatus[];
}

export function unreachable(id: ReplicaId, address: string, peerAddress: string): ReplicaStatus {
  const indexes = { term: 0, leader: 0, commitIndex: 0, appliedIndex: 0, lastIndex: 0, firstIndex: 0, revision: 0 };
  const sizes = { logBytes: 0, storeBytes: 0, snapshotBytes: 0, snapshotIndex: 0, installing: false, diskFull: false };
  const who = { id, address, peerAddress, reachable: false, role: 'unreachable', uid: '', version: '' } as const;
  return { ...who, ...indexes, ...sizes, peers: [] };
}
