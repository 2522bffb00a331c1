// A reader of FlatBuffers tables that trusts nothing: the generated TypeScript has no verifier.
//
// A table: root offset u32 -> table; there an i32 back to its vtable (u16 size of the vtable, u16 size of the table, u16
// per field: its offset in the table, 0 = absent); vectors and strings stand behind a forward u32, with a u32 count first.
import { EraftError } from '../base/errors.js';

const TWO_32 = 0x1_0000_0000;
const STRICT_TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A frame or body that does not follow docs/protocol.md. */
export function malformed(what: string): EraftError {
  return new EraftError('ERAFT_BAD_REQUEST', `malformed frame: ${what}`);
}

/** A run of elements inside the bytes of a table: `start` to `start + count * size`. */
export interface Span {
  readonly start: number;
  readonly count: number;
}

const NOTHING: Span = { start: 0, count: 0 };

/** The root table of `bytes`. Every access is checked against the ends of table and bytes. @throws ERAFT_BAD_REQUEST */
export class TableReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #table: number;
  readonly #tableBytes: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = bytes.length;
    if (end < 8) throw malformed('too short for a table');
    const table = this.view.getUint32(0, true);
    if (table < 4 || table > end - 4) throw malformed('root outside of the frame');
    const vtable = table - this.view.getInt32(table, true);
    if (vtable < 0 || vtable > end - 4) throw malformed('vtable outside of the frame');
    this.#vtableBytes = this.view.getUint16(vtable, true);
    this.#tableBytes = this.view.getUint16(vtable + 2, true);
    if (this.#vtableBytes < 4 || this.#vtableBytes % 2 !== 0 || vtable + this.#vtableBytes > end) {
      throw malformed('vtable of a wrong size');
    }
    if (this.#tableBytes < 4 || table + this.#tableBytes > end) throw malformed('table of a wrong size');
    this.#table = table;
    this.#vtable = vtable;
  }

  /** Where field `slot` (0 = the first) stands; 0 when it is absent, hence has its default. */
  #field(slot: number, size: number): number {
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#vtableBytes) return 0;
    const offset = this.view.getUint16(this.#vtable + entry, true);
    if (offset === 0) return 0;
    if (offset < 4 || offset + size > this.#tableBytes) throw malformed('field outside of its table');
    return this.#table + offset;
  }

  u8(slot: number): number {
    const at = this.#field(slot, 1);
    return at === 0 ? 0 : this.view.getUint8(at);
  }

  bool(slot: number): boolean {
    return this.u8(slot) !== 0;
  }

  u16(slot: number): number {
    const at = this.#field(slot, 2);
    return at === 0 ? 0 : this.view.getUint16(at, true);
  }

  u32(slot: number): number {
    const at = this.#field(slot, 4);
    return at === 0 ? 0 : this.view.getUint32(at, true);
  }

  u64(slot: number): number {
    const at = this.#field(slot, 8);
    return at === 0 ? 0 : readU64(this.view, at);
  }

  /** A field of any 64 bits, as two halves: for bit sets, which need no number. */
  u64Halves(slot: number): readonly [low: number, high: number] {
    const at = this.#field(slot, 8);
    return at === 0 ? [0, 0] : [this.view.getUint32(at, true), this.view.getUint32(at + 4, true)];
  }

  /** A vector of elements of `size` bytes; wholly inside the bytes. */
  vector(slot: number, size: number): Span {
    const at = this.#field(slot, 4);
    if (at === 0) return NOTHING;
    const place = at + this.view.getUint32(at, true);
    if (place <= at || place > this.bytes.length - 4) throw malformed('vector outside of the frame');
    const count = this.view.getUint32(place, true);
    if (count * size > this.bytes.length - place - 4) throw malformed('vector longer than the frame');
    return { start: place + 4, count };
  }

  /** @param bytesMax - a longer string is malformed */
  string(slot: number, bytesMax: number): string {
    const { start, count } = this.vector(slot, 1);
    if (count > bytesMax) throw malformed(`string of ${count} bytes, at most ${bytesMax} are allowed`);
    try {
      return STRICT_TEXT.decode(this.bytes.subarray(start, start + count));
    } catch {
      throw malformed('string that is not UTF-8');
    }
  }
}

/** @throws ERAFT_BAD_REQUEST from 2^53 on: no counter of eraft gets there */
export function readU64(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
  if (value > Number.MAX_SAFE_INTEGER) throw malformed('number beyond 2^53');
  return value;
}

/** @throws ERAFT_BAD_REQUEST outside of the safe integers */
export function readI64(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getInt32(at + 4, true) * TWO_32;
  if (!Number.isSafeInteger(value)) throw malformed('number beyond 2^53');
  return value;
}

/** `value`: a safe integer, also negative (two's complement). */
export function writeI64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  view.setUint32(at, value - high * TWO_32, true);
  view.setInt32(at + 4, high, true);
}

/** `length` bytes of a frame as a plain Uint8Array with memory of its own, however `bytes` came about. */
export function copyOf(bytes: Uint8Array, start: number, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length);
  if (length > 0) copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length));
  return copy;
}
