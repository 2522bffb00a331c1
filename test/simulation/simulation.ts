// test/simulation: a whole cluster in one process and in virtual time, with everything about it decided by a seed.
//
// What ships: core, host, frames, service, client (sessions, retries, batches), and the native engine in stepped mode.
// What is simulated: time, the network, disks (the engine's own, in memory, which lose what was not synced), clocks.
//
//   options.ts    what a seed decides beforehand           faults/      what goes wrong, and when it ends
//   cluster.ts    replicas; replica.ts: one of them        atlas.ts     where faults may be placed
//   callers.ts    clients and what they call               invariants/  what is checked after every step
//   weather.ts, client-network.ts: frames on their way     disk-image.ts  what a disk must hold after a crash
//   linearizability/  what clients heard, checked          main.ts      the command line; jobs.ts: many seeds
//
// Here: one run. First things go wrong for a while (safety: nothing forbidden happens); then a majority is mended (liveness:
// everything converges, serves, and holds what was acknowledged).
import { EraftError } from '../../ts/base/errors.js';
import { isRaftFrame } from '../../ts/transport/memory-network.js';
import { Atlas } from './atlas.js';
import { Callers } from './callers.js';
import { Chance } from './chance.js';
import { ClientNetwork } from './client-network.js';
import { Cluster } from './cluster.js';
import { Excuses, type Trouble } from './excuses.js';
import { Fates } from './fates.js';
import { FAULT } from './faults/index.js';
import type { Stage } from './faults/stage.js';
import { type History, HistoryRecorder } from './linearizability/history.js';
import type { RunOptions } from './options.js';
import type { Replica } from './replica.js';
import { replicaOptions } from './replica-options.js';
import { Trace } from './trace.js';
import { Finding, messagesOf, Watch } from './watch.js';
import { Weather } from './weather.js';
import { Workload } from './workload.js';

export interface Outcome {
  readonly seed: number;
  /** null: all was well. */
  readonly finding: Error | null;
  readonly events: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly elections: number;
  readonly faults: number;
  readonly hash: string;
  readonly history: History;
  /** The same, with what the log tells of writes that nobody was told of. */
  readonly settled: History;
}

const START_MS = 300;
const SERVE_MS = 3_000;
const LOOK_MS = 20;
const RESTART_MS = 200;

export class Simulation implements Stage {
  readonly options: RunOptions;
  readonly chance: Chance;
  readonly cluster: Cluster;
  readonly replicas: readonly Replica[];
  readonly weather: Weather;
  readonly clients: ClientNetwork;
  readonly callers: Callers;
  readonly atlas: Atlas;
  readonly history: HistoryRecorder;
  readonly trace: Trace;
  readonly watch = new Watch();
  readonly #workload: Workload;
  readonly #fates = new Fates();
  readonly #tasks: (() => Promise<void>)[] = [];
  readonly #excuses = new Excuses();
  readonly #leaders = new Set<number>();
  /** Left as they are when the others are mended. */
  #abandoned: readonly Replica[] = [];
  #settles = false;
  #faults = 0;
  #mended = false;

  constructor(options: RunOptions, write: ((line: string) => void) | null = null, onHistory?: (line: string) => void) {
    this.options = options;
    this.history = new HistoryRecorder(onHistory);
    this.chance = new Chance(options.seed, 'faults');
    const clocks = new Chance(options.seed, 'clocks');
    const disks = new Chance(options.seed, 'disks');
    const ids = Array.from({ length: options.replicas }, (_, i) => i + 1);
    const rates = new Map(ids.map((id) => [id, 1 + options.drift * (2 * clocks.next() - 1)]));
    this.cluster = new Cluster({
      ids,
      random: new Chance(options.seed, 'replicas').next,
      options: replicaOptions(options),
      sessionsMax: options.sessionsMax,
      rateOf: (id) => rates.get(id) ?? 1,
      diskMs: () => options.diskMs * (0.2 + disks.next()),
      watch: {
        history: (index, term) => this.watch.history(index, term),
        touched: (replica) => this.watch.touched(replica),
        records: (slab, start, end) => this.#fates.note(slab, start, end),
        submitted: (replica, submission) => this.watch.submitted(replica, submission),
        started: (replica, recovered) => this.watch.started(replica, recovered),
        log: (replica, line) => this.trace.line(`replica ${replica.id}: ${line}`),
      },
    });
    const { time } = this.cluster;
    this.trace = new Trace(() => time.now(), write);
    this.replicas = [...this.cluster.replicas];
    this.watch.replicas.push(...this.replicas);
    this.watch.onChecked = (replica) => this.#look(replica);
    this.weather = new Weather(options, new Chance(options.seed, 'weather'));
    this.atlas = new Atlas(this.replicas);
    this.#listen();
    const latency = new Chance(options.seed, 'client network');
    const latencyMs = (): number => options.clientLatencyMs * (0.5 + latency.next());
    const { trace, replicas, watch } = this;
    this.clients = new ClientNetwork({ time, trace, replicas, watch, latencyMs });
    this.#workload = new Workload(options, new Chance(options.seed, 'workload'));
    this.callers = this.#makeCallers(ids);
  }

