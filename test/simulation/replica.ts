// One replica of a simulated cluster: its process, which comes and goes, and its disk, which stays.
import type { EraftError } from '../../ts/base/errors.js';
import type { Logger } from '../../ts/base/logger.js';
import type { Host } from '../../ts/host/host.js';
import { REPLICA_LIMITS, type ReplicaLimits } from '../../ts/host/options.js';
import type { Pending } from '../../ts/kv/pending.js';
import { ReplicaNode, type ReplicaOptions } from '../../ts/kv/replica.js';
import { DEFAULT_GROUP } from '../../ts/proto/frame.js';
import type { RaftNode } from '../../ts/raft/index.js';
import {
  failMemoryStore,
  limitMemory,
  limitMemorySessions,
  openStorage,
  rotMemory,
  STORAGE_DEFAULTS,
  type Storage,
  type StorageOptions,
  type StorageTuning,
} from '../../ts/storage/index.js';
import type { MemoryHub, MemoryNetwork } from '../../ts/transport/memory-network.js';
import { ProcessClock, type VirtualTime } from '../host/virtual-clock.js';
import { DiskImage, type Head, type Recovered, type Submission } from './disk-image.js';
import { WatchedStorage } from './watched-storage.js';

/** What a replica lives in. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly hub: MemoryHub;
  readonly random: () => number;
  readonly ids: readonly number[];
  /** Names the disks of this cluster, and is free for others when it is disposed of. */
  readonly name: string;
  readonly options: Partial<ReplicaOptions>;
  /** Sessions of the cluster; undefined: as many as it ships with. */
  readonly sessionsMax?: number | undefined;
  readonly rateOf: (id: number) => number;
  /** From work that is asked of a disk, or a unit of it, to the end of the next unit; ms. */
  readonly diskMs: (id: number) => number;
  /** Somebody who watches; all of it may be left out. */
  readonly watch: ReplicaWatch;
}

export interface ReplicaWatch {
  /** Something of this replica happens now. */
  touched?(replica: Replica): void;
  /** Records that some replica is going to submit, valid during the call. */
  records?(slab: Uint8Array, start: number, end: number): void;
  submitted?(replica: Replica, submission: Submission): void;
  started?(replica: Replica, recovered: Recovered | null): void;
  /** The entries up to this one, as some disk has had them. */
  history?(index: number, term: number): readonly Head[];
  log?(replica: Replica, line: string): void;
}

const TELL_TIME_MS = 100;
const LINES_KEPT = 200;

export class Replica {
  readonly id: number;
  /** Another number: another disk, empty at first. */
  disk = 0;
  /** What the disk should hold. */
  image = new DiskImage();
  /** What a disk held that was taken away: promises that were true when they were made. */
  lost: DiskImage | null = null;
  node: ReplicaNode | null = null;
  storage: Storage | null = null;
  clock: ProcessClock | null = null;
  endpoint: MemoryNetwork | null = null;
  /** Each unit of work takes so many times as long. */
  slowness = 1;
  failed: EraftError | null = null;
  limited = false;
  /** Where bits of its disk have changed in what was acknowledged; '' = nowhere. */
  rotten = '';
  /** Its log was damaged, and the others have not given everything back yet: `lost` is what it had. */
  repairing = false;
  /** It has voted or acknowledged, or may have. */
  hasBeenMember = false;
  readonly log: string[] = [];
  /** What it may hold at most. */
  readonly bounds: ReplicaLimits & StorageTuning;
  readonly #in: Surroundings;
  #working = false;
  #stalled = false;
  #onProgress: () => void = () => undefined;

  constructor(id: number, surroundings: Surroundings) {
    this.id = id;
    this.#in = surroundings;
    const { limits, storage } = surroundings.options;
    this.bounds = { ...REPLICA_LIMITS, ...STORAGE_DEFAULTS, ...limits, ...storage };
  }

  /** The disk does nothing while it is true. */
  get stalled(): boolean {
    return this.#stalled;
  }

  set stalled(stalled: boolean) {
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#work();
  }

  get memory(): string {
    return `${this.#in.name}-${this.id}-${this.disk}`;
  }

  /** What decides: null while the replica is down, or has failed. */
  get host(): Host<Pending> | null {
    return (this.endpoint?.host ?? null) as Host<Pending> | null;
  }

  get raft(): RaftNode | null {
    return this.host?.group.node ?? null;
  }

  get running(): boolean {
    return this.node !== null && this.failed === null;
  }

  /** @throws EraftError (rejects) what ReplicaNode.open throws; it is down then */
  async start(): Promise<void> {
    const { time, watch, rateOf } = this.#in;
    const clock = new ProcessClock(time, rateOf(this.id));
    clock.onRun = () => watch.touched?.(this);
    this.clock = clock;
    this.failed = null;
    try {
      this.node = await this.#openNode(clock);
    } catch (error) {
      clock.end();
      this.storage = null;
      throw error;
    }
    this.node.events.on('failed', (failure) => {
      this.failed = failure;
    });
  }

