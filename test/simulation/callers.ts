// The clients of a run: the client that ships, over simulated connections, with callers that each do one thing at a time.
import { EraftError } from '../../ts/base/errors.js';
import { Client } from '../../ts/client/client.js';
import { ProcessClock, type VirtualTime } from '../host/virtual-clock.js';
import type { Chance } from './chance.js';
import type { ClientNetwork } from './client-network.js';
import type { HistoryRecorder } from './linearizability/history.js';
import type { RunOptions } from './options.js';
import { clientAddressOf } from './replica.js';
import type { Trace } from './trace.js';
import { type Memory, recordFailure, revisionIn, type Store, type Task, type Workload } from './workload.js';

export interface CallersOptions {
  readonly options: RunOptions;
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly network: ClientNetwork;
  readonly workload: Workload;
  readonly history: HistoryRecorder;
  readonly trace: Trace;
  readonly ids: readonly number[];
  /** Promises may have been settled: what waits for them has to run. */
  readonly onSettle: () => void;
  readonly onDefect: (error: unknown) => void;
}

const RETRY_MS = 50;
/** Every call without an answer may have happened, at any time from then on: what a checker finds hardest. */
const DOUBT_TIMES = 5;
/** With so many of them in a run, callers without an answer only read until they get one. */
const DOUBTS_MAX = 48;

/** Numbers below this are clients'; those of a history are of callers. */
const CALLERS_EACH = 100;

export class Callers {
  readonly #o: CallersOptions;
  readonly #clients: SimulatedClient[];
  /** Calls that were not answered yet. */
  underWay = 0;
  answered = 0;
  refused = 0;
  #doubts = 0;
  stopped = false;

  constructor(o: CallersOptions) {
    this.#o = o;
    this.#clients = Array.from({ length: o.options.clients }, (_, i) => new SimulatedClient(i + 1, o));
  }

  get ids(): number[] {
    return this.#clients.map(({ id }) => id);
  }

  start(): void {
    for (const client of this.#clients) {
      client.connect();
      for (let lane = 0; lane < this.#o.options.lanes; lane++)
        this.#turn(client, client.id * CALLERS_EACH + lane, { revision: 0 });
    }
  }

  /** Every client asks what there is; resolves, in virtual time, when all have been answered. */
  async readAll(): Promise<void> {
    for (const client of this.#clients) {
      if (client.store !== null)
        await this.call(client.store, client.id * CALLERS_EACH + 99, this.#o.workload.readAll());
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** A caller calls, hears, thinks, and calls again; without an answer it thinks longer, as people do. */
  #turn(client: SimulatedClient, caller: number, memory: Memory, answered = true): void {
    const { options, workload, chance } = this.#o;
    client.clock.after(chance.exponential(options.thinkMs * (answered ? 1 : DOUBT_TIMES)), () => {
      if (this.stopped) return;
      if (client.store === null) {
        this.#turn(client, caller, memory);
        return;
      }
      const readsOnly = !answered && this.#doubts >= DOUBTS_MAX;
      this.call(client.store, caller, workload.next(memory, readsOnly), memory).then(
        (heard) => this.#turn(client, caller, memory, heard),
        this.#o.onDefect,
      );
    });
  }

  /** @returns whether there was an answer. @throws what no call may reject with */
  async call(store: Store, caller: number, task: Task, memory: Memory = { revision: 0 }): Promise<boolean> {
    const { history, time, trace } = this.#o;
    const op = history.call(caller, task.input, time.now());
    if (trace.write !== null) trace.line(`client ${caller} calls ${op}: ${JSON.stringify(task.input)}`);
    this.underWay++;
    try {
      const output = await task.call(store);
      history.returned(op, output, time.now());
      memory.revision = Math.max(memory.revision, revisionIn(output));
      this.answered++;
      if (trace.write !== null) trace.line(`client ${caller} hears ${op}: ${JSON.stringify(output)}`);
      return true;
    } catch (error) {
      if (!EraftError.is(error)) throw error;
      this.refused++;
      if (recordFailure(history, op, task, error, time.now())) this.#doubts++;
      if (trace.write !== null) trace.line(`client ${caller} hears ${op}: ${error.code} ${error.message}`);
      return false;
    } finally {
      this.underWay--;
      trace.note(`${op} answered`);
    }
  }
}

class SimulatedClient {
  readonly id: number;
  readonly clock: ProcessClock;
  store: Store | null = null;
  readonly #o: CallersOptions;
  #client: Client | null = null;
  #closed = false;

  constructor(id: number, o: CallersOptions) {
    this.id = id;
    this.#o = o;
    this.clock = new ProcessClock(o.time, 1 + o.options.drift * (2 * o.chance.next() - 1));
    this.clock.onRun = o.onSettle;
  }

  connect(): void {
    const { network, ids, options, chance, onDefect } = this.#o;
    const endpoints = chance.shuffled(ids).map(clientAddressOf);
    const clientOptions = {
      timeoutMs: options.timeoutMs,
      connectTimeoutMs: 500,
      silenceMs: 200,
      queueCommandsMax: options.clientQueueCommandsMax,
    };
    const { clock } = this;
    const environment = { clock, deadlines: clock, random: chance.next, dial: network.dialOf(this.id, clock) };
    Client.connect(endpoints, clientOptions, environment).then(
      (client) => {
        this.#client = client;
        this.store = client.as('utf8', 'utf8');
      },
      (error: unknown) => {
        if (!EraftError.is(error)) onDefect(error);
        else if (!this.#closed) this.clock.after(RETRY_MS, () => this.connect());
      },
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.close({ timeoutMs: 1 });
  }
}
