import { EraftError } from '../base/errors.js';
import { KiB, LIMITS, MiB } from '../base/limits.js';
import { RECORD_HEADER_BYTES } from '../storage/index.js';

/** What one replica holds at most, and how far it lets things drift. Each is an option; what goes over one is refused. */
export interface ReplicaLimits {
  /** Writes proposed here and not yet answered: bytes and frames. */
  readonly proposalBytesMax: number;
  readonly proposalFramesMax: number;
  /** Reads and scans that wait for their round, for apply or for the disk: frames. */
  readonly readFramesMax: number;
  readonly readBytesMax: number;
  /** Requests that wait for a leader to be known. */
  readonly waitingFramesMax: number;
  readonly waitingBytesMax: number;
  /** Requests forwarded to the leader and not yet answered. */
  readonly forwardFramesMax: number;
  /** Bytes that wait for one peer to take them. */
  readonly peerQueueBytesMax: number;
  /** Raft: appends, and their log bytes, on the way to one follower. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Raft: log bytes of one append. */
  readonly appendBytesMax: number;
  /** Raft: log bytes proposed and not committed. */
  readonly uncommittedBytesMax: number;
  /**
   * A larger log is cut, though a member may need it, which then gets a snapshot. Twice this while a snapshot is on its way,
   * so that its follower finds the log that comes behind. -1: the log is kept for every member, however long it grows. At
   * least four segments.
   */
  readonly maxLogBytes: number;
  /** The same, counted in entries. -1: no such limit. */
  readonly maxLogEntries: number;
  /** Newest log bytes that are kept for slower members when it is cut so; half of `maxLogBytes` at most. */
  readonly trailingLogBytes: number;
  /**
   * Log bytes per second by which a follower far behind gains on the end of the log, so that those who serve clients do not
   * notice it. No such limit as long as a majority needs that follower.
   */
  readonly catchUpBytesPerSecondMax: number;
  /** Bytes of snapshots sent per second, to all followers together. */
  readonly snapshotBytesPerSecondMax: number;
  /** Snapshots sent at once. */
  readonly snapshotStreamsMax: number;
  /** Followers apply in bulk: when so many log bytes wait, or the first of them has waited so long. */
  readonly applyLagBytesMax: number;
  readonly applyIdleMs: number;
}

export const REPLICA_LIMITS: ReplicaLimits = {
  proposalBytesMax: 64 * MiB,
  proposalFramesMax: 65_536,
  readFramesMax: 65_536,
  readBytesMax: 64 * MiB,
  waitingFramesMax: 16_384,
  waitingBytesMax: 16 * MiB,
  forwardFramesMax: 65_536,
  peerQueueBytesMax: 64 * MiB,
  inflightMessagesMax: 256,
  inflightBytesMax: 32 * MiB, // window / round trip: 3.3 GB/s at 10 ms
  appendBytesMax: 1 * MiB, // a vote or heartbeat waits behind no more on one link
  uncommittedBytesMax: 64 * MiB,
  maxLogBytes: 512 * MiB,
  maxLogEntries: -1,
  trailingLogBytes: 64 * MiB,
  catchUpBytesPerSecondMax: 8 * MiB,
  snapshotBytesPerSecondMax: 32 * MiB,
  snapshotStreamsMax: 2,
  applyLagBytesMax: 4 * MiB,
  applyIdleMs: 50,
};

export interface HostTimes {
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

export const HOST_TIMES: HostTimes = { electionTimeoutMs: 1_000, heartbeatIntervalMs: 100 };

/** Ticks are finer than heartbeats, so that replicas that time out together seldom do so in the same tick. */
export const TICKS_PER_HEARTBEAT = 2;

const NEGATIVE: ReadonlySet<string> = new Set(['maxLogBytes', 'maxLogEntries'] satisfies (keyof ReplicaLimits)[]);

/** Refuses, never repairs: a value changed behind the user's back is one that nobody can reason about. */
export function checkHostOptions(limits: ReplicaLimits, times: HostTimes): void {
  for (const [name, value] of Object.entries(limits)) {
    const least = NEGATIVE.has(name) ? -1 : 1;
    demand(
      Number.isSafeInteger(value) && value >= least,
      `limits.${name} is ${value}: it must be an integer of at least ${least}`,
    );
  }
  demand(
    limits.proposalBytesMax >= LIMITS.clientFrameBytesMax && limits.readBytesMax >= LIMITS.clientFrameBytesMax,
    `proposalBytesMax and readBytesMax must hold the largest legal frame, ${LIMITS.clientFrameBytesMax} bytes`,
  );
  demand(
    limits.appendBytesMax + LIMITS.entryBytesMax + RECORD_HEADER_BYTES + 64 * KiB <= LIMITS.peerFrameBytesMax,
    `appendBytesMax ${limits.appendBytesMax} and one entry do not fit a peer frame of ${LIMITS.peerFrameBytesMax} bytes`,
  );
  const { electionTimeoutMs, heartbeatIntervalMs } = times;
  demand(heartbeatIntervalMs >= 2, `heartbeatIntervalMs is ${heartbeatIntervalMs}: at least 2`);
  demand(
    electionTimeoutMs >= 5 * heartbeatIntervalMs,
    `electionTimeoutMs ${electionTimeoutMs} is less than five heartbeats of ${heartbeatIntervalMs} ms: a few late ones would start elections`,
  );
}

/** Half a segment holds the largest record, and whatever has to stand beside it. */
const SEGMENT_BYTES_MIN = 2 * (LIMITS.entryBytesMax + 64 * KiB);
/** The log is cut by whole segments, and two more are kept ready: so many of them make it at most twice as long as asked for. */
const LOG_SEGMENTS_MIN = 4;

/** What a user may choose for the log, in bytes. Tests choose less. */
export function checkLogSizes(segmentBytes: number, maxLogBytes: number): void {
  demand(
    segmentBytes >= SEGMENT_BYTES_MIN,
    `segmentBytes is ${segmentBytes}: at least ${SEGMENT_BYTES_MIN}, so that half of it holds the largest record`,
  );
  demand(
    maxLogBytes < 0 || maxLogBytes >= LOG_SEGMENTS_MIN * segmentBytes,
    `maxLogBytes ${maxLogBytes} is less than ${LOG_SEGMENTS_MIN} segments of ${segmentBytes} bytes: choose smaller segments, or let the log be longer`,
  );
}

function demand(holds: boolean, otherwise: string): void {
  if (!holds) throw new EraftError('ERAFT_CONFIG', otherwise);
}
