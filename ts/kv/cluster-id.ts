import { createHash } from 'node:crypto';
import type { ReplicaId } from '../raft/messages.js';

/**
 * The id of a cluster: 32 hex digits of a hash of its name and its first members' ids. Not of their addresses: those may
 * change, and a replica that finds itself among strangers with the same ids is told by its uid.
 */
export function clusterIdOf(name: string, ids: readonly ReplicaId[]): string {
  const members = [...ids].sort((a, b) => a - b).join(',');
  return createHash('sha256').update(`eraft cluster\n${name}\n${members}`).digest('hex').slice(0, 32);
}
