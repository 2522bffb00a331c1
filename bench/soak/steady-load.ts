// An open loop that leaves the processor to the replicas: what is due begins in bulk, once in a millisecond or two.
import { keyAt, keyIndexes, seededRandom, someValue } from '../../ts/cli/bench/keys.js';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import type { Kind, Recorder } from '../../ts/cli/bench/recorder.js';
import type { KeyValue } from '../../ts/client/key-value.js';

const TICK_MS = 1;
const DRAIN_POLL_MS = 10;

const now = (): number => Number(process.hrtime.bigint());

/**
 * Operation n is due at start + n / rate, and its latency counts from there, however late it begins: a replica that
 * stands still cannot hide what should have begun meanwhile. So half a tick is part of every latency.
 */
export class SteadyLoad {
  readonly #plan: BenchPlan;
  readonly #clients: readonly KeyValue[];
  readonly #recorder: Recorder;
  readonly #random: () => number;
  readonly #nextKey: () => number;
  readonly #value: Uint8Array;
  readonly #started = now();
  readonly #timer: NodeJS.Timeout;
  #begun = 0;
  #outstanding = 0;

  /** Begins at once. */
  constructor(plan: BenchPlan, clients: readonly KeyValue[], recorder: Recorder) {
    this.#plan = plan;
    this.#clients = clients;
    this.#recorder = recorder;
    this.#random = seededRandom(plan.seed);
    this.#nextKey = keyIndexes(plan.distribution, plan.keys, this.#random);
    this.#value = someValue(plan, this.#random);
    this.#timer = setInterval(() => this.#beginDue(), TICK_MS);
  }

  /** Resolves when every answer is there. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#outstanding > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }

  #beginDue(): void {
    const intervalNs = 1e9 / this.#plan.rate;
    const due = Math.floor((now() - this.#started) / intervalNs) + 1;
    const outstandingMax = this.#plan.connections * this.#plan.inFlight;
    while (this.#begun < due && this.#outstanding < outstandingMax) {
      const client = this.#clients[this.#begun % this.#clients.length];
      if (client !== undefined) void this.#operate(client, this.#started + this.#begun * intervalNs);
      this.#begun += 1;
    }
  }

  async #operate(client: KeyValue, intended: number): Promise<void> {
    const kind: Kind = this.#random() * 100 < this.#plan.readPercent ? 'get' : 'put';
    const key = keyAt(this.#nextKey(), this.#plan.keyBytes);
    this.#outstanding += 1;
    try {
      if (kind === 'put') await client.put(key, this.#value);
      else await client.get(key);
      this.#recorder.done(kind, now() - intended);
    } catch (error) {
      this.#recorder.failed(error);
    } finally {
      this.#outstanding -= 1;
    }
  }
}
