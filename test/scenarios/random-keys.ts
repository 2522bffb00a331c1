import assert from 'node:assert/strict';
import { checkHistory, explain, HistoryRecorder, type Input } from '../simulation/linearizability/index.js';
import { Clerk, type Task } from './clerk.js';
import { type GenericOptions, type Worker, work } from './generic.js';
import { Lab } from './lab.js';

const THINK_MS = 50;

/** Appends, now and then puts, else gets, on the key of whichever client. */
class RandomKeyClient implements Worker {
  stopped = true;
  busy = false;
  #changes = 0;
  readonly #lab: Lab;
  readonly #name: number;
  readonly #keys: number;
  readonly #history: HistoryRecorder;
  readonly #clerk: Clerk;

  constructor(lab: Lab, name: number, keys: number, history: HistoryRecorder) {
    this.#lab = lab;
    this.#name = name;
    this.#keys = keys;
    this.#history = history;
    this.#clerk = new Clerk(lab);
  }

  start(): void {
    this.stopped = false;
    this.#turn();
  }

  #turn(): void {
    this.busy = !this.stopped;
    if (this.stopped) return;
    const task = this.#task();
    const op = this.#history.call(this.#name, inputOf(task), this.#lab.now);
    this.#clerk.begin(task, (value) => {
      this.#history.returned(op, task.op === 'get' ? { entries: [{ value }] } : {}, this.#lab.now);
      this.#lab.sim.time.at(this.#lab.now + this.#lab.below(THINK_MS), () => this.#turn());
    });
  }

  #task(): Task {
    const key = `${this.#lab.below(this.#keys)}`;
    const value = `x ${this.#name} ${this.#changes} y`;
    if (this.#lab.chance(0.5)) return { op: 'append', key, value: this.#changed(value) };
    return this.#lab.chance(0.1) ? { op: 'put', key, value: this.#changed(value) } : { op: 'get', key };
  }

  #changed(value: string): string {
    this.#changes++;
    return value;
  }
}

function inputOf(task: Task): Input {
  return task.op === 'get' ? { op: 'get', keys: [task.key] } : task;
}

/** GenericTest of the labs with random keys, so that only a search can tell whether the history was possible. */
export async function randomKeys(o: GenericOptions): Promise<void> {
  await using lab = await Lab.open({ seed: o.seed, replicas: o.replicas, options: o.options ?? {} });
  lab.unreliable = o.unreliable ?? false;
  const history = new HistoryRecorder();
  const first = new Clerk(lab);
  for (let key = 0; key < o.clients; key++) {
    const task = { op: 'put', key: `${key}`, value: '' } as const;
    const op = history.call(o.clients, task, lab.now);
    first.call(task);
    history.returned(op, {}, lab.now);
  }
  const clients = Array.from({ length: o.clients }, (_, i) => new RandomKeyClient(lab, i, o.clients, history));
  for (let round = 0; round < 3; round++) await work(lab, clients, o);
  const operations = history.operations();
  assert.ok(operations.length > 200, `${operations.length} operations: hardly any`);
  const verdict = checkHistory(operations);
  assert.ok(verdict.ok, explain(verdict));
  lab.unreliable = false;
  lab.verify();
  o.verify?.(lab);
}
