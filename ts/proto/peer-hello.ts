import { Builder } from 'flatbuffers';
import { Hello } from './generated/peer/hello.js';
import { PEER_FRAME, PEER_PREFIX_BYTES, PEER_VERSION, sealPeerFrame } from './peer-frames.js';
import { malformed, TableReader } from './table.js';

/** A uid as 16 hex digits. */
export type Uid = string;

/** Who speaks, and what it holds to be true of the one it speaks to. */
export interface PeerHello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly features: number;
  readonly cluster: string;
  readonly replica: number;
  readonly uid: Uid;
  readonly to: number;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly blank: boolean;
  /** The uid that the sender holds, on its disk, for the receiver's place; null: none. */
  readonly knownUid: Uid | null;
  /** '' = welcome; else an error code and why. */
  readonly refused: string;
  readonly frameBytesMax: number;
  /** Of the sender's group, now. */
  readonly term: number;
  /** Its log has lost something that it may have acknowledged. */
  readonly damaged: boolean;
}

export const PEER_PROTOCOL = { versionMin: PEER_VERSION, versionMax: PEER_VERSION, features: 0 } as const;
export const PEER_HELLO_BYTES_MAX = 4096;
const TEXT_BYTES_MAX = 1024;
const NO_UID = '0'.repeat(16);

/** The whole frame. */
export function encodePeerHello(hello: PeerHello): Uint8Array {
  const builder = new Builder(512);
  const cluster = builder.createString(hello.cluster);
  const clientAddress = builder.createString(hello.clientAddress);
  const peerAddress = builder.createString(hello.peerAddress);
  const refused = builder.createString(clipped(hello.refused));
  Hello.startHello(builder);
  Hello.addVersionMin(builder, hello.versionMin);
  Hello.addVersionMax(builder, hello.versionMax);
  Hello.addFeatures(builder, BigInt(hello.features));
  Hello.addCluster(builder, cluster);
  Hello.addReplica(builder, hello.replica);
  Hello.addUid(builder, BigInt(`0x${hello.uid}`));
  Hello.addTo(builder, hello.to);
  Hello.addClientAddress(builder, clientAddress);
  Hello.addPeerAddress(builder, peerAddress);
  Hello.addBlank(builder, hello.blank);
  Hello.addKnownUid(builder, BigInt(`0x${hello.knownUid ?? NO_UID}`));
  Hello.addRefused(builder, refused);
  Hello.addFrameBytesMax(builder, hello.frameBytesMax);
  Hello.addTerm(builder, BigInt(hello.term));
  Hello.addDamaged(builder, hello.damaged);
  builder.finish(Hello.endHello(builder));
  const head = builder.asUint8Array();
  const frame = new Uint8Array(PEER_PREFIX_BYTES + head.length);
  frame.set(head, PEER_PREFIX_BYTES);
  return sealPeerFrame(frame, PEER_FRAME.hello, 0);
}

/** @throws EraftError ERAFT_BAD_REQUEST */
export function decodePeerHello(head: Uint8Array): PeerHello {
  const table = new TableReader(head);
  const knownUid = uidOf(table, 10);
  const hello: PeerHello = {
    versionMin: table.u16(0),
    versionMax: table.u16(1),
    features: table.u64(2),
    cluster: table.string(3, TEXT_BYTES_MAX),
    replica: table.u32(4),
    uid: uidOf(table, 5),
    to: table.u32(6),
    clientAddress: table.string(7, TEXT_BYTES_MAX),
    peerAddress: table.string(8, TEXT_BYTES_MAX),
    blank: table.u8(9) !== 0,
    knownUid: knownUid === NO_UID ? null : knownUid,
    refused: table.string(11, TEXT_BYTES_MAX),
    frameBytesMax: table.u32(12),
    term: table.u64(13),
    damaged: table.u8(14) !== 0,
  };
  if (hello.versionMin > hello.versionMax) throw malformed('hello with an empty version range');
  if (hello.replica === 0 || hello.uid === NO_UID) throw malformed('hello of nobody');
  return hello;
}

function uidOf(table: TableReader, slot: number): Uid {
  return table
    .u64Halves(slot)
    .toReversed()
    .map((half) => half.toString(16).padStart(8, '0'))
    .join('');
}

/** A reason is for people: what does not fit is left out. Four bytes hold any character. */
function clipped(text: string): string {
  return text.slice(0, TEXT_BYTES_MAX / 4);
}
