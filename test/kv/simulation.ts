// Replicas of one cluster in one process and in virtual time, over the engine that ships, stepped, on disks in memory.
import { createHash, type Hash } from 'node:crypto';
import type { EraftError } from '../../ts/base/errors.js';
import type { Logger } from '../../ts/base/logger.js';
import { ReplicaNode, type ReplicaOptions } from '../../ts/kv/replica.js';
import type { Requester } from '../../ts/kv/requester.js';
import { forgetMemory, openStorage, type Storage } from '../../ts/storage/index.js';
import { MemoryHub } from '../../ts/transport/memory-network.js';
import { ProcessClock, seeded, VirtualTime } from '../host/virtual-clock.js';
import { type Answer, readAnswer } from './frames.js';

const MiB = 1024 * 1024;
const SMALL = { segmentBytes: 16 * MiB, tailBytes: 4 * MiB, cacheBytes: 4 * MiB, memtableBytes: 4 * MiB };

/** One replica's process: what ends with it, and the disk, which does not. */
class Process {
  readonly id: number;
  disk = 0; // another number: an empty disk
  node: ReplicaNode | null = null;
  storage: Storage | null = null;
  clock: ProcessClock | null = null;
  /** Writes reach the disk only when it is false. */
  stalled = false;
  readonly log: string[] = [];
  failed: EraftError | null = null;

  constructor(id: number) {
    this.id = id;
  }
}

export interface SimulationOptions {
  readonly seed: number;
  readonly ids?: readonly number[];
  readonly options?: Partial<ReplicaOptions>;
}

let simulations = 0;

export class Simulation implements AsyncDisposable {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly hub: MemoryHub;
  readonly ids: readonly number[];
  readonly #processes = new Map<number, Process>();
  readonly #options: Partial<ReplicaOptions>;
  readonly #name: string;
  readonly #trace: Hash = createHash('sha256');
  readonly #disks = new Set<string>();

  constructor({ seed, ids = [1, 2, 3], options = {} }: SimulationOptions) {
    this.random = seeded(seed);
    this.ids = ids;
    this.#options = options;
    this.#name = `simulation-${process.pid}-${simulations++}`;
    const clock = new ProcessClock(this.time);
    this.hub = new MemoryHub({ clock, random: this.random, delayMs: 0.2, jitterMs: 1, queueBytesMax: 64 * MiB });
    this.hub.onDelivery = (from, to, frame) => this.note(`${from}>${to}`, frame);
    for (const id of ids) this.#processes.set(id, new Process(id));
  }

  static async start(options: SimulationOptions): Promise<Simulation> {
    const simulation = new Simulation(options);
    for (const id of simulation.ids) await simulation.start(id);
    return simulation;
  }

  /** All that was delivered and answered, in order, with its time. */
  get traceHash(): string {
    return this.#trace.copy().digest('hex');
  }

  note(what: string, bytes: Uint8Array): void {
    this.#trace.update(`${this.time.now()} ${what} `).update(bytes);
  }

  process(id: number): Process {
    const found = this.#processes.get(id);
    if (found === undefined) throw new Error(`no replica ${id}`);
    return found;
  }

  node(id: number): ReplicaNode {
    const { node } = this.process(id);
    if (node === null) throw new Error(`replica ${id} is not running`);
    return node;
  }

  async start(id: number): Promise<void> {
    const process = this.process(id);
    const clock = new ProcessClock(this.time);
    process.clock = clock;
    process.failed = null;
    const memory = `${this.#name}-${id}-${process.disk}`;
    this.#disks.add(memory);
    process.node = await ReplicaNode.open({
      dir: `/${memory}`,
      id,
      peers: Object.fromEntries(this.ids.map((peer) => [peer, `replica-${peer}:2470`])),
      clientAddress: `client-${id}`,
      logger: this.#logger(process),
      ...this.#options,
      storage: { ...SMALL, ...this.#options.storage },
      environment: {
        clock,
        random: this.random,
        network: () => this.hub.endpoint(id),
        openStorage: async (o) => {
          const entropy = Array.from({ length: 64 }, () => Math.floor(this.random() * 16).toString(16)).join('');
          const storage = await openStorage({ ...o, mode: 'stepped', memory, entropy });
          process.storage = storage;
          this.#drive(process, storage, o.onProgress);
          return storage;
        },
      },
    });
    process.node.events.on('failed', (error) => {
      process.failed = error;
    });
  }

  /** Lets the disk work now and then, and the replica notice. */
  #drive(process: Process, storage: Storage, onProgress: () => void): void {
    const tellTime = (): void => {
      if (process.storage !== storage) return;
      storage.setNow(Math.floor(this.time.now()));
      this.time.at(this.time.now() + 100, tellTime);
    };
    const work = (): void => {
      if (process.storage !== storage) return;
      let worked = false;
      if (!process.stalled) while (storage.step()) worked = true;
      if (worked) process.clock?.endOfTurn(onProgress);
      this.time.at(this.time.now() + 0.1 + 0.4 * this.random(), work);
    };
    tellTime();
    this.time.at(this.time.now(), work);
  }

