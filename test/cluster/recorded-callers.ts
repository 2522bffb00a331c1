import { EraftError } from '../../ts/base/errors.js';
import type { Client } from '../../ts/client.js';
import type { HistoryRecorder } from '../simulation/linearizability/index.js';
import {
  type Memory,
  recordFailure,
  revisionIn,
  type Store,
  type Task,
  type Workload,
} from '../simulation/workload.js';

const LANES = 2;
interface Caller {
  readonly id: number;
  readonly store: Store;
  readonly memory: Memory;
}

/** Callers on real clients, each with one call at a time; all that they ask and hear is recorded. */
export class RecordedCallers {
  readonly #callers: readonly Caller[];
  readonly #workload: Workload;
  readonly #history: HistoryRecorder;
  #answered = 0;
  #waiting: { goal: number; resolve: () => void } | null = null;

  constructor(clients: readonly Client[], workload: Workload, history: HistoryRecorder) {
    this.#callers = clients.flatMap((client, i) =>
      Array.from({ length: LANES }, (_, lane) => ({
        id: 100 * (i + 1) + lane,
        store: client.as('utf8', 'utf8'),
        memory: { revision: 0 },
      })),
    );
    this.#workload = workload;
    this.#history = history;
  }

  /** Each caller makes `calls` calls, one after the other. */
  async run(calls: number): Promise<void> {
    await Promise.all(
      this.#callers.map(async (caller) => {
        for (let i = 0; i < calls; i++) await this.#call(caller, this.#workload.next(caller.memory));
      }),
    );
  }

  /** Resolves when `count` more calls than now have ended. */
  async ended(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting = { goal: this.#answered + count, resolve };
    });
  }

  /** Every caller asks for everything. */
  async readAll(): Promise<void> {
    await Promise.all(this.#callers.map((caller) => this.#call(caller, this.#workload.readAll())));
  }

  async #call({ id, store, memory }: Caller, task: Task): Promise<void> {
    const op = this.#history.call(id, task.input, performance.now());
    try {
      const output = await task.call(store);
      this.#history.returned(op, output, performance.now());
      memory.revision = Math.max(memory.revision, revisionIn(output));
    } catch (error) {
      if (!EraftError.is(error)) throw error;
      recordFailure(this.#history, op, task, error, performance.now());
    }
    this.#answered++;
    if (this.#waiting !== null && this.#answered >= this.#waiting.goal) {
      this.#waiting.resolve();
      this.#waiting = null;
    }
  }
}
