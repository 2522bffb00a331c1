import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import { decodeHello, encodeWelcome } from '../proto/control-frames.js';
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from '../proto/frame.js';
import type { ReplicaId } from '../raft/messages.js';

export interface GreetingOptions {
  readonly clusterId: string;
  readonly replica: ReplicaId;
  readonly version: string;
  /** Write frames, and as many read frames, that one connection may have unanswered; part of the welcome. */
  readonly inflightBatchesMax: number;
}

/** Holds a client's hello against what this replica is. @throws EraftError ERAFT_BAD_REQUEST, ERAFT_VERSION, ERAFT_WRONG_CLUSTER */
export function checkHello(body: Uint8Array, { clusterId }: GreetingOptions): void {
  const { versionMin, versionMax, cluster } = decodeHello(body);
  if (versionMin > PROTOCOL_VERSION_MAX || versionMax < PROTOCOL_VERSION_MIN) {
    const range = `${versionMin} to ${versionMax}`;
    throw new EraftError('ERAFT_VERSION', `the client speaks protocol ${range}, this replica ${PROTOCOL_VERSION_MAX}`);
  }
  if (cluster !== '' && cluster !== clusterId) {
    throw new EraftError('ERAFT_WRONG_CLUSTER', `this replica belongs to cluster ${clusterId}, not ${cluster}`);
  }
}

/** The whole Welcome frame. */
export function welcomeFrame({ clusterId, replica, version, inflightBatchesMax }: GreetingOptions): Uint8Array {
  return encodeWelcome({
    version: PROTOCOL_VERSION_MAX,
    features: 0n,
    cluster: clusterId,
    replica,
    server: `eraft ${version}`,
    keyBytesMax: LIMITS.keyBytesMax,
    valueBytesMax: LIMITS.valueBytesMax,
    frameBytesMax: LIMITS.clientFrameBytesMax,
    batchCommandsMax: LIMITS.batchCommandsMax,
    inflightBatchesMax,
  });
}
