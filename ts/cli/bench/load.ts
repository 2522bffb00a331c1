// The loops that make load. Closed: an answer starts the next operation. Open: a schedule does, whatever the answers do.
import type { KeyValue, ReadOptions } from '../../client/key-value.js';
import { KeyBytes, keyAt, keyIndexes, seededRandom, someValue } from './keys.js';
import { Pacer } from './pacer.js';
import type { BenchPlan } from './plan.js';
import type { Kind, Recorder } from './recorder.js';

const FILL_IN_FLIGHT = 1_000;

/** A closed loop would turn at full speed while nothing can be reached. */
const PAUSE_AFTER_ERROR_MS = 10;

/** Open loop: what is due within so long begins together. */
const BURST_MS = 0.25;
/** Open loop: however rare the operations are, the schedule is looked at so often. */
const ALARM_MS_MAX = 10;
/** How soon the end of a load is noticed. */
const STOP_MS = 5;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Nanoseconds. */
const now = (): number => performance.now() * 1e6;

/** Writes every key once. @returns how many */
export async function fill(
  plan: BenchPlan,
  clients: readonly KeyValue[],
  onProgress: (done: number) => void,
): Promise<number> {
  const value = someValue(plan, seededRandom(plan.seed));
  let next = 0;
  let done = 0;
  const worker = async (client: KeyValue): Promise<void> => {
    while (next < plan.keys) {
      await client.put(keyAt(next++, plan.keyBytes), value);
      done += 1;
      onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: FILL_IN_FLIGHT }, (_, i) => worker(pick(clients, i))));
  return done;
}

function pick<T>(list: readonly T[], i: number): T {
  const found = list[i % list.length];
  if (found === undefined) throw new RangeError('an empty list');
  return found;
}

/** Makes load on the clients until told to stop. */
export class Load {
  readonly #plan: BenchPlan;
  readonly #clients: readonly KeyValue[];
  readonly #random: () => number;
  readonly #nextIndex: () => number;
  readonly #key: KeyBytes;
  readonly #readOptions: ReadOptions;
  readonly #value: Uint8Array;
  #recorder: Recorder;
  #stopped = false;
  #outstanding = 0;
  /** Open loop: operations that are due and wait for one of the others to be answered. */
  #behind = 0;
  #behindMax = 0;

  constructor(plan: BenchPlan, clients: readonly KeyValue[], recorder: Recorder) {
    this.#plan = plan;
    this.#clients = clients;
    this.#recorder = recorder;
    this.#random = seededRandom(plan.seed);
    this.#nextIndex = keyIndexes(plan.distribution, plan.keys, this.#random);
    this.#key = new KeyBytes(plan.keyBytes);
    this.#readOptions = { consistency: plan.consistency };
    this.#value = someValue(plan, this.#random);
  }

  /** From now on results go here: the warm-up is over. Operations under way count where they end. */
  recordTo(recorder: Recorder): void {
    this.#recorder = recorder;
    this.#behindMax = 0;
  }

  get behindMax(): number {
    return this.#behindMax;
  }

  /** Resolves when stopped and every answer is there. */
  async run(): Promise<void> {
    const capacity = this.#plan.connections * this.#plan.inFlight;
    if (this.#plan.rate > 0) await this.#openLoop(capacity);
    else await Promise.all(Array.from({ length: capacity }, (_, i) => this.#closedLoop(pick(this.#clients, i))));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** One clock reading is the end of an operation and the beginning of the next. */
  async #closedLoop(client: KeyValue): Promise<void> {
    let begun = now();
    while (!this.#stopped) {
      const kind = this.#chooseKind();
      try {
        await this.#call(client, kind);
        const ended = now();
        this.#recorder.done(kind, ended - begun);
        begun = ended;
      } catch (error) {
        await this.#onError(error);
        begun = now();
      }
    }
  }

  /**
   * Claim: no coordinated omission: a slow answer does not hide the operations that should have begun meanwhile.
   * Why:   operation n is due at start + n / rate and its latency counts from there, however late it begins. Where that would
   *        be many in a millisecond, those of `BURST_MS` are due together.
   */
  async #openLoop(capacity: number): Promise<void> {
    const { rate } = this.#plan;
    const burst = Math.ceil((rate * BURST_MS) / 1_000);
    const burstNs = (burst * 1e9) / rate;
    let start = now();
    let due = 0; // operations that have been started or wait
    let begun = 0;
    const begin = (): void => {
      while (!this.#stopped && begun < due && this.#outstanding < capacity) {
        const intended = start + Math.floor(begun / burst) * burstNs;
        void this.#operate(pick(this.#clients, begun), intended).then(begin);
        begun += 1;
      }
      this.#behind = due - begun;
      if (this.#behind > this.#behindMax) this.#behindMax = this.#behind;
    };
    const pacer = await Pacer.start(burstNs / 1e6 / Math.ceil(burstNs / 1e6 / ALARM_MS_MAX), () => {
      due = (Math.floor((now() - start) / burstNs) + 1) * burst;
      begin();
    });
    start = now();
    while (!this.#stopped) await pause(STOP_MS);
    await pacer.stop();
    // What has not begun by now is told as `behindMax`, and left.
    while (this.#outstanding > 0) await pause(STOP_MS);
  }

  async #operate(client: KeyValue, intended: number): Promise<void> {
    const kind = this.#chooseKind();
    this.#outstanding += 1;
    try {
      await this.#call(client, kind);
      this.#recorder.done(kind, now() - intended);
    } catch (error) {
      await this.#onError(error);
    } finally {
      this.#outstanding -= 1;
    }
  }

  #call(client: KeyValue, kind: Kind): Promise<unknown> {
    const key = this.#key.of(this.#nextIndex());
    return kind === 'put' ? client.put(key, this.#value) : client.get(key, this.#readOptions);
  }

  async #onError(error: unknown): Promise<void> {
    this.#recorder.failed(error);
    await pause(PAUSE_AFTER_ERROR_MS);
  }

  #chooseKind(): Kind {
    const { workload, readPercent } = this.#plan;
    if (workload !== 'mixed') return workload;
    return this.#random() * 100 < readPercent ? 'get' : 'put';
  }
}
