// A cluster of the simulator, driven by a test step by step, and one who asks it with frames of its own.
import { createHash, type Hash } from 'node:crypto';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import type { Requester } from '../../ts/kv/requester.js';
import { seeded } from '../host/virtual-clock.js';
import { Cluster } from '../simulation/cluster.js';
import { Watch } from '../simulation/watch.js';
import { type Answer, readAnswer } from './frames.js';

export interface SimulationOptions {
  readonly seed: number;
  readonly ids?: readonly number[];
  readonly options?: Partial<ReplicaOptions>;
}

/** Whatever the test looks at, the invariants of the simulator are checked after every step. */
export class Simulation extends Cluster {
  readonly #trace: Hash = createHash('sha256');
  readonly #watch: Watch;

  constructor({ seed, ids = [1, 2, 3], options = {} }: SimulationOptions) {
    const watch = new Watch();
    super({ ids, random: seeded(seed), options, watch });
    this.#watch = watch;
    watch.replicas.push(...this.replicas);
    this.hub.onSend = (from, _, frame) => watch.sent(this.process(from), frame);
    this.hub.onGarbage = (from, to, error) => watch.fail('NoGarbage', `${to} refuses a frame of ${from}: ${error}`);
    this.hub.onDelivery = (from, to, frame) => this.note(`${from}>${to}`, frame);
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

  run(ms: number): void {
    const end = this.time.now() + ms;
    while (this.time.next <= end) {
      this.time.step();
      this.#watch.check();
    }
    this.time.runTo(end);
  }

  /** Lets time pass until `is` true. */
  until(is: () => boolean, what: string, ms = 20_000): void {
    const end = this.time.now() + ms;
    while (!is()) {
      if (this.time.now() > end) throw new Error(`not within ${ms} ms: ${what}\n${this.describe()}`);
      this.run(1);
    }
  }

  untilLeader(among: readonly number[] = this.ids): number {
    this.until(() => this.leader(among) !== 0, 'a leader');
    return this.leader(among);
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
