import type { Clock } from '../base/clock.js';
import { EraftError, type ErrorCode } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { PEER_FRAME } from '../proto/peer-frames.js';
import { decodeSnapshotChunk, decodeSnapshotOffer, decodeSnapshotWant } from '../proto/snapshot-frames.js';
import type { ReplicaId, SnapshotMessage } from '../raft/messages.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { SnapshotPoint } from '../raft/ready.js';
import type { Network } from '../transport/network.js';
import type { Applier } from './applier.js';
import type { ReplicaLimits } from './options.js';
import type { Done, SnapshotFiles, SnapshotInfo } from './snapshot-files.js';
import { SnapshotReceiver } from './snapshot-receiver.js';
import { SnapshotSender } from './snapshot-sender.js';

/** After a snapshot could not be made. */
const RETRY_MS = 1_000;

/** An installation that ends with one of these has changed nothing; any other error has ended the storage. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set([
  'ERAFT_BAD_REQUEST',
  'ERAFT_DATA_DAMAGED',
  'ERAFT_DATA_MISMATCH',
  'ERAFT_DATA_VERSION',
  'ERAFT_DISK_FULL',
  'ERAFT_OVERLOADED',
  'ERAFT_SNAPSHOT_LOST',
]);

export interface SnapshotsOptions {
  readonly group: number;
  readonly node: RaftNode;
  readonly applier: Applier;
  readonly files: SnapshotFiles;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  readonly sent: () => void;
  readonly fail: (error: EraftError) => void;
  /** What to note of the members with a snapshot whose membership is `conf`. */
  readonly noting: (conf: Uint8Array) => Uint8Array;
  /** State machine and log are those of this snapshot now, and `conf` is noted: everything that knew others is to learn it. */
  readonly onInstalled: (info: SnapshotInfo, conf: Uint8Array) => void;
}

/** For metrics: the last complete snapshot here, and what was done since this process began. */
export interface SnapshotCounts {
  readonly snapshotIndex: number;
  readonly snapshotBytes: number;
  readonly snapshotStreams: number;
  readonly snapshotInstalling: 0 | 1;
  readonly snapshotsMade: number;
  readonly snapshotsSent: number;
  readonly snapshotsInstalled: number;
  readonly snapshotSentBytes: number;
  readonly snapshotReceivedBytes: number;
}

/** What a host does about snapshots of one group: has them made, sends and receives them, and installs what it received. */
export class Snapshots {
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly files: SnapshotFiles;
  readonly #o: SnapshotsOptions;
  #making = false;
  #makingFrom = Number.POSITIVE_INFINITY; // its index will not be below this
  #makeNotBefore = Number.NEGATIVE_INFINITY;
  #waiting: Done<SnapshotInfo>[] = [];
  #install: SnapshotPoint | null = null; // waits for what is being applied
  #made = 0;
  #installed = 0;
  #stopped = false;

