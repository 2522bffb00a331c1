import { LIMITS } from '../base/limits.js';
import { RECORD_HEADER_BYTES } from '../storage/index.js';
import { recordBytes, Slab } from './stage.js';

const SLAB_BYTES = 256 * 1024;
const LONE_SLAB_BYTES = 4 * 1024;
const BATCH_PREFIX_BYTES = 8; // u32 length, u32 zero

/** One record to be: batches behind room for its header, and who waits for each of them. */
export interface Gathered<W> {
  readonly slab: Slab;
  readonly start: number;
  end: number;
  commands: number;
  readonly waiters: W[];
}

/**
 * The commands of a turn on their way into the log: batches of all clients, joined into as few records as entryBytesMax
 * allows. Bytes are copied here once, behind room for the header, and never again on their way to disk.
 *
 * ```text
 * record payload: { u32 length | u32 zero | CommandBatch | zero padding to 8 } …
 * ```
 */
export class Proposals<W> {
  readonly #lone = new Slab(LONE_SLAB_BYTES);
  #gathering = new Slab(SLAB_BYTES);
  #drained = new Slab(SLAB_BYTES); // what was drained in this turn
  #records: Gathered<W>[] = [];

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  /** Gathered so far. */
  get bytes(): number {
    return this.#gathering.fill;
  }

  /** Adds the verified batch `bytes[start, end)`. */
  add(bytes: Uint8Array, start: number, end: number, commands: number, waiter: W): void {
    const length = end - start;
    const padded = BATCH_PREFIX_BYTES + Math.ceil(length / 8) * 8;
    let record = this.#records.at(-1);
    if (record === undefined || record.end - record.start + padded > LIMITS.entryBytesMax) {
      const at = this.#gathering.take(RECORD_HEADER_BYTES);
      record = { slab: this.#gathering, start: at, end: at + RECORD_HEADER_BYTES, commands: 0, waiters: [] };
      this.#records.push(record);
    }
    const at = this.#gathering.take(padded);
    const slab = this.#gathering.bytes;
    new DataView(slab.buffer, slab.byteOffset).setUint32(at, length, true);
    slab.fill(0, at + 4, at + BATCH_PREFIX_BYTES);
    slab.set(bytes.subarray(start, end), at + BATCH_PREFIX_BYTES);
    slab.fill(0, at + BATCH_PREFIX_BYTES + length, at + padded);
    record.end = at + padded;
    record.commands += commands;
    record.waiters.push(waiter);
  }

  /** A record without batches: for the blank entry of a new leader (no payload) and for memberships. */
  lone(payload: Uint8Array | null): Gathered<W> {
    const length = payload?.length ?? 0;
    const start = this.#lone.take(recordBytes(length));
    if (payload !== null) this.#lone.bytes.set(payload, start + RECORD_HEADER_BYTES);
    return { slab: this.#lone, start, end: start + RECORD_HEADER_BYTES + length, commands: 0, waiters: [] };
  }

  /** What was gathered so far, in order; gathering begins anew. Once per turn. */
  drain(): Gathered<W>[] {
    const records = this.#records;
    if (records.length === 0) return records;
    if (this.#drained.fill > 0) throw new Error('the records of this turn were drained before');
    [this.#gathering, this.#drained] = [this.#drained, this.#gathering];
    this.#records = [];
    return records;
  }

  /** What was gathered and will never be proposed. */
  abandon(): Gathered<W>[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  /** The bytes of drained and lone records are no longer needed. */
  clear(): void {
    this.#drained.clear();
    this.#lone.clear();
  }
}