  /** The power fails: what was not synced is lost or torn. */
  async crash(id: number): Promise<void> {
    const process = this.process(id);
    const { node, storage, clock } = process;
    process.node = null;
    process.storage = null;
    clock?.end();
    storage?.crash(Math.floor(this.random() * 0x1_0000_0000));
    await node?.close().catch(() => undefined);
  }

  /** The next start finds an empty disk. */
  wipe(id: number): void {
    this.process(id).disk++;
  }

  run(ms: number): void {
    this.time.runTo(this.time.now() + ms);
  }

  /** Lets time pass until `is` true. */
  until(is: () => boolean, what: string, ms = 20_000): void {
    const end = this.time.now() + ms;
    while (!is()) {
      if (this.time.now() > end) throw new Error(`not within ${ms} ms: ${what}\n${this.describe()}`);
      this.run(1);
    }
  }

  /** A leader that a majority of the running replicas follow. */
  leader(among: readonly number[] = this.ids): number {
    const running = among.filter((id) => this.process(id).node !== null);
    const status = running.map((id) => this.node(id).service.status());
    for (const { id, role, term } of status) {
      if (role === 'leader' && status.filter((s) => s.leader === id && s.term === term).length * 2 > this.ids.length)
        return id;
    }
    return 0;
  }

  untilLeader(among: readonly number[] = this.ids): number {
    this.until(() => this.leader(among) !== 0, 'a leader');
    return this.leader(among);
  }

  describe(): string {
    return [...this.#processes.values()]
      .map(({ id, node, log }) => {
        const status = node?.service.status();
        const what = status === undefined ? 'down' : JSON.stringify({ ...status, peers: undefined });
        return `${id}: ${what}\n  ${log.slice(-8).join('\n  ')}`;
      })
      .join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id, node } of this.#processes.values()) if (node !== null) await this.crash(id);
    for (const disk of this.#disks) forgetMemory(disk);
  }

  #logger(process: Process): Logger {
    const line = (level: string) => (message: string, fields?: object) => {
      process.log.push(`${this.time.now().toFixed(1)} ${level} ${message} ${JSON.stringify(fields ?? {})}`);
    };
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
  }
}

/** Sends frames to a replica and keeps what comes back, by request number. */
export class Asker implements Requester {
  alive = true;
  readonly answers = new Map<number, Answer>();
  readonly others: number[] = []; // kinds of unasked frames
  readonly #simulation: Simulation;
  #next = 1;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  reply(frame: Uint8Array): void {
    this.#simulation.note('answer', frame);
    const request = new DataView(frame.buffer, frame.byteOffset).getUint32(8, true);
    const answer = readAnswer(frame);
    if (request === 0) this.others.push(frame[0] ?? 0);
    else if (this.answers.has(request)) throw new Error(`request ${request} was answered twice`);
    else this.answers.set(request, answer);
  }

  /** Sends, and returns the request number. */
  send(to: number, frame: Buffer): number {
    const request = this.#next++;
    frame.writeUInt32LE(request, 8);
    this.#simulation.node(to).service.handle(frame, this);
    frame.fill(0xff); // the service was lent it for the call alone
    return request;
  }

  /** Sends, and lets time pass until the answer has come. */
  ask(to: number, frame: Buffer): Answer {
    const request = this.send(to, frame);
    this.#simulation.until(() => this.answers.has(request), `an answer to request ${request} from ${to}`);
    const answer = this.answers.get(request);
    if (answer === undefined) throw new Error('no answer');
    return answer;
  }
}
