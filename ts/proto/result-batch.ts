// ResultBatch: the answer to one CommandBatch, read in one pass without an object per command.
import { copyOf, malformed, readI64, readU64, type Span, TableReader } from './table.js';

/** What became of a whole batch. */
export const BATCH_STATUS = { applied: 0, sessionUnknown: 1, gap: 2, forgotten: 3 } as const;

/** What became of one command of an applied batch. */
export const COMMAND_STATUS = { ok: 0, conditionFailed: 1, notANumber: 2, overLimit: 3 } as const;

const RESULT_BYTES = 24;
const PRESENT = 1;
const OF_CONDITION = 2;
const LEFT_OUT = 4;

/**
 * A checked ResultBatch, and a cursor over its results: `next()` first, then the fields of the current one.
 *
 * Everything is checked before the first result is handed out, so an answer is taken whole or not at all.
 */
export class ResultReader {
  readonly status: number;
  /** Command i of the batch has revision `firstRevision + i`. */
  readonly firstRevision: number;
  /** Commands of the batch, parts of transactions not counted. */
  readonly count: number;
  readonly lastSequence: number;
  /** False: every command is a put or delete without `previous`, or the batch was not applied just now. */
  readonly hasResults: boolean;
  readonly #table: TableReader;
  readonly #results: Span;
  #next = 0;
  #at = 0;
  #dataAt: number;

  /** @throws ERAFT_BAD_REQUEST */
  constructor(body: Uint8Array) {
    const table = new TableReader(body);
    this.#table = table;
    this.status = table.u8(0);
    this.firstRevision = table.u64(1);
    this.count = table.u32(2);
    this.lastSequence = table.u64(3);
    this.#results = table.vector(4, RESULT_BYTES);
    const data = table.vector(5, 1);
    this.#dataAt = data.start;
    this.hasResults = this.#results.count > 0;
    if (this.status > BATCH_STATUS.forgotten) throw malformed(`batch status ${this.status}`);
    this.#check(data.count);
  }

  /** Counts, kinds and lengths agree with each other. */
  #check(dataBytes: number): void {
    const view = this.#table.view;
    let conditions = 0; // still to follow, of the transaction before
    let commands = 0;
    let bytes = 0;
    for (let i = 0; i < this.#results.count; i++) {
      const at = this.#results.start + i * RESULT_BYTES;
      const flags = view.getUint8(at + 1);
      const valueBytes = view.getUint32(at + 4, true);
      if (view.getUint8(at) > COMMAND_STATUS.overLimit) throw malformed('unknown status of a command');
      if ((flags & PRESENT) === 0 && valueBytes !== 0) throw malformed('value of an absent entry');
      if ((flags & OF_CONDITION) !== 0) {
        if (conditions-- === 0) throw malformed('condition without its transaction');
      } else {
        if (conditions !== 0) throw malformed('transaction without its conditions');
        if (view.getUint8(at) === COMMAND_STATUS.conditionFailed) conditions = view.getUint16(at + 2, true);
        commands++;
      }
      if ((flags & LEFT_OUT) === 0) bytes += valueBytes;
      readU64(view, at + 8);
      readI64(view, at + 16);
    }
    if (conditions !== 0) throw malformed('transaction without its conditions');
    if (this.hasResults && commands !== this.count) throw malformed('results and count differ');
    if (bytes !== dataBytes) throw malformed('results and data differ');
  }

  /** Goes to the next result. @returns false behind the last one */
  next(): boolean {
    if (this.#next === this.#results.count) return false;
    if (this.#next > 0 && !this.leftOut) this.#dataAt += this.valueBytes;
    this.#at = this.#results.start + this.#next * RESULT_BYTES;
    this.#next++;
    return true;
  }

  get commandStatus(): number {
    return this.#table.view.getUint8(this.#at);
  }

  /** An entry comes with this result. */
  get present(): boolean {
    return (this.#table.view.getUint8(this.#at + 1) & PRESENT) !== 0;
  }

  /** The value of the present entry is not here: the answer would have been too large. */
  get leftOut(): boolean {
    return (this.#table.view.getUint8(this.#at + 1) & LEFT_OUT) !== 0;
  }

  /** Length of the present entry's value. */
  get valueBytes(): number {
    return this.#table.view.getUint32(this.#at + 4, true);
  }

  /** Failed conditions that follow, or the position of this failed condition. */
  get conditionCount(): number {
    return this.#table.view.getUint16(this.#at + 2, true);
  }

  /** Of the entry. */
  get revision(): number {
    return readU64(this.#table.view, this.#at + 8);
  }

  get number(): number {
    return readI64(this.#table.view, this.#at + 16);
  }

  /** The value of the entry, in memory of its own; empty when it was left out. */
  copyValue(): Uint8Array<ArrayBuffer> {
    return copyOf(this.#table.bytes, this.#dataAt, this.leftOut ? 0 : this.valueBytes);
  }
}