  #openNode(clock: ProcessClock): Promise<ReplicaNode> {
    const { hub, random, ids, options } = this.#in;
    return ReplicaNode.open({
      dir: `/replica-${this.id}`, // stands in messages that others see
      id: this.id,
      peers: Object.fromEntries(ids.map((peer) => [peer, `replica-${peer}:2470`])),
      clientAddress: clientAddressOf(this.id),
      logger: this.#logger(),
      ...options,
      environment: {
        clock,
        random,
        network: () => {
          this.endpoint = hub.endpoint(this.id, clock);
          return this.endpoint;
        },
        openStorage: (o) => this.#open(o),
      },
    });
  }

  async #open(o: StorageOptions): Promise<Storage> {
    const { random, watch, sessionsMax } = this.#in;
    if (sessionsMax !== undefined) limitMemorySessions(this.memory, sessionsMax);
    const entropy = Array.from({ length: 64 }, () => Math.floor(random() * 16).toString(16)).join('');
    const inner = await openStorage({ ...o, mode: 'stepped', memory: this.memory, entropy });
    const found = inner.groups().find(({ group }) => group === DEFAULT_GROUP) ?? null;
    if (found?.damaged !== undefined && this.rotten !== '') {
      this.rotten = '';
      this.repairing = true;
      this.lost = this.image;
      this.image = this.lost.beginning(found);
    }
    watch.started?.(this, found);
    const storage = new WatchedStorage(inner, {
      records: (slab, start, end) => watch.records?.(slab, start, end),
      submitted: (submission) => {
        this.image.submit(submission);
        watch.submitted?.(this, submission);
      },
      durable: (ticket, votes) => this.image.confirm(ticket, votes),
      installing: (index, term) => this.image.install(watch.history?.(index, term) ?? []),
      installed: () => this.image.installed(),
      busy: () => this.#work(),
    });
    this.#onProgress = o.onProgress;
    this.#working = false;
    this.storage = storage;
    this.#tellTime(storage);
    this.#work();
    return storage;
  }

  /** Views grow old by it; and a disk that had no space may have some. */
  #tellTime(storage: Storage): void {
    if (this.storage !== storage) return;
    storage.setNow(Math.floor(this.#in.time.now()));
    this.#work();
    this.#in.time.at(this.#in.time.now() + TELL_TIME_MS, () => this.#tellTime(storage));
  }

  /** One unit of work after the other, as long as there is any. */
  #work(): void {
    const { storage } = this;
    if (storage === null || this.#working) return;
    this.#working = true;
    const { time, diskMs } = this.#in;
    time.at(time.now() + diskMs(this.id) * this.slowness, () => {
      if (this.storage !== storage) return;
      this.#working = false;
      if (this.stalled || !storage.step()) return;
      this.clock?.poll(this.#onProgress);
      this.#work();
    });
  }

  resume(): void {
    this.clock?.resume();
    if (this.endpoint?.host != null) this.#in.hub.join(this.endpoint);
  }

  /** The power fails: what was not synced is lost or torn. */
  async crash(): Promise<void> {
    const { node, storage, clock } = this;
    this.node = null;
    this.storage = null;
    clock?.end();
    storage?.crash(Math.floor(this.#in.random() * 0x1_0000_0000));
    await node?.close();
  }

  /** The process ends in good order, or as well as it can after a failure: the machine goes on. */
  async stop(): Promise<void> {
    const { node, clock } = this;
    this.node = null;
    const closing = node?.close(); // answers whom it can before the process ends
    clock?.end();
    await closing;
    this.storage = null;
  }

  /** Its disk takes no more than so many bytes from now on; -1: whatever comes. */
  limit(bytes: number): void {
    this.limited = bytes >= 0;
    limitMemory(this.memory, bytes);
    this.#work();
  }

  /** So many writes into its store fail from now on, and so many flushes. */
  failStore(writes: number, flushes: number): void {
    failMemoryStore(this.memory, writes, flushes);
  }

  /** The others have given it everything back: nothing of what it had acknowledged is lost any more. */
  repaired(): void {
    this.repairing = false;
    this.lost = null;
  }

  /** Some bits of its log change while it is down. Returns where; '' when there is nothing that was acknowledged. */
  rot(seed: number): string {
    this.rotten = rotMemory(this.memory, seed);
    return this.rotten;
  }

  /** Does it go on as if nothing was wrong, without entries that have rotted? It may hold files that it had given up before. */
  get overlooksRot(): boolean {
    const last = Number(/entries \d+ to (\d+)/.exec(this.rotten)?.[1] ?? 0);
    return last > (this.storage?.log.compacted(DEFAULT_GROUP) ?? last);
  }

  /** The next start finds an empty disk. */
  wipe(): void {
    this.disk++;
    this.lost = this.image;
    this.image = new DiskImage();
  }

  #logger(): Logger {
    const line = (level: string) => (message: string, fields?: object) => {
      const told = `${this.#in.time.now().toFixed(1)} ${level} ${message} ${JSON.stringify(fields ?? {}, withMessages)}`;
      this.log.push(told);
      if (this.log.length > LINES_KEPT) this.log.shift();
      this.#in.watch.log?.(this, told);
    };
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
  }
}

/** Errors say nothing of their message in JSON. */
function withMessages(_: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

export function clientAddressOf(id: number): string {
  return `replica-${id}:2460`;
}
