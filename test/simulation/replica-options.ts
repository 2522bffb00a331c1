import { MiB } from '../../ts/base/limits.js';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import type { RunOptions } from './options.js';

/** What the replicas of a run are opened with. */
export function replicaOptions(o: RunOptions): Partial<ReplicaOptions> {
  return {
    electionTimeoutMs: o.electionTimeoutMs,
    heartbeatIntervalMs: o.heartbeatIntervalMs,
    inflightBatchesMax: o.inflightBatchesMax,
    storage: {
      segmentBytes: o.segmentBytes,
      tailBytes: o.tailBytes,
      frameBytesMax: o.frameBytesMax,
      queueBytesMax: o.queueBytesMax,
      flushLogBytes: o.flushLogBytes,
      inlineBytesMax: o.inlineBytesMax,
      resultsBytesMax: o.resultsBytesMax,
      viewsMax: o.viewsMax,
      viewIdleMs: o.viewIdleMs,
      cacheBytes: 1 * MiB,
      memtableBytes: 4 * MiB, // never full by `flushLogBytes`: RocksDB would flush when its threads like
      directIo: false,
    },
    limits: {
      maxLogBytes: o.maxLogBytes,
      maxLogEntries: o.maxLogEntries,
      trailingLogBytes: o.trailingLogBytes,
      snapshotBytesPerSecondMax: o.snapshotBytesPerSecondMax,
      snapshotStreamsMax: o.snapshotStreamsMax,
      inflightMessagesMax: o.inflightMessagesMax,
      inflightBytesMax: o.inflightBytesMax,
      appendBytesMax: o.appendBytesMax,
      uncommittedBytesMax: o.uncommittedBytesMax,
      applyLagBytesMax: o.applyLagBytesMax,
      applyIdleMs: o.applyIdleMs,
      proposalFramesMax: o.proposalFramesMax,
      readFramesMax: o.readFramesMax,
      waitingFramesMax: o.waitingFramesMax,
      forwardFramesMax: o.forwardFramesMax,
    },
  };
}
