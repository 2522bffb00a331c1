// A storage, and as much of a host as it takes to feed it: records in order, one after the other.

import {
  FRAME_HEADER_BYTES,
  openStorage,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type Storage,
} from '../../ts/storage/index.js';
import { BenchError } from '../lib/errors.js';

export const GROUP = 1;
const NO_STATES = new Float64Array(0);
const TERM = 1;
const RESULTS_BYTES = 4 * 1024 * 1024;
const KEEP_ALIVE_MS = 60_000;

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

export class Feeder {
  readonly storage: Storage;
  /** Of the last record. */
  index = 0;
  #revision = 1;
  #wake: () => void = () => undefined;
  readonly #results = new Uint8Array(RESULTS_BYTES);
  readonly #alive = setInterval(() => undefined, KEEP_ALIVE_MS); // onProgress does not keep a process alive

  private constructor(storage: Storage) {
    this.storage = storage;
  }

  /** A new data folder, with the sizes that a replica has by default. */
  static async open(dir: string): Promise<Feeder> {
    let feeder: Feeder | undefined;
    const onProgress = (): void => feeder?.progress();
    feeder = new Feeder(await openStorage({ dir, replica: 1, cluster: '', onProgress }));
    return feeder;
  }

  /** What onProgress calls. */
  progress(): void {
    this.#wake();
  }

  /** The next record, sealed. */
  record(batches: readonly Uint8Array[]): Uint8Array {
    const { log } = this.storage;
    const payload = batches.reduce((sum, batch) => sum + FRAME_HEADER_BYTES + padded(batch.length), 0);
    const slab = new Uint8Array(RECORD_HEADER_BYTES + payload);
    const view = new DataView(slab.buffer);
    let at = RECORD_HEADER_BYTES;
    let count = 0;
    for (const batch of batches) {
      view.setUint32(at, batch.length, true);
      slab.set(batch, at + FRAME_HEADER_BYTES);
      const commands = log.verifyBatch(batch, 0, batch.length);
      if (commands <= 0) throw new BenchError(`the batch is refused: ${commands}`);
      count += commands;
      at += FRAME_HEADER_BYTES + padded(batch.length);
    }
    this.index += 1;
    log.seal(slab, 0, at, RECORD_KINDS.commands, GROUP, this.index, TERM, 0, this.#revision, count);
    this.#revision += count;
    return slab;
  }

  /** @returns the ticket */
  submit(batches: readonly Uint8Array[]): number {
    const record = this.record(batches);
    return this.storage.log.submit(record, 0, record.length, NO_STATES, 0);
  }

  durable(ticket: number): Promise<void> {
    return this.#until(() => this.storage.poll().durable >= ticket);
  }

  /** Resolves when everything up to `index` is really applied. */
  async apply(index: number): Promise<void> {
    const { machine } = this.storage;
    if (!machine.apply(GROUP, index, true)) await this.#until(() => machine.applied(GROUP) >= index);
  }

  /** The results that wait, in bytes of the feeder's own, valid until the next call. */
  takeResults(): Uint8Array {
    const bytes = this.storage.machine.results(this.#results, 0);
    if (bytes < 0) throw new BenchError(`results of ${-bytes} bytes`);
    return this.#results.subarray(0, bytes);
  }

  async write(batches: readonly Uint8Array[]): Promise<void> {
    const ticket = this.submit(batches);
    await this.durable(ticket);
    await this.apply(this.index);
  }

  /** The log need not be longer than what the store has not flushed. */
  cut(): void {
    this.storage.log.truncate(GROUP, this.storage.machine.flushed(GROUP));
  }

  close(): Promise<void> {
    clearInterval(this.#alive);
    return this.storage.close();
  }

  async #until(done: () => boolean): Promise<void> {
    for (;;) {
      const called = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.storage.poll();
      if (done()) return;
      await called;
    }
  }
}
