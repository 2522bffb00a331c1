import { EventEmitter } from 'node:events';
import { type Clock, type Random, systemClock } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import { type Logger, SILENT } from '../base/logger.js';
import { VERSION } from '../base/version.js';
import { Host } from '../host/host.js';
import { checkHostOptions, HOST_TIMES, type HostTimes, REPLICA_LIMITS, type ReplicaLimits } from '../host/options.js';
import { StorageSnapshots } from '../host/storage-snapshots.js';
import { DEFAULT_GROUP } from '../proto/frame.js';
import type { ReplicaId } from '../raft/messages.js';
import { openStorage, type Storage, type StorageOptions, type StorageTuning } from '../storage/index.js';
import { parseHostPort } from '../transport/address.js';
import type { Network } from '../transport/network.js';
import { NoNetwork } from '../transport/no-network.js';
import { TcpNetwork } from '../transport/tcp-network.js';
import { clusterIdOf } from './cluster-id.js';
import { Counters, type MetricsSnapshot } from './metrics.js';
import type { Pending } from './pending.js';
import { KvService, type LeaderHint } from './service.js';
import type { ReplicaRole } from './status.js';

/** What a replica lives in. Each part can be another one, for tests in virtual time. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly openStorage: (options: StorageOptions) => Promise<Storage>;
  readonly network: (id: ReplicaId) => Network;
}

export interface ReplicaOptions {
  /** The data folder. One replica has it open at a time. */
  readonly dir: string;
  /** 1 to 2^32 - 1. Default 1 for a store alone. */
  readonly id?: ReplicaId | undefined;
  /** Peer addresses, `host:port`, of every replica of the cluster, this one included. Empty: a store alone. */
  readonly peers?: Readonly<Record<ReplicaId, string>> | undefined;
  /** Tells clusters with the same ids apart; default 'eraft'. Must never change. */
  readonly clusterName?: string | undefined;
  /** Where to listen for peers; default `peers[id]`. */
  readonly peerListen?: string | undefined;
  /** Where clients reach this replica; told to them, and to the peers. */
  readonly clientAddress?: string | undefined;
  readonly logger?: Logger | undefined;
  /** false: an idle replica does not keep the process running. Default true. */
  readonly keepAlive?: boolean | undefined;
  readonly storage?: Partial<StorageTuning> | undefined;
  readonly limits?: Partial<ReplicaLimits> | undefined;
  /** Default 1,000: a follower waits so long, and up to as long again, before it stands for election. */
  readonly electionTimeoutMs?: number | undefined;
  /** Default 100. */
  readonly heartbeatIntervalMs?: number | undefined;
  /** Unanswered write frames, and as many read frames, of one client connection: told in the welcome. Default 256. */
  readonly inflightBatchesMax?: number | undefined;
  readonly environment?: Partial<Environment> | undefined;
}

export interface ReplicaEvents {
  leader: [leader: LeaderHint];
  state: [role: ReplicaRole, term: number];
  failed: [error: EraftError];
}

const INFLIGHT_BATCHES_MAX = 256;
const HOLD_MS = 1_000_000;
const ID_MAX = 0xffff_ffff;

/** One replica: storage, network, host and service, from recovery to the end. */
export class ReplicaNode {
  readonly id: ReplicaId;
  readonly clusterId: string;
  readonly service: KvService;
  readonly events: EventEmitter<ReplicaEvents>;
  readonly #host: Host<Pending>;
  readonly #storage: Storage;
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #firstCommit: number;
  readonly #firstApplied: number;
  #closing: Promise<void> | null = null;

  private constructor(parts: Parts, events: EventEmitter<ReplicaEvents>) {
    this.id = parts.id;
    this.clusterId = parts.storage.identity.cluster;
    this.service = parts.service;
    this.events = events;
    this.#host = parts.host;
    this.#storage = parts.storage;
    this.#network = parts.network;
    this.#clock = parts.clock;
    this.#counters = parts.counters;
    this.#firstCommit = parts.host.group.node.commit;
    this.#firstApplied = parts.host.group.applier.applied;
    parts.service.onLeaderChange((leader) => emit(events, 'leader', leader));
  }