  constructor(options: SnapshotsOptions) {
    this.#o = options;
    this.files = options.files;
    this.sender = new SnapshotSender({ ...options, want: () => this.#want() });
    this.receiver = new SnapshotReceiver(options);
  }

  /** The last one that was made or received here; null: none. */
  get latest(): SnapshotInfo | null {
    return this.files.latest();
  }

  /** @param latest - null when the storage cannot be asked any more */
  counts(latest: SnapshotInfo | null): SnapshotCounts {
    return {
      snapshotIndex: latest?.index ?? 0,
      snapshotBytes: latest?.bytes ?? 0,
      snapshotStreams: this.sender.streams,
      snapshotInstalling: this.#o.node.installing ? 1 : 0,
      snapshotsMade: this.#made,
      snapshotsSent: this.sender.sentSnapshots,
      snapshotsInstalled: this.#installed,
      snapshotSentBytes: this.sender.sentBytes,
      snapshotReceivedBytes: this.receiver.receivedBytes,
    };
  }

  /** The log behind here is needed by followers that get a snapshot now, or will get the one that is being made. */
  get keepsLogFrom(): number {
    return Math.min(this.#makingFrom, this.sender.keepsLogFrom);
  }

  /** Makes one of the present, or waits for the one that is being made. */
  make(done: Done<SnapshotInfo>): void {
    this.#waiting.push(done);
    if (!this.#making) this.#make();
  }

  /** @throws EraftError ERAFT_BAD_REQUEST */
  onFrame(from: ReplicaId, kind: number, head: Uint8Array, tail: Uint8Array): void {
    if (kind === PEER_FRAME.snapshotOffer) this.receiver.onOffer(from, decodeSnapshotOffer(head));
    else if (kind === PEER_FRAME.snapshotChunk) this.receiver.onChunk(from, decodeSnapshotChunk(head), tail);
    else this.sender.onWant(from, decodeSnapshotWant(head));
  }

  mayStep(m: SnapshotMessage): boolean {
    return this.receiver.mayStep(m);
  }

  /**
   * The core has said so in a Ready.
   *
   * SAFETY: the store is replaced while runs of entries may be on their way into it.
   * Claim:   nothing is applied between the moment in which the installation is asked for and its end.
   * Why:     the core allows no more from here on, the applier starts no run while it is held, and the installation is
   *          asked for when those that had been started are done.
   * Rests:   the engine shuts apply out as well (engine/snapshots/install.rs).
   * Checked: test/host/snapshots.test.ts.
   */
  install(point: SnapshotPoint): void {
    this.#o.applier.hold();
    this.#install = point;
  }

  /** Goes on with whatever can go on: once per turn. */
  advance(): void {
    const point = this.#install;
    if (point !== null && this.#o.applier.runs === 0) {
      this.#install = null;
      this.#begin(point);
    }
    this.sender.advance();
  }

  /** No stream begins or goes on: what is under way only hears that its answers do not come. */
  stop(): void {
    this.#stopped = true;
  }

  #begin(point: SnapshotPoint): void {
    const info = this.receiver.held(point);
    if (info === null) {
      this.#notInstalled(point, new EraftError('ERAFT_SNAPSHOT_LOST', 'the snapshot is gone'));
      return;
    }
    this.#o.logger.info('a snapshot is being installed', { index: point.index, bytes: info.bytes });
    const conf = this.#o.noting(info.conf);
    this.#o.files.install(point, conf, (error) => {
      if (error !== null) {
        this.#notInstalled(point, error);
        return;
      }
      this.#installed += 1;
      this.receiver.onInstalled(true);
      this.#o.logger.info('a snapshot has been installed', { index: point.index });
      this.#o.onInstalled(info, conf);
    });
  }

  #notInstalled(point: SnapshotPoint, error: EraftError): void {
    if (!HARMLESS.has(error.code)) {
      this.#o.fail(error);
      return;
    }
    this.#o.logger.warn('a snapshot could not be installed; nothing was touched', { index: point.index, error });
    this.receiver.onInstalled(false);
    this.#o.applier.release();
    this.#o.node.onInstallFailed(point.index);
  }

  #want(): void {
    if (!this.#making && this.#o.clock.now() >= this.#makeNotBefore) this.#make();
  }

  #make(): void {
    this.#making = true;
    this.#makingFrom = this.#o.applier.applied;
    this.#o.files.make((error, info) => {
      this.#making = false;
      this.#makingFrom = Number.POSITIVE_INFINITY;
      const { clock, logger } = this.#o;
      if (info === null) {
        this.#makeNotBefore = clock.now() + RETRY_MS;
        logger.warn('a snapshot could not be made', { error });
      } else {
        this.#made += 1;
        logger.info('a snapshot was made', { index: info.index, bytes: info.bytes });
      }
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const done of waiting) done(error, info);
      if (!this.#stopped) this.sender.advance();
    });
  }
}
