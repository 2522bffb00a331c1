import type { ErrorCode } from '../base/errors.js';
import type { SnapshotCounts } from '../host/snapshots.js';
import type { ReplicaId } from '../raft/messages.js';
import type { StorageStats } from '../storage/index.js';

export interface HistogramSnapshot {
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  /** Observations per bucket, not cumulative; one more than bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** Counts observations in buckets; no allocation per observation. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
    this.#count++;
  }

  snapshot(): HistogramSnapshot {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, count: this.#count };
  }
}

/** From 100 µs to 10 s. */
export const SECONDS_BOUNDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** From 1 to 16,384. */
export const COUNT_BOUNDS: readonly number[] = Array.from({ length: 15 }, (_, i) => 2 ** i);

/** What the service counts; cumulative. */
export class Counters {
  proposals = 0;
  proposedBatches = 0;
  proposedCommands = 0;
  proposedBytes = 0;
  leaderChanges = 0;
  reads = 0;
  readRounds = 0;
  scans = 0;
  forwarded = 0;
  forwardedIn = 0;
  readonly rejected: Partial<Record<ErrorCode, number>> = {};
  readonly commitSeconds = new Histogram(SECONDS_BOUNDS);
  readonly batchCommands = new Histogram(COUNT_BOUNDS);

  reject(code: ErrorCode): void {
    this.rejected[code] = (this.rejected[code] ?? 0) + 1;
  }
}

export interface PeerMetrics {
  readonly id: ReplicaId;
  readonly connected: boolean;
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  readonly droppedMessages: number;
  readonly garbage: number;
  readonly refused: number;
}

/** Plain numbers of one moment: gauges unless said. */
export interface MetricsSnapshot extends SnapshotCounts {
  readonly role: string;
  readonly term: number;
  readonly leader: ReplicaId;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  readonly revision: number;
  readonly logBytes: number;
  readonly storeBytes: number;
  readonly queuedBytes: number;
  readonly diskFull: 0 | 1;
  /** Its log was damaged, and it does not vote yet. */
  readonly logDamaged: 0 | 1;
  readonly syncPendingSeconds: number;
  /** Cumulative: log records proposed here, and the batches, commands and bytes in them. */
  readonly proposals: number;
  readonly proposedBatches: number;
  readonly proposedCommands: number;
  readonly proposedBytes: number;
  /** Cumulative, since this process began. */
  readonly committedRecords: number;
  readonly appliedRecords: number;
  readonly leaderChanges: number;
  readonly reads: number;
  readonly readRounds: number;
  readonly scans: number;
  readonly forwarded: number;
  readonly forwardedIn: number;
  readonly rejected: Readonly<Partial<Record<ErrorCode, number>>>;
  readonly proposalsInFlight: number;
  readonly readsWaiting: number;
  readonly framesWaitingForLeader: number;
  readonly forwardsPending: number;
  /** From proposal to reply. */
  readonly commitSeconds: HistogramSnapshot;
  /** Commands in a record. */
  readonly batchCommands: HistogramSnapshot;
  readonly peers: readonly PeerMetrics[];
  readonly storage: StorageStats | undefined;
}
