// ts/host: what joins the pure core, the log and state machine, and the network. The only room that has turns and timers.
//
// In:   frames of peers (NetworkHost), progress of the storage, proposals and reads of the service above (HostService).
// Out:  records to the log, frames to peers, entries to the state machine; then what became of proposals and reads.
// Not:  what a command means, clients, sessions (ts/kv). What Raft says (ts/raft): the host does as a Ready tells it.
// May import: ts/raft, ts/base, ts/proto, ts/storage, ts/transport.
//
// host.ts is the event loop of one replica: turns, ticks, failure. What it runs:
//   group.ts      one group: Ready to writes, messages, applied entries     admission.ts   who may take part (membership.ts: why)
//   proposals.ts  the commands of a turn, as records                        inbound.ts     a leader's records, checked
//   outbox.ts     the messages of a turn, as one frame for each peer        applier.ts     when entries are applied
//   pulse.ts      ticks, and what a pause means                             disk-watch.ts  a stalled disk, a long log
//   commit-news.ts  when followers hear how far the commit index is     snapshots.ts    made, sent, received, installed
// Start at Host.#turn: that is the order in which everything happens.
import type { Clock, Random } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { decodeRaftFrame, PEER_FRAME } from '../proto/peer-frames.js';
import type { PeerHello } from '../proto/peer-hello.js';
import { malformed } from '../proto/table.js';
import type { ReplicaId } from '../raft/messages.js';
import type { GroupRecovery, Progress, Storage } from '../storage/index.js';
import type { Network, NetworkHost } from '../transport/network.js';
import { Admission, type PeerFacts } from './admission.js';
import { Answers } from './answers.js';
import { DiskWatch } from './disk-watch.js';
import { Group, type GroupListener } from './group.js';
import type { Membership } from './membership.js';
import { type HostTimes, type ReplicaLimits, TICKS_PER_HEARTBEAT } from './options.js';
import { Outbox } from './outbox.js';
import { Pulse } from './pulse.js';
import type { SnapshotFiles, SnapshotInfo } from './snapshot-files.js';
import { Snapshots } from './snapshots.js';
import { Tags } from './tags.js';

/** The service above the groups, as the host calls it. None of these may throw, but for errors of the storage. */
export interface HostService<W> extends GroupListener<W> {
  /** The turn's own work first: give proposals to the group, ask it for reads. */
  beforeTurn(): void;
  /** Results, applied indexes and answered rounds are in: answer whom they answer. True: something was handed to the storage. */
  afterApply(): boolean;
  /** Role, term or leader are no longer what they were. */
  onRole(): void;
  onTick(now: number): void;
  onForward(from: ReplicaId, kind: number, head: Uint8Array, tail: Uint8Array): void;
  onConnected(id: ReplicaId, connected: boolean): void;
  /** Nothing will be answered any more. */
  onFailed(error: EraftError): void;
}

export interface HostOptions {
  readonly id: ReplicaId;
  readonly voters: readonly ReplicaId[];
  readonly group: number;
  readonly storage: Storage;
  readonly snapshotFiles: (tags: Tags) => SnapshotFiles;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  readonly times: HostTimes;
  readonly clientAddress: string;
  readonly peerAddress: string;
}

export type { PeerFacts } from './admission.js';

export class Host<W> implements NetworkHost {
  readonly group: Group<W>;
  readonly tags = new Tags();
  readonly answers: Answers;
  readonly snapshots: Snapshots;
  failure: EraftError | null = null;
  readonly #options: HostOptions;
  readonly #admission: Admission;
  readonly #outbox: Outbox;
  readonly #pulse: Pulse;
  readonly #disk: DiskWatch<W>;
  #service: HostService<W> | null = null;
  #progress: Progress;
  #turnAsked = false;
  #sent = false;
  #stopped = false;
  #seen = { role: '', term: 0, leader: 0 };

