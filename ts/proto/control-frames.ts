// The frames around the work: hello and welcome, leader, error, status, closing a view. Cold: built with FlatBuffers.
import { Builder } from 'flatbuffers';
import { ERRORS, EraftError, type ErrorCode, errorCodeOf, type Outcome } from '../base/errors.js';
import { DEFAULT_GROUP, FRAME, frameOf } from './frame.js';
import * as wire from './generated/client.js';
import { TableReader } from './table.js';

const NAME_BYTES_MAX = 256;
const MESSAGE_BYTES_MAX = 16 * 1024;
const STATUS_BYTES_MAX = 4 * 1024 * 1024;

/** Feature bits that both sides may ask for. This release knows none. */
export type Features = bigint;

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly features: Features;
  /** The cluster id that the client expects (32 hexadecimal digits); empty: any. */
  readonly cluster: string;
  /** For logs: name and version of the client. */
  readonly client: string;
}

export interface Welcome {
  readonly version: number;
  readonly features: Features;
  readonly cluster: string;
  readonly replica: number;
  readonly server: string;
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  readonly frameBytesMax: number;
  readonly batchCommandsMax: number;
  /** Unanswered write frames that the replica takes from one connection, and as many read frames. */
  readonly inflightBatchesMax: number;
}

/** `id` 0: no leader is known. */
export interface Leader {
  readonly id: number;
  readonly address: string;
}

export function encodeHello(hello: Hello): Uint8Array {
  const b = new Builder(256);
  const cluster = b.createString(hello.cluster);
  const client = b.createString(hello.client);
  wire.Hello.startHello(b);
  wire.Hello.addVersionMin(b, hello.versionMin);
  wire.Hello.addVersionMax(b, hello.versionMax);
  wire.Hello.addFeatures(b, hello.features);
  wire.Hello.addCluster(b, cluster);
  wire.Hello.addClient(b, client);
  b.finish(wire.Hello.endHello(b));
  return frameOf(FRAME.hello, DEFAULT_GROUP, 0, 0, b.asUint8Array());
}

export function decodeHello(body: Uint8Array): Hello {
  const table = new TableReader(body);
  return {
    versionMin: table.u16(0),
    versionMax: table.u16(1),
    features: features(table, 2),
    cluster: table.string(3, NAME_BYTES_MAX),
    client: table.string(4, NAME_BYTES_MAX),
  };
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  const b = new Builder(256);
  const cluster = b.createString(welcome.cluster);
  const server = b.createString(welcome.server);
  wire.Welcome.startWelcome(b);
  wire.Welcome.addVersion(b, welcome.version);
  wire.Welcome.addFeatures(b, welcome.features);
  wire.Welcome.addCluster(b, cluster);
  wire.Welcome.addReplica(b, welcome.replica);
  wire.Welcome.addServer(b, server);
  wire.Welcome.addKeyBytesMax(b, welcome.keyBytesMax);
  wire.Welcome.addValueBytesMax(b, welcome.valueBytesMax);
  wire.Welcome.addFrameBytesMax(b, welcome.frameBytesMax);
  wire.Welcome.addBatchCommandsMax(b, welcome.batchCommandsMax);
  wire.Welcome.addInflightBatchesMax(b, welcome.inflightBatchesMax);
  b.finish(wire.Welcome.endWelcome(b));
  return frameOf(FRAME.welcome, DEFAULT_GROUP, 0, 0, b.asUint8Array());
}

export function decodeWelcome(body: Uint8Array): Welcome {
  const table = new TableReader(body);
  return {
    version: table.u16(0),
    features: features(table, 1),
    cluster: table.string(2, NAME_BYTES_MAX),
    replica: table.u32(3),
    server: table.string(4, NAME_BYTES_MAX),
    keyBytesMax: table.u32(5),
    valueBytesMax: table.u32(6),
    frameBytesMax: table.u32(7),
    batchCommandsMax: table.u32(8),
    inflightBatchesMax: table.u32(9),
  };
}

export function encodeLeader(leader: Leader, group: number): Uint8Array {
  const b = new Builder(128);
  const address = b.createString(leader.address);
  wire.Leader.startLeader(b);
  wire.Leader.addReplica(b, leader.id);
  wire.Leader.addAddress(b, address);
  b.finish(wire.Leader.endLeader(b));
  return frameOf(FRAME.leader, group, 0, 0, b.asUint8Array());
}

