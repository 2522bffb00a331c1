// Replicas of one cluster in one process and in virtual time, over the engine that ships, stepped, on disks in memory.
import type { ReplicaNode, ReplicaOptions } from '../../ts/kv/replica.js';
import { forgetMemory } from '../../ts/storage/index.js';
import { MemoryHub } from '../../ts/transport/memory-network.js';
import { ProcessClock, VirtualTime } from '../host/virtual-clock.js';
import { Replica, type ReplicaWatch, type Surroundings } from './replica.js';

const MiB = 1024 * 1024;
const SMALL = { segmentBytes: 16 * MiB, tailBytes: 4 * MiB, cacheBytes: 4 * MiB, memtableBytes: 4 * MiB };

export interface ClusterOptions {
  readonly ids: readonly number[];
  readonly random: () => number;
  readonly options?: Partial<ReplicaOptions>;
  readonly sessionsMax?: number;
  readonly rateOf?: (id: number) => number;
  readonly diskMs?: (id: number) => number;
  readonly watch?: ReplicaWatch;
}

let clusters = 0;

export class Cluster implements AsyncDisposable {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly hub: MemoryHub;
  readonly ids: readonly number[];
  readonly #replicas = new Map<number, Replica>();
  readonly #disks = new Set<string>();

  constructor(o: ClusterOptions) {
    this.random = o.random;
    this.ids = o.ids;
    const clock = new ProcessClock(this.time);
    this.hub = new MemoryHub({ clock, random: this.random, delayMs: 0.2, jitterMs: 1, queueBytesMax: 64 * MiB });
    const surroundings: Surroundings = {
      time: this.time,
      hub: this.hub,
      random: this.random,
      ids: o.ids,
      name: `simulation-${process.pid}-${clusters++}`,
      options: { ...o.options, storage: { ...SMALL, ...o.options?.storage } },
      sessionsMax: o.sessionsMax,
      rateOf: o.rateOf ?? (() => 1),
      diskMs: o.diskMs ?? (() => 0.1 + 0.4 * this.random()),
      watch: o.watch ?? {},
    };
    for (const id of o.ids) this.#replicas.set(id, new Replica(id, surroundings));
  }

  get replicas(): IterableIterator<Replica> {
    return this.#replicas.values();
  }

  /** The running process, or what is left of the last one. */
  process(id: number): Replica {
    const found = this.#replicas.get(id);
    if (found === undefined) throw new Error(`no replica ${id}`);
    return found;
  }

  node(id: number): ReplicaNode {
    const { node } = this.process(id);
    if (node === null) throw new Error(`replica ${id} is not running`);
    return node;
  }

  async start(id: number): Promise<void> {
    const replica = this.process(id);
    this.#disks.add(replica.memory);
    await replica.start();
  }

  /** The power fails: what was not synced is lost or torn. */
  crash(id: number): Promise<void> {
    return this.process(id).crash();
  }

  /** The next start finds an empty disk. */
  wipe(id: number): void {
    this.process(id).wipe();
  }

  /** A leader that a majority of the running replicas follow. */
  leader(among: readonly number[] = this.ids): number {
    const rafts = among.flatMap((id) => this.process(id).raft ?? []);
    for (const { id, role, term } of rafts) {
      if (role !== 'leader') continue;
      if (rafts.filter((other) => other.leader === id && other.term === term).length * 2 > this.ids.length) return id;
    }
    return 0;
  }

  describe(): string {
    return [...this.replicas]
      .map(({ id, node, log }) => {
        const status = node?.service.status();
        const what = status === undefined ? 'down' : JSON.stringify({ ...status, peers: undefined });
        return `${id}: ${what}\n  ${log.slice(-8).join('\n  ')}`;
      })
      .join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.replicas) if (replica.node !== null || replica.storage !== null) await replica.crash();
    for (const disk of this.#disks) forgetMemory(disk);
  }
}