  constructor(options: HostOptions) {
    const { storage, times, id, group } = options;
    this.#options = options;
    const tickMs = times.heartbeatIntervalMs / TICKS_PER_HEARTBEAT;
    this.#pulse = new Pulse(options.clock, tickMs, 2 * times.heartbeatIntervalMs, (now, afterPause) => {
      if (afterPause) options.logger.warn('this process stood still', { replica: id });
      this.#tick(now, afterPause);
    });
    this.#outbox = new Outbox(options.network, storage.log, this.tags);
    this.#progress = storage.poll();
    this.answers = new Answers(storage, this.tags);
    const recovery = storage.groups().find((g) => g.group === group) ?? nothingOf(group);
    this.#admission = new Admission(
      { ...options, onStanding: () => this.#onStanding(), term: () => this.group.node.term },
      recovery,
    );
    const electionTicks = Math.ceil(times.electionTimeoutMs / tickMs);
    this.group = new Group<W>({
      group,
      log: storage.log,
      machine: storage.machine,
      recovery,
      membership: this.membership,
      outbox: this.#outbox,
      clock: options.clock,
      logger: options.logger,
      limits: options.limits,
      tickMs,
      electionTicks,
      heartbeatTicks: TICKS_PER_HEARTBEAT,
      jitter: () => Math.min(electionTicks - 1, Math.floor(options.random() * electionTicks)),
      wake: () => this.wake(),
      onConf: (index, corrected) => this.#admission.onConf(index, corrected),
      onNeedSnapshot: (followers) => this.#needSnapshot(followers),
      onInstall: (point) => this.snapshots.install(point),
    });
    this.snapshots = this.#snapshots(options);
    this.group.node.mayCampaign(this.#admission.mayCampaign);
    this.#disk = new DiskWatch(this.group, { ...options, keepsLogFrom: () => this.snapshots.keepsLogFrom });
  }

  /** Takes part from now on. @throws EraftError when the network cannot be started */
  async start(service: HostService<W>): Promise<void> {
    this.#service = service;
    this.group.listen(service);
    this.#admission.admitIfKnown();
    await this.#options.network.start(this);
    this.#pulse.start();
    if (this.membership.voters.length === 1) this.group.node.campaign(); // nobody to wait for
    this.wake();
  }

  get membership(): Membership {
    return this.#admission.membership;
  }

  get peers(): ReadonlyMap<ReplicaId, PeerFacts> {
    return this.#admission.peers;
  }

  /** Why this replica does not take part, or what else its operator should know; '' = nothing. */
  get problem(): string {
    if (this.failure !== null) return this.failure.message;
    return this.#admission.problem || this.#admission.repair.problem;
  }

  get logDamaged(): boolean {
    return this.#admission.repair.phase !== 'whole';
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Asks for a turn, at the end of what arrives now. */
  wake(): void {
    if (this.#turnAsked || this.#stopped) return;
    this.#turnAsked = true;
    this.#options.clock.endOfTurn(() => this.#turn());
  }

  /** Something was given to the network outside of a turn. */
  sent(): void {
    this.#sent = true;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#pulse.stop();
    this.snapshots.stop();
    this.group.stop();
  }

  /** Latches: from now on this replica answers nothing, says nothing and writes nothing. The process lives on. */
  fail(cause: unknown): void {
    if (this.failure !== null || this.#stopped) return;
    const why = this.#options.storage.failure() ?? cause;
    const text = why instanceof Error ? why.message : String(why);
    const error = new EraftError(
      'ERAFT_FAILED',
      `replica ${this.#options.id} has failed and takes no part any more: ${text}`,
      {
        cause: why,
        outcome: 'unknown',
      },
    );
    this.failure = error;
    this.stop();
    this.#options.logger.error('the replica has failed', { error: why });
    this.#service?.onFailed(error);
    void this.#options.network.close();
  }

  /** Has a snapshot made, and the log cut but for its newest part. @throws EraftError (rejects) what was in the way */
  compact(): Promise<SnapshotInfo> {
    return new Promise((resolve, reject) => {
      this.snapshots.make((error, info) => {
        if (info === null) {
          reject(error);
          return;
        }
        this.#disk.request();
        resolve(info);
      });
    });
  }

  #snapshots(options: HostOptions): Snapshots {
    return new Snapshots({
      ...options,
      node: this.group.node,
      applier: this.group.applier,
      files: options.snapshotFiles(this.tags),
      sent: () => this.sent(),
      fail: (error) => this.fail(error),
      noting: (conf) => this.#admission.noting(conf),
      onInstalled: (info, conf) => {
        this.group.installed(info);
        this.#admission.onNoted(info.index, conf);
        this.wake();
      },
    });
  }

  #needSnapshot(followers: readonly ReplicaId[]): void {
    for (const id of followers) this.snapshots.sender.need(id);
    this.wake();
  }

  // ---- one turn

  #turn(): void {
    this.#turnAsked = false;
    if (this.#stopped) return;
    try {
      this.#poll();
      this.snapshots.advance();
      this.#service?.beforeTurn();
      this.group.propose();
      this.#work();
      this.group.endTurn();
    } catch (error) {
      this.fail(error);
    }
  }

  /** What the storage has done since the last turn. */
  #poll(): void {
    const { storage } = this.#options;
    this.#progress = storage.poll();
    if (this.#progress.failed !== 0) throw storage.failure() ?? new Error('the storage has failed');
    this.group.durable(this.#progress.durable);
    this.#admission.saved(this.#progress.durable);
    if (this.group.applier.progress()) this.group.node.onApplied(this.group.applier.applied);
    if (this.#progress.answersBytes > 0) this.answers.drain();
  }

  /** Ready, apply, answers; and again, as long as one of them leads to more. */
  #work(): void {
    const { group } = this;
    const service = this.#service;
    for (;;) {
      group.work();
      this.#handOut();
      if (group.applier.run((from, to) => service?.wantsResults(from, to) ?? false)) {
        group.node.onApplied(group.applier.applied);
      }
      const more = service?.afterApply() ?? false;
      if (!more && !group.node.hasReady()) break;
      if (group.isBlocked) break;
    }
    if (this.#admission.goOnWithRepair(group.node, group.isSettled)) this.wake();
    this.#tellRole();
    this.#handOut();
  }

  /** To the peers first, then to the disk: they need the longest, and the thread that writes may take this processor. */
  #handOut(): void {
    if (this.#outbox.flush() || this.#sent) this.#options.network.flush();
    this.#sent = false;
    this.#options.storage.log.write();
  }

  #tellRole(): void {
    const { role, term, leader } = this.group.node;
    const seen = this.#seen;
    if (seen.role === role && seen.term === term && seen.leader === leader) return;
    if (seen.role !== role || seen.leader !== leader) {
      this.#options.logger.info('role', { replica: this.#options.id, role, term, leader });
    }
    this.#seen = { role, term, leader };
    this.#service?.onRole();
  }

  #tick(now: number, afterPause: boolean): void {
    if (this.#stopped) return;
    try {
      if (!afterPause) this.#disk.judge(now);
      if (this.#admission.takesPart) this.group.node.tick(afterPause);
      this.#service?.onTick(now);
      this.#disk.tidy(now, this.#progress.logBytes);
    } catch (error) {
      this.fail(error);
    }
    this.wake();
  }

  #onStanding(): void {
    this.group.node.mayCampaign(this.#admission.mayCampaign);
    if (!this.#admission.takesPart) this.#service?.onRole();
    this.wake();
  }

  // ---- NetworkHost

  hello(to: ReplicaId): PeerHello {
    return this.#admission.hello(to);
  }

  judge(theirs: PeerHello, dialled: ReplicaId | null): string | null {
    return this.#admission.judge(theirs, dialled);
  }

  onHello(theirs: PeerHello): void {
    try {
      this.#admission.onHello(theirs);
      if (theirs.damaged) this.group.node.onUnreachable(theirs.replica, true);
    } catch (error) {
      this.fail(error);
    }
    this.wake();
  }

  onConnected(id: ReplicaId, connected: boolean): void {
    this.#options.logger.info(connected ? 'peer connected' : 'peer disconnected', {
      replica: this.#options.id,
      peer: id,
    });
    if (!connected) this.group.node.onUnreachable(id);
    this.snapshots.sender.onConnected(id, connected);
    this.#service?.onConnected(id, connected);
    this.wake();
  }

  onRefused(id: ReplicaId, by: 'us' | 'them', why: string): void {
    this.#admission.onRefused(id, by, why);
  }

  onFrame(from: ReplicaId, kind: number, head: Uint8Array, tail: Uint8Array): void {
    if (this.#stopped) return;
    try {
      if (kind === PEER_FRAME.raft) this.#onRaft(from, head, tail);
      else if (kind >= PEER_FRAME.snapshotOffer) this.#onSnapshotFrame(from, kind, head, tail);
      else this.#service?.onForward(from, kind, head, tail);
    } catch (error) {
      // The own storage has failed since the last turn: nothing is wrong with what the peer sent.
      if (!EraftError.is(error) || error.code !== 'ERAFT_FAILED') throw error;
      this.fail(error);
    }
    this.wake();
  }

  #onSnapshotFrame(from: ReplicaId, kind: number, head: Uint8Array, tail: Uint8Array): void {
    if (this.#admission.takesPart) this.snapshots.onFrame(from, kind, head, tail);
  }

  #onRaft(from: ReplicaId, head: Uint8Array, tail: Uint8Array): void {
    const { id } = this.#options;
    for (const incoming of decodeRaftFrame(head, tail.length)) {
      const { message, group } = incoming;
      if (message.from !== from || message.to !== id)
        throw malformed(`a message from ${message.from} to ${message.to}`);
      if (group !== this.group.group) throw malformed(`a message for group ${group}`);
      if (!this.#admission.takesPart) continue;
      this.#admission.repair.onMessage(message);
      if (message.type === 'snapshot' && !this.snapshots.mayStep(message)) continue;
      try {
        this.group.receive(incoming, tail);
      } catch (error) {
        if (EraftError.is(error) && error.code === 'ERAFT_BAD_REQUEST') throw error;
        this.fail(error);
        return;
      }
    }
  }
}

function nothingOf(group: number): GroupRecovery {
  const zeros = { term: 0, vote: 0, commit: 0, compactedIndex: 0, compactedTerm: 0, lastIndex: 0, lastTime: 0 };
  const applied = { appliedIndex: 0, appliedTerm: 0, appliedRevision: 0, flushedIndex: 0 };
  const nothing = { termRuns: new Float64Array(0), sizes: new Uint32Array(0), confIndex: 0 };
  return { group, ...zeros, ...applied, ...nothing, nextRevision: 0 };
}