  #makeCallers(ids: readonly number[]): Callers {
    return new Callers({
      options: this.options,
      time: this.cluster.time,
      chance: new Chance(this.options.seed, 'callers'),
      network: this.clients,
      workload: this.#workload,
      history: this.history,
      trace: this.trace,
      ids,
      onSettle: () => {
        this.#settles = true;
      },
      onDefect: (error) => {
        this.watch.finding ??= error instanceof Finding ? error : new Finding('Defect', String(error));
      },
    });
  }

  #listen(): void {
    const { hub } = this.cluster;
    hub.weather = (from, to, frame) => this.weather.fate(from, to, frame);
    hub.onSend = (from, _, frame) => this.watch.sent(this.cluster.process(from), frame);
    hub.onGarbage = (from, to, error) => this.watch.fail('NoGarbage', `${to} refuses a frame of ${from}: ${error}`);
    hub.onDelivery = (from, to, frame) => {
      this.trace.bytes(from, to, frame);
      if (this.trace.write === null || !isRaftFrame(frame)) return;
      for (const message of messagesOf(frame)) this.trace.line(`${from} > ${to} ${JSON.stringify(message)}`);
    };
  }

  get clientIds(): readonly number[] {
    return this.callers.ids;
  }

  // ---- a run

  async run(): Promise<Outcome> {
    const { time } = this.cluster;
    let finding: Error | null = null;
    try {
      await this.#play();
    } catch (error) {
      finding = error instanceof Error ? error : new Error(String(error));
      this.trace.line(`${finding.message}\n${this.cluster.describe()}`);
    }
    const { seed } = this.options;
    const [events, simulatedMs] = [time.events, time.now()];
    await this.#close();
    const history = this.history.operations();
    return {
      seed,
      finding: this.watch.finding ?? finding,
      events,
      simulatedMs,
      operations: this.callers.answered,
      elections: this.#leaders.size,
      faults: this.#faults,
      hash: this.trace.hash,
      history,
      settled: this.#fates.settle(history, this.watch.committed),
    };
  }

  async #play(): Promise<void> {
    const { options } = this;
    for (const replica of this.replicas) this.later(this.chance.between(0, START_MS), () => this.#start(replica));
    this.callers.start();
    if (options.faults.length > 0) this.#nextFault();
    await this.#pass(options.safetyMs);
    this.#mend();
    await this.#recover();
  }

  /** Everything that may be mended is; the rest stays down for good. */
  #mend(): void {
    this.#mended = true;
    const { hub } = this.cluster;
    this.weather.clear();
    this.clients.heal();
    hub.heal();
    const allMet = this.replicas.every((replica) => replica.hasBeenMember);
    const sound = this.chance.shuffled(this.atlas.sound);
    if (!this.options.healAll && allMet) this.#abandoned = sound.slice(this.watch.majority);
    this.trace.note(`mended; ${this.#abandoned.map(({ id }) => id)} are left down`);
    for (const replica of this.replicas) {
      replica.stalled = false;
      replica.slowness = 1;
      replica.limit(-1);
      replica.failStore(0, 0);
      replica.resume();
      if (this.#abandoned.includes(replica)) this.task(() => replica.crash());
      else if (replica.node === null) this.#start(replica);
      // The power may have gone in an operation of a snapshot, which does not end the replica: it would never notice.
      else if (this.#excuses.needsCrash(replica)) this.fell(replica, 'power', RESTART_MS);
    }
  }

  get #core(): Replica[] {
    return this.atlas.sound.filter((replica) => !this.#abandoned.includes(replica));
  }

  /** A damaged log is given back by the others, of which all may be needed. Two at once wait for each other. */
  get #canRepair(): boolean {
    const lost = this.replicas.filter((replica) => this.atlas.isLost(replica));
    return this.#abandoned.length === 0 && lost.length === 1 && lost.every(({ repairing }) => repairing);
  }

  async #recover(): Promise<void> {
    const { callers } = this;
    await this.#until('a leader', () => this.cluster.leader() !== 0);
    const before = callers.answered;
    await this.#pass(SERVE_MS);
    await this.#until('an answer to anybody', () => callers.answered > before);
    callers.stopped = true;
    await this.#until('the end of all calls', () => callers.underWay === 0);
    if (this.#canRepair) await this.#until('every log whole', () => !this.replicas.some(({ repairing }) => repairing));
    await this.#until('the same log everywhere, applied', () => this.#converged());
    await this.#until('that nothing is held for anybody', () => this.#core.every(isIdle));
    this.watch.look(this.#core);
    let read = false;
    callers.readAll().then(() => {
      read = true;
    }, this.#defect);
    await this.#until('the last reads', () => read);
  }

  readonly #defect = (error: unknown): void => {
    this.watch.fail('Defect', error instanceof Error ? (error.stack ?? error.message) : String(error));
  };

  #converged(): boolean {
    const leader = this.cluster.leader();
    if (leader === 0) return false;
    const last = this.cluster.process(leader).raft?.lastIndex ?? 0;
    return this.#core.every(({ host, raft }) => raft?.commit === last && host?.group.applier.applied === last);
  }

  async #close(): Promise<void> {
    this.callers.stopped = true;
    const closing = this.callers.close();
    for (let ms = 0; ms < 100; ms++) this.cluster.time.runTo(this.cluster.time.now() + 1);
    await turn();
    await this.cluster[Symbol.asyncDispose]();
    this.cluster.time.runTo(this.cluster.time.now() + 100);
    await closing;
  }

  // ---- time

  async #pass(ms: number): Promise<void> {
    const { time } = this.cluster;
    const end = time.now() + ms;
    while (time.next <= end) await this.#stepTo(end);
  }

  async #until(what: string, is: () => boolean): Promise<void> {
    const { time } = this.cluster;
    const ms = 20_000 + 30 * this.options.electionTimeoutMs + this.options.timeoutMs;
    const end = time.now() + ms;
    while (!is()) {
      if (time.now() > end) throw new Finding('Liveness', `not within ${ms} ms of fair weather: ${what}`);
      await this.#stepTo(time.now() + LOOK_MS);
    }
  }

  /** Events up to `end`, or to the first one that may have settled a promise: most do not. */
  async #stepTo(end: number): Promise<void> {
    const { time } = this.cluster;
    while (time.next <= end) {
      time.step();
      this.watch.check();
      if (this.#settles || this.#tasks.length > 0) break;
    }
    if (time.next > end) time.runTo(end);
    while (this.#settles || this.#tasks.length > 0) {
      this.#settles = false;
      const task = this.#tasks.shift();
      if (task !== undefined) await task();
      await turn();
    }
    this.watch.check();
  }

  /** What the run itself has to notice at a replica that did something. */
  #look(replica: Replica): void {
    const { host, raft } = replica;
    if (!replica.hasBeenMember && host?.membership.standing === 'member') replica.hasBeenMember = true;
    if (raft?.role === 'leader') this.#leaders.add(raft.term);
    if (replica.repairing && host?.logDamaged === false) {
      replica.repaired();
      this.atlas.regain(replica);
    }
    if (replica.failed !== null && replica.node !== null) this.#onFailed(replica);
  }

  // ---- Stage

  now(): number {
    return this.cluster.time.now();
  }

  later(ms: number, run: () => void): void {
    const { time } = this.cluster;
    time.at(time.now() + ms, run);
  }

  task(run: () => Promise<void>): void {
    this.#tasks.push(run);
  }

  fell(replica: Replica, how: 'power' | 'process', ms: number): void {
    if (replica.node === null) return;
    this.task(async () => {
      if (how === 'process' && !this.#excuses.needsCrash(replica)) await replica.stop();
      else {
        this.#excuses.crashed(replica);
        replica.failStore(0, 0);
        await replica.crash();
      }
    });
    this.later(ms, () => this.#start(replica));
  }

  expectFailure(replica: Replica, trouble: Trouble): void {
    this.#excuses.add(replica, trouble);
  }

  #onFailed(replica: Replica): void {
    const wrong = this.#excuses.judge(replica);
    if (wrong !== '') this.watch.fail('FailedByItself', `${replica.id}: ${wrong}`);
    this.fell(replica, this.chance.chance(0.7) ? 'power' : 'process', this.chance.exponential(RESTART_MS));
  }

  #start(replica: Replica): void {
    if (replica.node !== null || this.#abandoned.includes(replica)) return;
    this.trace.note(`replica ${replica.id} starts`);
    this.task(async () => {
      if (replica.node !== null) return;
      try {
        await this.cluster.start(replica.id);
      } catch (error) {
        const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.trace.note(`replica ${replica.id} does not open`);
        if (replica.rotten !== '' && EraftError.is(error) && error.code === 'ERAFT_DATA_DAMAGED') return;
        if (!this.#excuses.excuse(replica, error)) this.watch.fail('OpenFailed', `${replica.id}: ${told}`);
        this.later(RESTART_MS, () => this.#start(replica));
        return;
      }
      if (replica.overlooksRot) this.watch.fail('RotUnnoticed', `${replica.id} opens a disk with ${replica.rotten}`);
    });
  }

  #nextFault(): void {
    this.later(this.chance.exponential(this.options.faultEveryMs), () => {
      if (this.#mended) return;
      const name = this.chance.pick(this.options.faults);
      const done = FAULT[name](this);
      if (done !== null) {
        this.#faults++;
        this.trace.note(`fault ${name}: ${done}`);
      }
      this.#nextFault();
    });
  }
}

/** Every request was answered, or its asker has gone. Forwarded ones are looked through only when they are many. */
function isIdle({ node }: Replica): boolean {
  if (node === null) return true;
  const { proposalsInFlight, readsWaiting, framesWaitingForLeader } = node.service.gauges;
  return proposalsInFlight + readsWaiting + framesWaitingForLeader === 0;
}

/** Everything that promises have to do is done. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
