// The frames that bring a snapshot from a leader's host to a follower's (proto/peer.fbs, docs/protocol.md).
import { Builder } from 'flatbuffers';
import { SnapshotChunk as ChunkTable } from './generated/peer/snapshot-chunk.js';
import { SnapshotOffer as OfferTable } from './generated/peer/snapshot-offer.js';
import { SnapshotWant as WantTable } from './generated/peer/snapshot-want.js';
import { PEER_FRAME, PEER_PREFIX_BYTES, sealPeerFrame } from './peer-frames.js';
import { malformed, TableReader } from './table.js';

const TEXT_BYTES_MAX = 1024;
const ID = /^[0-9a-f]{32}$/;

/** A snapshot that a leader's host has for a follower. */
export interface SnapshotOffer {
  /** Chosen by the sender, repeated in all that belongs to it. */
  readonly transfer: number;
  readonly group: number;
  /** Of the leader. */
  readonly term: number;
  /** The last entry that is in it, and its term. */
  readonly index: number;
  readonly logTerm: number;
  /** 32 hex digits, drawn when it was made. */
  readonly id: string;
  readonly chunks: number;
  readonly bytes: number;
}

export interface SnapshotWant {
  readonly transfer: number;
  /** Everything before this chunk is with the follower; the number of chunks: it is complete, verified and durable. */
  readonly next: number;
  /** '': go on. Else a code and why, and the transfer is over. */
  readonly refused: string;
}

/** Names a chunk; its bytes are the tail of the frame. */
export interface SnapshotChunk {
  readonly transfer: number;
  readonly number: number;
}

/** The whole frame. */
export function encodeSnapshotOffer(o: SnapshotOffer): Uint8Array {
  const builder = new Builder(128);
  const id = builder.createString(o.id);
  OfferTable.startSnapshotOffer(builder);
  OfferTable.addTransfer(builder, o.transfer);
  OfferTable.addGroup(builder, o.group);
  OfferTable.addTerm(builder, BigInt(o.term));
  OfferTable.addIndex(builder, BigInt(o.index));
  OfferTable.addLogTerm(builder, BigInt(o.logTerm));
  OfferTable.addId(builder, id);
  OfferTable.addChunks(builder, o.chunks);
  OfferTable.addBytes(builder, BigInt(o.bytes));
  return framed(builder, OfferTable.endSnapshotOffer(builder), PEER_FRAME.snapshotOffer, 0);
}

/** @throws EraftError ERAFT_BAD_REQUEST */
export function decodeSnapshotOffer(head: Uint8Array): SnapshotOffer {
  const table = new TableReader(head);
  const offer: SnapshotOffer = {
    transfer: table.u32(0),
    group: table.u32(1),
    term: table.u64(2),
    index: table.u64(3),
    logTerm: table.u64(4),
    id: table.string(5, TEXT_BYTES_MAX),
    chunks: table.u32(6),
    bytes: table.u64(7),
  };
  const possible = offer.index > 0 && offer.logTerm <= offer.term && offer.chunks >= 2 && ID.test(offer.id);
  if (!possible) throw malformed('an offer of a snapshot that cannot be');
  return offer;
}

/** The whole frame. */
export function encodeSnapshotWant({ transfer, next, refused }: SnapshotWant): Uint8Array {
  const builder = new Builder(128);
  const why = builder.createString(refused.slice(0, TEXT_BYTES_MAX / 4)); // four bytes hold any character
  WantTable.startSnapshotWant(builder);
  WantTable.addTransfer(builder, transfer);
  WantTable.addNext(builder, next);
  WantTable.addRefused(builder, why);
  return framed(builder, WantTable.endSnapshotWant(builder), PEER_FRAME.snapshotWant, 0);
}

/** @throws EraftError ERAFT_BAD_REQUEST */
export function decodeSnapshotWant(head: Uint8Array): SnapshotWant {
  const table = new TableReader(head);
  return { transfer: table.u32(0), next: table.u32(1), refused: table.string(2, TEXT_BYTES_MAX) };
}

/** Prefix and head; the chunk follows as the tail. */
export function encodeSnapshotChunk({ transfer, number }: SnapshotChunk, tailBytes: number): Uint8Array {
  const builder = new Builder(64);
  ChunkTable.startSnapshotChunk(builder);
  ChunkTable.addTransfer(builder, transfer);
  ChunkTable.addNumber(builder, number);
  return framed(builder, ChunkTable.endSnapshotChunk(builder), PEER_FRAME.snapshotChunk, tailBytes);
}

/** @throws EraftError ERAFT_BAD_REQUEST */
export function decodeSnapshotChunk(head: Uint8Array): SnapshotChunk {
  const table = new TableReader(head);
  return { transfer: table.u32(0), number: table.u32(1) };
}

function framed(builder: Builder, root: number, kind: number, tailBytes: number): Uint8Array {
  builder.finish(root);
  const head = builder.asUint8Array();
  const frame = new Uint8Array(PEER_PREFIX_BYTES + head.length);
  frame.set(head, PEER_PREFIX_BYTES);
  return sealPeerFrame(frame, kind, tailBytes);
}