export function decodeLeader(body: Uint8Array): Leader {
  const table = new TableReader(body);
  return { id: table.u32(0), address: table.string(1, NAME_BYTES_MAX) };
}

export function encodeCloseView(snapshot: number, group: number, request: number): Uint8Array {
  const b = new Builder(64);
  wire.CloseView.startCloseView(b);
  wire.CloseView.addSnapshot(b, BigInt(snapshot));
  b.finish(wire.CloseView.endCloseView(b));
  return frameOf(FRAME.closeView, group, request, 0, b.asUint8Array());
}

/** @returns the id of the view to release */
export function decodeCloseView(body: Uint8Array): number {
  return new TableReader(body).u64(0);
}

/** `json`: a ClusterStatus, see status.ts. */
export function encodeStatusReply(json: string, group: number, request: number): Uint8Array {
  const b = new Builder(json.length + 64);
  const text = b.createString(json);
  wire.StatusReply.startStatusReply(b);
  wire.StatusReply.addJson(b, text);
  b.finish(wire.StatusReply.endStatusReply(b));
  return frameOf(FRAME.statusReply, group, request, 0, b.asUint8Array());
}

export function decodeStatusReply(body: Uint8Array): string {
  return new TableReader(body).string(0, STATUS_BYTES_MAX);
}

const OUTCOMES: readonly (Outcome | undefined)[] = [undefined, 'not-applied', 'unknown'];

/** The error frame that answers `request`. A cause stays at home. */
export function encodeError(error: EraftError, group: number, request: number): Uint8Array {
  const b = new Builder(256);
  const message = b.createString(clipped(error.message));
  const address = b.createString(error.leader?.address ?? '');
  wire.ErrorReply.startErrorReply(b);
  wire.ErrorReply.addCode(b, ERRORS[error.code].wire);
  wire.ErrorReply.addOutcome(b, OUTCOMES.indexOf(error.outcome));
  wire.ErrorReply.addMessage(b, message);
  wire.ErrorReply.addLeader(b, error.leader?.id ?? 0);
  wire.ErrorReply.addLeaderAddress(b, address);
  wire.ErrorReply.addBytes(b, BigInt(error.bytes ?? 0));
  wire.ErrorReply.addBytesMax(b, BigInt(error.bytesMax ?? 0));
  b.finish(wire.ErrorReply.endErrorReply(b));
  return frameOf(FRAME.error, group, request, 0, b.asUint8Array());
}

/**
 * The error that a replica answered with. One that this version does not know becomes ERAFT_OUTCOME_UNKNOWN, or
 * ERAFT_BAD_REQUEST when the replica says that nothing was applied.
 */
export function decodeError(body: Uint8Array): EraftError {
  const table = new TableReader(body);
  const number = table.u16(0);
  const outcome = OUTCOMES[table.u8(1)];
  const text = table.string(2, MESSAGE_BYTES_MAX);
  const leader = table.u32(3);
  const address = table.string(4, NAME_BYTES_MAX);
  const bytes = table.u64(5);
  const bytesMax = table.u64(6);
  const known = errorCodeOf(number);
  const code = codeThatFits(known, outcome);
  return new EraftError(code, known === undefined ? `error ${number} of a newer replica: ${text}` : text, {
    outcome,
    leader: leader === 0 ? undefined : { id: leader, address },
    bytes: bytesMax === 0 ? undefined : bytes,
    bytesMax: bytesMax === 0 ? undefined : bytesMax,
  });
}

/** An answer that says `unknown` is never turned into a code that promises `not-applied`. */
function codeThatFits(known: ErrorCode | undefined, outcome: Outcome | undefined): ErrorCode {
  if (known === undefined) return outcome === 'not-applied' ? 'ERAFT_BAD_REQUEST' : 'ERAFT_OUTCOME_UNKNOWN';
  return outcome === 'unknown' && ERRORS[known].outcome === 'not-applied' ? 'ERAFT_OUTCOME_UNKNOWN' : known;
}

/** Cut to what a decoder accepts, whatever its text takes in UTF-8. */
function clipped(message: string): string {
  return message.length * 3 <= MESSAGE_BYTES_MAX ? message : `${message.slice(0, MESSAGE_BYTES_MAX / 3 - 1)}…`;
}

function features(table: TableReader, slot: number): Features {
  const [low, high] = table.u64Halves(slot);
  return (BigInt(high) << 32n) | BigInt(low);
}
