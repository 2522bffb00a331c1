// Entries in answers: those of a ReadResult and of a ScanPage, read in one pass.
import { Copies } from './copies.js';
import { malformed, readU64, type Span, type TableReader } from './table.js';

const ENTRY_BYTES = 16;
const PRESENT = 0x8000_0000;
const LEFT_OUT = 0x4000_0000;
const KEY_LENGTH = 0x3fff_ffff;

/**
 * A cursor over checked entries: `next()` first, then the fields of the current one. Bytes handed out are copies, small ones
 * in a common buffer (copies.ts).
 */
export class EntryReader {
  readonly count: number;
  readonly #table: TableReader;
  readonly #entries: Span;
  readonly #copies: Copies;
  #next = 0;
  #word = 0;
  #valueBytes = 0;
  #keyAt: number;
  #dataAt: number;
  /** Some value is not here. */
  leavesOut = false;

  /** @param slot - of the vector of entries; the data follow in the next slot. @throws ERAFT_BAD_REQUEST */
  constructor(table: TableReader, slot: number, keys: boolean) {
    this.#table = table;
    this.#entries = table.vector(slot, ENTRY_BYTES);
    this.count = this.#entries.count;
    const data = table.vector(slot + 1, 1);
    this.#dataAt = data.start;
    this.#keyAt = data.start;
    this.#check(data.count, keys);
    this.#copies = new Copies(table.bytes, data.start + data.count);
  }

  #check(dataBytes: number, keys: boolean): void {
    const view = this.#table.view;
    let bytes = 0;
    for (let i = 0; i < this.count; i++) {
      const at = this.#entries.start + i * ENTRY_BYTES;
      const valueBytes = view.getUint32(at, true);
      const word = view.getUint32(at + 4, true);
      const present = (word & PRESENT) !== 0;
      const keyBytes = word & KEY_LENGTH;
      if (!present && (word !== 0 || valueBytes !== 0)) throw malformed('bytes of an absent entry');
      if (keys ? !present || keyBytes === 0 || (word & LEFT_OUT) !== 0 : keyBytes !== 0) throw malformed('entry');
      if ((word & LEFT_OUT) === 0) bytes += valueBytes;
      else this.leavesOut = true;
      bytes += keyBytes;
      readU64(view, at + 8);
    }
    if (bytes !== dataBytes) throw malformed('entries and data differ');
  }

  /** Goes to the next entry. @returns false behind the last one */
  next(): boolean {
    if (this.#next === this.count) return false;
    const at = this.#entries.start + this.#next * ENTRY_BYTES;
    this.#word = this.#table.view.getUint32(at + 4, true);
    this.#valueBytes = this.#table.view.getUint32(at, true);
    this.#keyAt = this.#dataAt;
    this.#dataAt += this.keyBytes + (this.leftOut ? 0 : this.#valueBytes);
    this.#next++;
    return true;
  }

  /** How many entries lie behind, the current one included. */
  get position(): number {
    return this.#next;
  }

  /** Goes on by `count` entries. */
  skip(count: number): void {
    for (let i = 0; i < count; i++) this.next();
  }

  /** Bytes of all values of the next `count` entries if one of them is left out, else 0. Goes nowhere. */
  peekLeftOut(count: number): number {
    let bytes = 0;
    let missing = false;
    for (let i = this.#next; i < this.#next + count && i < this.count; i++) {
      const at = this.#entries.start + i * ENTRY_BYTES;
      bytes += this.#table.view.getUint32(at, true);
      missing ||= (this.#table.view.getUint32(at + 4, true) & LEFT_OUT) !== 0;
    }
    return missing ? Math.max(bytes, 1) : 0;
  }

  get present(): boolean {
    return (this.#word & PRESENT) !== 0;
  }

  /** The value is not here: the answer would have been too large. */
  get leftOut(): boolean {
    return (this.#word & LEFT_OUT) !== 0;
  }

  get keyBytes(): number {
    return this.#word & KEY_LENGTH;
  }

  get valueBytes(): number {
    return this.#valueBytes;
  }

  get revision(): number {
    return readU64(this.#table.view, this.#entries.start + (this.#next - 1) * ENTRY_BYTES + 8);
  }

  copyKey(): Uint8Array<ArrayBuffer> {
    return this.#copies.take(this.#keyAt, this.keyBytes);
  }

  copyValue(): Uint8Array<ArrayBuffer> {
    return this.#copies.take(this.#keyAt + this.keyBytes, this.leftOut ? 0 : this.#valueBytes);
  }
}
