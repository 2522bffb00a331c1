// ts/proto: what travels between processes, as bytes: codecs of frames, batches, results, pages.
//
// In:   plain values and byte ranges. Out: whole frames, or cursors over a checked body.
// Not:  sockets, retries, meaning. A decoder answers bad bytes with one EraftError (ERAFT_BAD_REQUEST) and nothing else.
// May import: ts/base, the types of ts/raft, ./generated (made by `npm run proto`, never edited).
// Start here, then control-frames.ts, command-batch.ts and result-batch.ts. The prose is docs/protocol.md.
import { malformed } from './table.js';

export const FRAME_HEADER_BYTES = 16;

/** The group of this release. Every frame carries one. */
export const DEFAULT_GROUP = 1;

export const PROTOCOL_VERSION_MIN = 1;
export const PROTOCOL_VERSION_MAX = 1;

/** Kinds of frames: below 128 from client to server, above it the answers. Body in brackets. */
export const FRAME = {
  hello: 1, // Hello
  write: 2, // CommandBatch
  read: 3, // ReadBatch
  scan: 4, // ScanRequest
  status: 5, // empty
  closeView: 6, // CloseView
  welcome: 129, // Welcome
  written: 130, // ResultBatch
  values: 131, // ReadResult
  page: 132, // ScanPage
  statusReply: 133, // StatusReply
  viewClosed: 134, // empty
  leader: 135, // Leader; unasked, request 0
  error: 255, // ErrorReply
} as const;

/** The head of every frame: one WebSocket message, or one call of a local link. */
export interface FrameHeader {
  readonly kind: number;
  readonly group: number;
  /** Chosen by the client, repeated in the answer. 0: unasked. */
  readonly request: number;
  /** How long the client will wait, counted from receipt. 0 in answers. */
  readonly deadlineMs: number;
}

/**
 * Reads the head of a frame.
 *
 * ```text
 * 0      1       2          4       8         12            16
 * | kind | flags | reserved | group | request | deadline_ms | body …
 * ```
 * @throws ERAFT_BAD_REQUEST when it is too short, or flags are set that this version does not know
 */
export function readFrameHeader(frame: Uint8Array): FrameHeader {
  if (frame.length < FRAME_HEADER_BYTES) throw malformed(`${frame.length} bytes, the header alone has 16`);
  const kind = frame[0] ?? 0;
  if (frame[1] !== 0 || frame[2] !== 0 || frame[3] !== 0) throw malformed('unknown flags in the header');
  return { kind, group: u32At(frame, 4), request: u32At(frame, 8), deadlineMs: u32At(frame, 12) };
}

/** Fills `frame[at .. at + 16)`. */
export function writeFrameHeader(
  frame: Uint8Array,
  at: number,
  kind: number,
  group: number,
  request: number,
  deadlineMs: number,
): void {
  frame[at] = kind;
  frame[at + 1] = 0;
  frame[at + 2] = 0;
  frame[at + 3] = 0;
  putU32(frame, at + 4, group);
  putU32(frame, at + 8, request);
  putU32(frame, at + 12, deadlineMs);
}

/** The body of a frame, a view. */
export function frameBody(frame: Uint8Array): Uint8Array {
  return new Uint8Array(frame.buffer, frame.byteOffset + FRAME_HEADER_BYTES, frame.length - FRAME_HEADER_BYTES);
}

/** A whole frame around `body`, which is copied. */
export function frameOf(
  kind: number,
  group: number,
  request: number,
  deadlineMs: number,
  body: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  writeFrameHeader(frame, 0, kind, group, request, deadlineMs);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  );
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
