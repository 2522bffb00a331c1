// The frames between replicas (proto/peer.fbs): prefix, Raft messages, forwarded client frames. The rest: peer-hello.ts and
// snapshot-frames.ts.
//
// ```text
// 0        4             8          12     13        14     16
// | length | head_length | head_crc | kind | version | zero | head … | tail … |
// ```
// Little-endian. `length` counts head and tail. `head_crc` is CRC-32 of the head; records in a tail carry their own.
import { crc32 } from 'node:zlib';
import type { Entry, Message } from '../raft/messages.js';
import { malformed, readU64, TableReader, writeI64 } from './table.js';

export const PEER_PREFIX_BYTES = 16;
export const PEER_VERSION = 1;
export const PEER_FRAME = {
  hello: 1,
  raft: 2,
  forward: 3,
  forwarded: 4,
  snapshotOffer: 5,
  snapshotWant: 6,
  snapshotChunk: 7,
} as const;

export interface PeerPrefix {
  readonly length: number;
  readonly headLength: number;
  readonly headCrc: number;
  readonly kind: number;
}

/** @throws EraftError ERAFT_BAD_REQUEST before a single byte of the frame has to be held */
export function readPeerPrefix(view: DataView, at: number, frameBytesMax: number): PeerPrefix {
  const length = view.getUint32(at, true);
  const headLength = view.getUint32(at + 4, true);
  const kind = view.getUint8(at + 12);
  const version = view.getUint8(at + 13);
  if (version !== PEER_VERSION) throw malformed(`frame version ${version}, known is ${PEER_VERSION}`);
  if (kind < PEER_FRAME.hello || kind > PEER_FRAME.snapshotChunk) throw malformed(`frame kind ${kind}`);
  if (view.getUint16(at + 14, true) !== 0) throw malformed('frame prefix with unknown bits');
  if (length > frameBytesMax) throw malformed(`frame of ${length} bytes, at most ${frameBytesMax} are taken`);
  if (headLength > length) throw malformed(`head of ${headLength} bytes in a frame of ${length}`);
  return { length, headLength, headCrc: view.getUint32(at + 8, true), kind };
}

/** @throws EraftError ERAFT_BAD_REQUEST when the head is not what was sent */
export function checkPeerHead(prefix: PeerPrefix, head: Uint8Array): void {
  if (crc32(head) !== prefix.headCrc) throw malformed('frame head fails its checksum');
}

/** Prefix and head in one piece; the tail follows it on the wire. `head` already stands behind 16 bytes of room. */
export function sealPeerFrame(frame: Uint8Array, kind: number, tailBytes: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const headLength = frame.length - PEER_PREFIX_BYTES;
  view.setUint32(0, headLength + tailBytes, true);
  view.setUint32(4, headLength, true);
  view.setUint32(8, crc32(frame.subarray(PEER_PREFIX_BYTES)), true);
  view.setUint8(12, kind);
  view.setUint8(13, PEER_VERSION);
  view.setUint16(14, 0, true);
  return frame;
}

/** A Raft message on its way out. `recordBytes`: of its records in the tail, 0 for all but appends. */
export interface OutgoingMessage {
  readonly group: number;
  readonly message: Message;
  readonly recordBytes: number;
}

/** As received. An append's `entries` are empty: whoever inspects records [start, end) of the tail fills them in. */
export interface IncomingMessage {
  readonly group: number;
  readonly message: Message;
  readonly entries: Entry[];
  readonly start: number;
  readonly end: number;
}

/** Number of each type on the wire: its place here, from 1. Never reordered. */
const TYPES = [
  'preVote',
  'vote',
  'preVoteReply',
  'voteReply',
  'append',
  'heartbeat',
  'appendReply',
  'heartbeatReply',
  'snapshot',
] as const satisfies readonly Message['type'][];
const TYPE_NUMBER = new Map<string, number>(TYPES.map((type, i) => [type, i + 1]));
const GRANTED = 1;

export const RAFT_MESSAGE_BYTES = 104;
const RAFT_MESSAGES_MAX = 65_536; // of one frame
const VECTOR_AT = 32;

/**
 * A whole RaftFrame without its tail: prefix, then the FlatBuffer, written by hand since a turn sends several.
 *
 * ```text
 * head: 0 root offset = 16 | 10 vtable {6, 8, 4} | 16 table {to vtable 6, to vector 8} | 28 count | 32 messages …
 * ```
 */
export function encodeRaftFrame(messages: readonly OutgoingMessage[]): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(PEER_PREFIX_BYTES + VECTOR_AT + messages.length * RAFT_MESSAGE_BYTES);
  const view = new DataView(frame.buffer, PEER_PREFIX_BYTES);
  view.setUint32(0, 16, true);
  view.setUint16(10, 6, true);
  view.setUint16(12, 8, true);
  view.setUint16(14, 4, true);
  view.setInt32(16, 6, true);
  view.setUint32(20, 8, true);
  view.setUint32(28, messages.length, true);
  let tailBytes = 0;
  let at = VECTOR_AT;
  for (const outgoing of messages) {
    writeMessage(view, at, outgoing);
    tailBytes += outgoing.recordBytes;
    at += RAFT_MESSAGE_BYTES;
  }
  sealPeerFrame(frame, PEER_FRAME.raft, tailBytes);
  return frame;
}

