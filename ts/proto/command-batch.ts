// CommandBatch: the writes of one client and turn, built in bulk.
//
// A FlatBuffer of a fixed shape, so that a batch costs three copies and no builder. Offsets within the body:
//
// ```text
// 0   root u32 = 20        24  session u64                    56  zero u32
// 4   vtable, 14 bytes     32  sequence u64                   60  count u32, then at 64: headers, 24 bytes each
// 18  zero u16             40  acknowledged u64               64 + 24 n  length u32, then data
// 20  -> vtable i32 = 16   48  -> headers u32, 52 -> data u32
// ```
import type { Bytes } from '../base/bytes.js';
import { DEFAULT_GROUP, FRAME, FRAME_HEADER_BYTES, writeFrameHeader } from './frame.js';
import { assertLittleEndian, ByteScratch, WordScratch } from './scratch.js';
import { malformed, readU64, TableReader } from './table.js';

export const COMMAND = {
  put: 1,
  append: 2,
  delete: 3,
  increment: 4,
  deleteRange: 5,
  transact: 6,
  register: 7,
  revisionIs: 16,
  valueIs: 17,
  exists: 18,
  absent: 19,
} as const;

export const COMMAND_FLAG = { previous: 1, fromEnd: 2 } as const;
export const COMMAND_HEADER_BYTES = 24;

const HEADERS_AT = 64;
const HEADER_WORDS = COMMAND_HEADER_BYTES / 4;
/** Of a batch without commands and data, frame header not included. */
export const BATCH_BYTES_EMPTY = HEADERS_AT + 4;

const TWO_32 = 0x1_0000_0000;
const NO_BYTES = new Uint8Array(0);

/** A place in a gathering batch: of a call, or to go back to. */
export interface Mark {
  readonly headers: number;
  readonly dataBytes: number;
}

/** Commands as they are called, until they become one or more frames. */
export class CommandScratch {
  readonly #words = new WordScratch(128 * HEADER_WORDS);
  readonly #data = new ByteScratch(16 * 1024);

  /** Headers so far, parts of transactions included. */
  get headers(): number {
    return this.#words.length / HEADER_WORDS;
  }

  get dataBytes(): number {
    return this.#data.length;
  }

  /** Size of the CommandBatch that these commands would make. */
  get batchBytes(): number {
    return BATCH_BYTES_EMPTY + this.#words.length * 4 + this.#data.length;
  }

  /**
   * Appends one header and its bytes, which are copied.
   *
   * @param number - a safe integer; two's complement on the wire
   */
  add(kind: number, flags: number, parts: number, key: Bytes, value: Bytes = NO_BYTES, number = 0): void {
    const keyBytes = this.#data.append(key);
    const valueBytes = this.#data.append(value);
    const at = this.#words.length;
    const words = this.#words.room(HEADER_WORDS);
    const high = number === 0 ? 0 : Math.floor(number / TWO_32);
    words[at] = kind | (flags << 8) | (parts << 16);
    words[at + 1] = keyBytes;
    words[at + 2] = valueBytes;
    words[at + 3] = 0;
    words[at + 4] = number - high * TWO_32;
    words[at + 5] = high;
    this.#words.length = at + HEADER_WORDS;
  }

  /** Key and value bytes of the header added last. */
  lastKeyBytes(): number {
    return this.#words.room(0)[this.#words.length - HEADER_WORDS + 1] ?? 0;
  }

  lastValueBytes(): number {
    return this.#words.room(0)[this.#words.length - HEADER_WORDS + 2] ?? 0;
  }

  mark(): Mark {
    return { headers: this.headers, dataBytes: this.#data.length };
  }

  /** Takes back what was added after the place. */
  rollBack(headers: number, dataBytes: number): void {
    this.#words.length = headers * HEADER_WORDS;
    this.#data.length = dataBytes;
  }

  clear(): void {
    this.rollBack(0, 0);
  }

  copyHeaders(frame: Uint8Array, at: number, from: number, to: number): number {
    return this.#words.copyTo(frame, at, from * HEADER_WORDS, to * HEADER_WORDS);
  }

  copyData(frame: Uint8Array, at: number, from: number, to: number): number {
    return this.#data.copyTo(frame, at, from, to);
  }
}

/** A write frame whose header (request, deadline) and session numbers are still to be stamped. */
export function emptyWriteFrame(headers: number, dataBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + BATCH_BYTES_EMPTY + headers * COMMAND_HEADER_BYTES + dataBytes);
  const body = FRAME_HEADER_BYTES;
  frame.fill(0, 0, body + HEADERS_AT);
  frame.writeUInt32LE(20, body);
  writeVtable(frame, body + 4);
  frame.writeInt32LE(16, body + 20);
  frame.writeUInt32LE(HEADERS_AT - 4 - 48, body + 48);
  const dataAt = HEADERS_AT + headers * COMMAND_HEADER_BYTES;
  frame.writeUInt32LE(dataAt - 52, body + 52);
  frame.writeUInt32LE(headers, body + 60);
  frame.writeUInt32LE(dataBytes, body + dataAt);
  return frame;
}