  /**
   * Recovers, listens to its peers, and begins to take part. Resolves before a leader is known: see `ready`.
   *
   * @throws EraftError (rejects) ERAFT_CONFIG, ERAFT_DATA_LOCKED, ERAFT_DATA_MISMATCH, ERAFT_DATA_DAMAGED,
   * ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_PORT_IN_USE
   */
  static async open(options: ReplicaOptions): Promise<ReplicaNode> {
    const settings = checked(options);
    const { clock, random } = settings;
    let wake = (): void => undefined;
    const open = options.environment?.openStorage ?? openStorage;
    const storage = await open({
      ...options.storage,
      dir: options.dir,
      replica: settings.id,
      cluster: settings.cluster,
      repair: settings.peers.size > 1, // one that is alone has nobody who could give it anything back
      onProgress: () => wake(),
    });
    try {
      const network = settings.network();
      const logger = options.logger ?? SILENT;
      const { id, limits, times, peers, clientAddress } = settings;
      const host = new Host<Pending>({
        id,
        voters: [...peers.keys()],
        group: DEFAULT_GROUP,
        storage,
        snapshotFiles: (tags) => new StorageSnapshots(storage.snapshots, DEFAULT_GROUP, tags),
        network,
        clock,
        random,
        logger,
        limits,
        times,
        clientAddress,
        peerAddress: peers.get(id) ?? '',
      });
      wake = () => host.wake();
      const events = new EventEmitter<ReplicaEvents>();
      const counters = new Counters();
      const service = new KvService({
        group: DEFAULT_GROUP,
        host,
        log: storage.log,
        machine: storage.machine,
        network,
        clock,
        limits,
        counters,
        clusterId: storage.identity.cluster,
        replica: id,
        clientAddress,
        peerAddresses: peers,
        version: VERSION,
        inflightBatchesMax: options.inflightBatchesMax ?? INFLIGHT_BATCHES_MAX,
        onState: (role, term) => emit(events, 'state', role, term),
        onFailed: (error) => emit(events, 'failed', error),
      });
      const node = new ReplicaNode({ id, service, host, storage, network, clock, counters }, events);
      await host.start(service);
      return node;
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  /**
   * Resolves when a leader is known.
   *
   * @param timeoutMs - default: as long as it takes
   * @throws EraftError (rejects) ERAFT_UNAVAILABLE, ERAFT_FAILED, ERAFT_CLOSED
   */
  ready(timeoutMs?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const hold = setInterval(() => undefined, HOLD_MS); // a pending call keeps the process running
      const settle = (error: EraftError | null): void => {
        clearInterval(hold);
        stopListening();
        this.events.off('failed', settle);
        timer?.cancel();
        if (error === null) resolve();
        else reject(error);
      };
      const late = (): void =>
        settle(new EraftError('ERAFT_UNAVAILABLE', `no leader was known within ${timeoutMs} ms`));
      const timer = timeoutMs === undefined ? null : this.#clock.after(timeoutMs, late);
      const stopListening = this.service.onLeaderChange(({ id }) => {
        if (id !== 0) settle(null);
      });
      this.events.once('failed', settle);
      if (this.#host.failure !== null) settle(this.#host.failure);
      else if (this.#closing !== null)
        settle(new EraftError('ERAFT_CLOSED', 'the replica is closed', { outcome: 'not-applied' }));
      else if (this.service.leader.id !== 0) settle(null);
    });
  }

  metrics(): MetricsSnapshot {
    const { node, applier } = this.#host.group;
    const { logBytes, storeBytes, queuedBytes, diskFull, syncPendingMicros } = this.#host.progress;
    const { commitSeconds, batchCommands, rejected, ...counts } = this.#counters;
    const down = this.#closing !== null || this.#host.failure !== null;
    return {
      role: this.service.role,
      term: node.term,
      leader: node.leader,
      commitIndex: node.commit,
      appliedIndex: applier.applied,
      lastIndex: node.lastIndex,
      revision: down ? 0 : this.#storage.machine.revision(DEFAULT_GROUP),
      logBytes,
      storeBytes,
      queuedBytes,
      diskFull: diskFull ? 1 : 0,
      logDamaged: this.#host.logDamaged ? 1 : 0,
      syncPendingSeconds: syncPendingMicros / 1e6,
      ...counts,
      committedRecords: node.commit - this.#firstCommit,
      appliedRecords: applier.applied - this.#firstApplied,
      rejected: { ...rejected },
      ...this.service.gauges,
      commitSeconds: commitSeconds.snapshot(),
      batchCommands: batchCommands.snapshot(),
      peers: this.#network
        .counters()
        .map(({ dropped, queuedBytes: _, ...peer }) => ({ ...peer, droppedMessages: dropped })),
      ...this.#host.snapshots.counts(down ? null : this.#host.snapshots.latest),
      storage: down ? undefined : this.#storage.stats(),
    };
  }

  /** Answers what is pending with ERAFT_CLOSED and an honest outcome, then closes links and storage. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#host.stop();
    this.service.close(
      (inDoubt) =>
        new EraftError('ERAFT_CLOSED', 'the replica is closed', { outcome: inDoubt ? 'unknown' : 'not-applied' }),
    );
    this.#network.flush();
    await this.#network.close();
    await this.#storage.close();
  }
}

interface Parts {
  readonly id: ReplicaId;
  readonly service: KvService;
  readonly host: Host<Pending>;
  readonly storage: Storage;
  readonly network: Network;
  readonly clock: Clock;
  readonly counters: Counters;
}

interface Settings {
  readonly id: ReplicaId;
  /** '': alone. */
  readonly cluster: string;
  readonly peers: ReadonlyMap<ReplicaId, string>;
  readonly limits: ReplicaLimits;
  readonly times: HostTimes;
  readonly clientAddress: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: () => Network;
}

/** @throws EraftError ERAFT_CONFIG */
function checked(o: ReplicaOptions): Settings {
  const peers = new Map(Object.entries(o.peers ?? {}).map(([id, address]) => [Number(id), address]));
  const alone = peers.size === 0;
  const id = o.id ?? (alone ? 1 : 0);
  if (alone) peers.set(id, o.peerListen ?? '');
  for (const peer of [id, ...peers.keys()]) {
    if (!(Number.isSafeInteger(peer) && peer >= 1 && peer <= ID_MAX)) {
      throw new EraftError('ERAFT_CONFIG', `a replica's id is an integer from 1 to ${ID_MAX}, not ${peer}`);
    }
  }
  if (!peers.has(id)) {
    throw new EraftError('ERAFT_CONFIG', `replica ${id} is not among the peers ${[...peers.keys()].join(', ')}`);
  }
  const limits = { ...REPLICA_LIMITS, ...defined(o.limits ?? {}) };
  const { electionTimeoutMs = HOST_TIMES.electionTimeoutMs, heartbeatIntervalMs = HOST_TIMES.heartbeatIntervalMs } = o;
  const times = { electionTimeoutMs, heartbeatIntervalMs };
  checkHostOptions(limits, times);
  const keepAlive = o.keepAlive ?? true;
  const clock = o.environment?.clock ?? systemClock({ keepAlive });
  const random = o.environment?.random ?? Math.random;
  const listen = o.peerListen ?? peers.get(id) ?? '';
  if (!alone) for (const address of [listen, ...peers.values()]) parseHostPort(address);
  const tcp = { id, listen, peers, clock, random, logger: o.logger ?? SILENT, keepAlive };
  const network = (): Network => {
    if (o.environment?.network !== undefined) return o.environment.network(id);
    return alone ? new NoNetwork() : new TcpNetwork({ ...tcp, queueBytesMax: limits.peerQueueBytesMax });
  };
  const cluster = alone ? '' : clusterIdOf(o.clusterName ?? 'eraft', [...peers.keys()]);
  return { id, cluster, peers, limits, times, clientAddress: o.clientAddress ?? '', clock, random, network };
}

/** What a listener throws is its owner's, and no reason for the replica to fail: it surfaces as an uncaught exception. */
function emit<K extends keyof ReplicaEvents>(
  events: EventEmitter<ReplicaEvents>,
  name: K,
  ...args: ReplicaEvents[K]
): void {
  try {
    (events as EventEmitter).emit(name, ...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function defined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}
