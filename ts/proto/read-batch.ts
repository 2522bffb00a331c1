// ReadBatch and ReadResult: the point reads of one client and turn, built in bulk, answered over one snapshot.
//
// A FlatBuffer of a fixed shape. Offsets within the body:
//
// ```text
// 0   root u32 = 20        24  min_revision u64        40  consistency u8, 41 flags u8, 42 zero u16
// 4   vtable, 14 bytes     32  -> key lengths u32      44  count u32, then at 48: key lengths, u32 each
// 18  zero u16             36  -> data u32             48 + 4 n  length u32, then data
// 20  -> vtable i32 = 16
// ```
import type { Bytes } from '../base/bytes.js';
import { EntryReader } from './entries.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import { ByteScratch, WordScratch } from './scratch.js';
import { malformed, TableReader } from './table.js';

export const CONSISTENCY = { linearizable: 0, stale: 1 } as const;
export const READ_FLAG = { noValues: 1 } as const;

const LENGTHS_AT = 48;
const TWO_32 = 0x1_0000_0000;

/** Keys as they are asked for, until they become a frame. */
export class ReadScratch {
  readonly #lengths = new WordScratch(256);
  readonly #data = new ByteScratch(8 * 1024);

  get keys(): number {
    return this.#lengths.length;
  }

  /** Size of the frame that these keys would make. */
  get frameBytes(): number {
    return FRAME_HEADER_BYTES + LENGTHS_AT + 4 * this.#lengths.length + 4 + this.#data.length;
  }

  get dataBytes(): number {
    return this.#data.length;
  }

  /** Appends a key, copied. @returns its length in bytes */
  add(key: Bytes): number {
    const bytes = this.#data.append(key);
    const words = this.#lengths.room(1);
    words[this.#lengths.length++] = bytes;
    return bytes;
  }

  rollBack(keys: number, dataBytes: number): void {
    this.#lengths.length = keys;
    this.#data.length = dataBytes;
  }

  clear(): void {
    this.rollBack(0, 0);
  }

  /** The read frame of all keys; its header is still to be stamped. */
  frame(consistency: number, flags: number, minRevision: number): Buffer {
    const keys = this.#lengths.length;
    const frame = Buffer.allocUnsafe(this.frameBytes);
    const body = FRAME_HEADER_BYTES;
    const dataAt = LENGTHS_AT + 4 * keys;
    frame.fill(0, 0, body + LENGTHS_AT);
    frame.writeUInt32LE(20, body);
    const vtable = [14, 24, 20, 21, 4, 12, 16]; // its size, the table's, then consistency, flags, min_revision, keys, data
    for (let i = 0; i < vtable.length; i++) frame.writeUInt16LE(vtable[i] ?? 0, body + 4 + 2 * i);
    frame.writeInt32LE(16, body + 20);
    frame.writeUInt32LE(minRevision % TWO_32, body + 24);
    frame.writeUInt32LE(Math.floor(minRevision / TWO_32), body + 28);
    frame.writeUInt32LE(LENGTHS_AT - 4 - 32, body + 32);
    frame.writeUInt32LE(dataAt - 36, body + 36);
    frame[body + 40] = consistency;
    frame[body + 41] = flags;
    frame.writeUInt32LE(keys, body + 44);
    this.#lengths.copyTo(frame, body + LENGTHS_AT, 0, keys);
    frame.writeUInt32LE(this.#data.length, body + dataAt);
    this.#data.copyTo(frame, body + dataAt + 4, 0, this.#data.length);
    return frame;
  }
}

/** What a replica needs to know of a ReadBatch before it can be answered: the keys are Rust's. */
export interface ReadHead {
  readonly linearizable: boolean;
  readonly noValues: boolean;
  /** The answer contains every command up to this revision. */
  readonly minRevision: number;
  readonly keys: number;
}

/** @throws ERAFT_BAD_REQUEST */
export function decodeReadHead(body: Uint8Array): ReadHead {
  const table = new TableReader(body);
  const consistency = table.u8(0);
  const flags = table.u8(1);
  if (consistency > CONSISTENCY.stale) throw malformed(`consistency ${consistency}`);
  if (flags > READ_FLAG.noValues) throw malformed(`read flags ${flags}`);
  const keys = table.vector(3, 4).count;
  table.vector(4, 1);
  return {
    linearizable: consistency === CONSISTENCY.linearizable,
    noValues: flags !== 0,
    minRevision: table.u64(2),
    keys,
  };
}

/** The keys of a ReadBatch, views of the body. For tools and tests. @throws ERAFT_BAD_REQUEST */
export function decodeReadKeys(body: Uint8Array): Uint8Array[] {
  const table = new TableReader(body);
  const lengths = table.vector(3, 4);
  const data = table.vector(4, 1);
  const keys: Uint8Array[] = [];
  let at = data.start;
  for (let i = 0; i < lengths.count; i++) {
    const end = at + table.view.getUint32(lengths.start + 4 * i, true);
    if (end > data.start + data.count) throw malformed('key longer than the data');
    keys.push(body.subarray(at, end));
    at = end;
  }
  if (at !== data.start + data.count) throw malformed('data beyond the last key');
  return keys;
}

/** `revision`: every command up to it is contained. One entry for each key, in order. */
export interface ReadResult {
  readonly revision: number;
  readonly entries: EntryReader;
}

/** @throws ERAFT_BAD_REQUEST */
export function decodeReadResult(body: Uint8Array): ReadResult {
  const table = new TableReader(body);
  return { revision: table.u64(0), entries: new EntryReader(table, 1, false) };
}
