// An alarm clock for a schedule. Timers of the event loop are a millisecond coarse, and an event loop that looks at the clock
// all the time takes a core from what it measures: so a thread sleeps, and wakes the event loop.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** What the thread is given. `cells`: see CELL. */
export interface PacerData {
  readonly cells: Int32Array;
  readonly everyMs: number;
}

/** `stopped` ends the thread; `ringing` is set while an alarm was not heard: a busy loop gets one, not all that it missed. */
export const CELL = { stopped: 0, ringing: 1 } as const;

export class Pacer {
  readonly #worker: Worker;
  readonly #cells: Int32Array;

  private constructor(worker: Worker, cells: Int32Array) {
    this.#worker = worker;
    this.#cells = cells;
  }

  /**
   * Calls `onAlarm` every `everyMs` milliseconds, counted from the moment in which this resolves, until `stop`.
   *
   * Late by some hundredth of a millisecond, as a rule.
   */
  static async start(everyMs: number, onAlarm: () => void): Promise<Pacer> {
    const cells = new Int32Array(new SharedArrayBuffer(8));
    const workerData: PacerData = { cells, everyMs };
    const worker = new Worker(new URL('./pacer-thread.js', import.meta.url), { workerData });
    await once(worker, 'message'); // it is there
    worker.on('message', () => {
      Atomics.store(cells, CELL.ringing, 0);
      onAlarm();
    });
    worker.postMessage(0);
    return new Pacer(worker, cells);
  }

  async stop(): Promise<void> {
    const gone = once(this.#worker, 'exit');
    Atomics.store(this.#cells, CELL.stopped, 1);
    Atomics.notify(this.#cells, CELL.stopped);
    await gone;
  }
}
