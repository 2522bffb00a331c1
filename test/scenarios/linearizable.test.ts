// MIT 6.824, part 3A, the last one: random keys, so that only a search can tell whether the history was possible.
import assert from 'node:assert/strict';
import { checkHistory, explain, HistoryRecorder, type Input } from '../simulation/linearizability/index.js';
import { Clerk, type Task } from './clerk.js';
import { type Worker, work } from './generic.js';
import { Lab } from './lab.js';
import { seededTest, seeds } from './seeds.js';

const CLIENTS = 15;
const THINK_MS = 50;

/** Appends, now and then puts, else gets, on the key of whichever client. */
class RandomKeyClient implements Worker {
  stopped = true;
  busy = false;
  #changes = 0;
  readonly #lab: Lab;
  readonly #name: number;
  readonly #history: HistoryRecorder;
  readonly #clerk: Clerk;

  constructor(lab: Lab, name: number, history: HistoryRecorder) {
    this.#lab = lab;
    this.#name = name;
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
    const key = `${this.#lab.below(CLIENTS)}`;
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

for (const seed of seeds(3201)) {
  seededTest(
    `PersistPartitionUnreliableLinearizable3A: fifteen clients, random keys, seven replicas, every fault: linearizable`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 7 });
      lab.unreliable = true;
      const history = new HistoryRecorder();
      const first = new Clerk(lab);
      for (let key = 0; key < CLIENTS; key++) {
        const task = { op: 'put', key: `${key}`, value: '' } as const;
        const op = history.call(CLIENTS, task, lab.now);
        first.call(task);
        history.returned(op, {}, lab.now);
      }
      const clients = Array.from({ length: CLIENTS }, (_, i) => new RandomKeyClient(lab, i, history));
      for (let round = 0; round < 3; round++) await work(lab, clients, { partitions: true, crash: true });
      const operations = history.operations();
      assert.ok(operations.length > 200, `${operations.length} operations: hardly any`);
      const verdict = checkHistory(operations);
      assert.ok(verdict.ok, explain(verdict));
      lab.unreliable = false;
      lab.verify();
    },
  );
}