function writeVtable(frame: Buffer, at: number): void {
  const words = [14, 36, 4, 12, 20, 28, 32]; // its size, the table's, then session, sequence, acknowledged, headers, data
  for (let i = 0; i < words.length; i++) frame.writeUInt16LE(words[i] ?? 0, at + 2 * i);
}

/** Where headers begin in a write frame, and where data begins when there are `headers` of them. */
export const WRITE_FRAME_HEADERS_AT = FRAME_HEADER_BYTES + HEADERS_AT;

export function writeFrameDataAt(headers: number): number {
  return WRITE_FRAME_HEADERS_AT + headers * COMMAND_HEADER_BYTES + 4;
}

/** The place of the batch in its session: part of the body, equal in every copy that is ever sent. */
export function stampSession(frame: Buffer, session: number, sequence: number, acknowledged: number): void {
  putU64(frame, FRAME_HEADER_BYTES + 24, session);
  putU64(frame, FRAME_HEADER_BYTES + 32, sequence);
  putU64(frame, FRAME_HEADER_BYTES + 40, acknowledged);
}

/** The header of a frame that is about to be sent: not part of the batch, new in every copy. */
export function stampRequest(frame: Uint8Array, kind: number, request: number, deadlineMs: number): void {
  writeFrameHeader(frame, 0, kind, DEFAULT_GROUP, request, deadlineMs);
}

/** The batch that registers a session, as a write frame: alone, without a session. */
export function registerFrame(): Buffer {
  const scratch = new CommandScratch();
  scratch.add(COMMAND.register, 0, 0, NO_BYTES);
  const frame = emptyWriteFrame(1, 0);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, 1);
  stampRequest(frame, FRAME.write, 0, 0);
  return frame;
}

/** What can be seen of a CommandBatch without looking at its commands. */
export interface BatchHead {
  readonly session: number;
  readonly sequence: number;
  readonly acknowledged: number;
  /** Headers, parts of transactions included. */
  readonly headers: number;
}

/** @throws ERAFT_BAD_REQUEST. Checks the frame of the batch alone: the commands are verified in Rust. */
export function decodeBatchHead(body: Uint8Array): BatchHead {
  const table = new TableReader(body);
  const headers = table.vector(3, COMMAND_HEADER_BYTES).count;
  table.vector(4, 1);
  return { session: table.u64(0), sequence: table.u64(1), acknowledged: table.u64(2), headers };
}

/** One header of a batch with its bytes (views of the body). For tools and tests: a server never looks. */
export interface DecodedCommand {
  readonly kind: number;
  readonly flags: number;
  readonly parts: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly number: number;
}

/** Every header of a batch, in order. @throws ERAFT_BAD_REQUEST when headers and data do not add up */
export function decodeCommands(body: Uint8Array): DecodedCommand[] {
  const table = new TableReader(body);
  const headers = table.vector(3, COMMAND_HEADER_BYTES);
  const data = table.vector(4, 1);
  const commands: DecodedCommand[] = [];
  let at = data.start;
  const end = data.start + data.count;
  for (let i = 0; i < headers.count; i++) {
    const h = headers.start + i * COMMAND_HEADER_BYTES;
    const keyEnd = at + table.view.getUint32(h + 4, true);
    const valueEnd = keyEnd + table.view.getUint32(h + 8, true);
    if (valueEnd > end) throw malformed('command longer than the data');
    const high = table.view.getInt32(h + 20, true);
    commands.push({
      kind: table.view.getUint8(h),
      flags: table.view.getUint8(h + 1),
      parts: table.view.getUint16(h + 2, true),
      key: body.subarray(at, keyEnd),
      value: body.subarray(keyEnd, valueEnd),
      number: high < 0 ? high * TWO_32 + table.view.getUint32(h + 16, true) : readU64(table.view, h + 16),
    });
    at = valueEnd;
  }
  if (at !== end) throw malformed('data beyond the last command');
  return commands;
}

function putU64(frame: Buffer, at: number, value: number): void {
  frame.writeUInt32LE(value % TWO_32, at);
  frame.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

assertLittleEndian();