function writeMessage(view: DataView, at: number, { group, message: m, recordBytes }: OutgoingMessage): void {
  view.setUint8(at, TYPE_NUMBER.get(m.type) ?? 0);
  view.setUint8(at + 1, 'granted' in m && m.granted ? GRANTED : 0);
  view.setUint32(at + 4, group, true);
  view.setUint32(at + 8, m.from, true);
  view.setUint32(at + 12, m.to, true);
  writeI64(view, at + 16, m.term);
  if ('session' in m) writeI64(view, at + 24, m.session);
  if ('index' in m) writeI64(view, at + 32, m.index);
  if ('logTerm' in m) writeI64(view, at + 40, m.logTerm);
  if ('last' in m) writeI64(view, at + 48, m.last);
  if ('commit' in m) writeI64(view, at + 56, m.commit);
  if ('truncatable' in m) writeI64(view, at + 64, m.truncatable);
  if ('round' in m) writeI64(view, at + 72, m.round);
  if ('hintIndex' in m) writeI64(view, at + 80, m.hintIndex);
  if ('hintTerm' in m) writeI64(view, at + 88, m.hintTerm);
  view.setUint32(at + 96, recordBytes, true);
}

/**
 * The messages of a RaftFrame, in order; their records lie in the tail, in order and without gaps.
 *
 * @throws EraftError ERAFT_BAD_REQUEST when a message cannot be one, or records and tail do not add up
 */
export function decodeRaftFrame(head: Uint8Array, tailLength: number): IncomingMessage[] {
  const table = new TableReader(head);
  const vector = table.vector(0, RAFT_MESSAGE_BYTES);
  const { count } = vector;
  if (count > RAFT_MESSAGES_MAX) throw malformed(`${count} messages in one frame`);
  const messages: IncomingMessage[] = [];
  let start = 0;
  for (let i = 0; i < count; i++) {
    const incoming = readMessage(table.view, vector.start + i * RAFT_MESSAGE_BYTES, start);
    if (incoming.end > tailLength) throw malformed('records reach beyond the tail');
    messages.push(incoming);
    start = incoming.end;
  }
  if (start !== tailLength) throw malformed(`${tailLength - start} bytes of the tail belong to no message`);
  return messages;
}

function readMessage(view: DataView, at: number, start: number): IncomingMessage {
  const type = TYPES[view.getUint8(at) - 1];
  if (type === undefined) throw malformed(`Raft message type ${view.getUint8(at)}`);
  const flags = view.getUint8(at + 1);
  if ((flags & ~GRANTED) !== 0) throw malformed(`Raft message flags ${flags}`);
  const entries: Entry[] = [];
  const message = readBody(view, at, type, (flags & GRANTED) !== 0, entries);
  if (message.from === 0 || message.to === 0) throw malformed('a Raft message from or to nobody');
  const recordBytes = view.getUint32(at + 96, true);
  if (message.type === 'append') {
    if (message.last < message.index) throw malformed('an append that ends before it begins');
    if (recordBytes > 0 !== message.last > message.index) throw malformed('an append and its records differ');
  } else if (recordBytes > 0) throw malformed(`records behind a ${type}`);
  return { group: view.getUint32(at + 4, true), message, entries, start, end: start + recordBytes };
}

function readBody(view: DataView, at: number, type: Message['type'], granted: boolean, entries: Entry[]): Message {
  const from = view.getUint32(at + 8, true);
  const to = view.getUint32(at + 12, true);
  const term = readU64(view, at + 16);
  const session = readU64(view, at + 24);
  const index = readU64(view, at + 32);
  const logTerm = readU64(view, at + 40);
  const commit = readU64(view, at + 56);
  const truncatable = readU64(view, at + 64);
  const round = readU64(view, at + 72);
  switch (type) {
    case 'preVote':
    case 'vote':
      return { type, from, to, term, index, logTerm };
    case 'preVoteReply':
    case 'voteReply':
      return { type, from, to, term, granted };
    case 'append': {
      const last = readU64(view, at + 48);
      return { type, from, to, term, session, commit, truncatable, round, index, logTerm, entries, last };
    }
    case 'heartbeat':
      return { type, from, to, term, session, commit, truncatable, round };
    case 'snapshot':
      return { type, from, to, term, session, commit, truncatable, round, index, logTerm };
    case 'appendReply': {
      const hintIndex = readU64(view, at + 80);
      const hintTerm = readU64(view, at + 88);
      return { type, from, to, term, session, granted, index, hintIndex, hintTerm, round };
    }
    case 'heartbeatReply':
      return { type, from, to, term, session, index, round };
  }
}

export interface ForwardHead {
  /** Chosen by the replica that forwards, repeated in the answer. */
  readonly request: number;
  /** What is left of the client's patience. 0 in answers. */
  readonly deadlineMs: number;
}

/** Prefix and head of a forward or forwarded frame. head: 0 root = 12 | 4 vtable {8, 12, 4, 8} | 12 table {8, request, deadline}. */
export function encodeForward(kind: 3 | 4, { request, deadlineMs }: ForwardHead, tailBytes: number): Uint8Array {
  const frame = new Uint8Array(PEER_PREFIX_BYTES + 24);
  const view = new DataView(frame.buffer, PEER_PREFIX_BYTES);
  view.setUint32(0, 12, true);
  view.setUint16(4, 8, true);
  view.setUint16(6, 12, true);
  view.setUint16(8, 4, true);
  view.setUint16(10, 8, true);
  view.setInt32(12, 8, true);
  view.setUint32(16, request, true);
  view.setUint32(20, deadlineMs, true);
  return sealPeerFrame(frame, kind, tailBytes);
}

/** @throws EraftError ERAFT_BAD_REQUEST */
export function decodeForward(head: Uint8Array): ForwardHead {
  const table = new TableReader(head);
  return { request: table.u32(0), deadlineMs: table.u32(1) };
}
