// The load of a measurement: callers that each await their operation and go on with the next.
import { keyAt, keyIndexes, seededRandom } from '../../ts/cli/bench/keys.js';
import { Latencies } from './latencies.js';
import type { MeasuredStore } from './store.js';

export const KEY_BYTES = 16;
const FILLERS = 1_000;
const SEED = 1;

export const WORKS = ['put', 'get', 'hot-get'] as const;
export type Work = (typeof WORKS)[number];

export class EmbeddedLoad {
  readonly latencies = new Latencies();
  readonly #store: MeasuredStore;
  readonly #work: Work;
  readonly #keys: readonly string[];
  readonly #value: Uint8Array;
  readonly #nextIndex: () => number;

  /** @param keys - how many there are; the work `hot-get` asks for one of them alone */
  constructor(store: MeasuredStore, work: Work, keys: number, valueBytes: number) {
    const random = seededRandom(SEED);
    this.#store = store;
    this.#work = work;
    // Made once: what is measured is the store, not the making of keys and values.
    this.#keys = Array.from({ length: keys }, (_, i) => keyAt(i, KEY_BYTES));
    this.#value = Uint8Array.from({ length: valueBytes }, () => Math.floor(random() * 256));
    this.#nextIndex = work === 'hot-get' ? () => 0 : keyIndexes('uniform', keys, random);
  }

  /** Every key once. */
  async fill(): Promise<void> {
    let next = 0;
    const filler = async (): Promise<void> => {
      for (let key = this.#keys[next++]; key !== undefined; key = this.#keys[next++]) {
        await this.#store.put(key, this.#value);
      }
    };
    await Promise.all(Array.from({ length: FILLERS }, filler));
  }

  /**
   * @param callers - operations in flight
   * @throws Error for a value that is not the one that was written
   */
  async run(callers: number, seconds: number): Promise<void> {
    this.latencies.clear();
    const end = performance.now() + seconds * 1_000;
    const caller = this.#work === 'put' ? () => this.#putUntil(end) : () => this.#getUntil(end);
    await Promise.all(Array.from({ length: callers }, caller));
  }

  async #putUntil(end: number): Promise<void> {
    const store = this.#store;
    for (let began = performance.now(); began < end; ) {
      await store.put(this.#nextKey(), this.#value);
      const now = performance.now();
      this.latencies.record(now - began);
      began = now;
    }
  }

  async #getUntil(end: number): Promise<void> {
    const store = this.#store;
    const { byteLength } = this.#value;
    for (let began = performance.now(); began < end; ) {
      const value = await store.get(this.#nextKey());
      const now = performance.now();
      if (value?.byteLength !== byteLength) throw new Error(`a value of ${value?.byteLength} bytes, not ${byteLength}`);
      this.latencies.record(now - began);
      began = now;
    }
  }

  #nextKey(): string {
    return this.#keys[this.#nextIndex()] ?? '';
  }
}
