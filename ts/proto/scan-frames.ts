// ScanRequest and ScanPage: an ordered scan, page by page.
import { Builder } from 'flatbuffers';
import { EntryReader } from './entries.js';
import { DEFAULT_GROUP, FRAME, frameOf } from './frame.js';
import { ScanRequest as Wire } from './generated/command/scan-request.js';
import { CONSISTENCY } from './read-batch.js';
import { malformed, TableReader } from './table.js';

/** `snapshot` of a request that wants the present, or a view to be opened; else the id of a view. */
export const SNAPSHOT = { none: 0, open: 1 } as const;

export interface ScanRequest {
  readonly linearizable: boolean;
  readonly minRevision: number;
  /** Inclusive; empty: from the start. */
  readonly first: Uint8Array;
  /** Exclusive; empty: to the end. */
  readonly end: Uint8Array;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  /** Of this page, at least 1. */
  readonly limit: number;
  readonly pageBytes: number;
  readonly snapshot: number;
}

/** A scan frame whose header (request, deadline) is still to be stamped. */
export function encodeScanRequest(request: ScanRequest): Uint8Array {
  const b = new Builder(256);
  const first = Wire.createFirstVector(b, request.first);
  const end = Wire.createEndVector(b, request.end);
  Wire.startScanRequest(b);
  Wire.addConsistency(b, request.linearizable ? CONSISTENCY.linearizable : CONSISTENCY.stale);
  Wire.addMinRevision(b, BigInt(request.minRevision));
  Wire.addFirst(b, first);
  Wire.addEnd(b, end);
  Wire.addReverse(b, request.reverse);
  Wire.addKeysOnly(b, request.keysOnly);
  Wire.addLimit(b, request.limit);
  Wire.addPageBytes(b, request.pageBytes);
  Wire.addSnapshot(b, BigInt(request.snapshot));
  b.finish(Wire.endScanRequest(b));
  return frameOf(FRAME.scan, DEFAULT_GROUP, 0, 0, b.asUint8Array());
}

/** `first` and `end` are views of the body. @throws ERAFT_BAD_REQUEST */
export function decodeScanRequest(body: Uint8Array): ScanRequest {
  const table = new TableReader(body);
  const consistency = table.u8(0);
  if (consistency > CONSISTENCY.stale) throw malformed(`consistency ${consistency}`);
  const limit = table.u32(6);
  if (limit === 0) throw malformed('a page of no entries');
  return {
    linearizable: consistency === CONSISTENCY.linearizable,
    minRevision: table.u64(1),
    first: bytes(table, 2),
    end: bytes(table, 3),
    reverse: table.bool(4),
    keysOnly: table.bool(5),
    limit,
    pageBytes: table.u32(7),
    snapshot: table.u64(8),
  };
}

function bytes(table: TableReader, slot: number): Uint8Array {
  const { start, count } = table.vector(slot, 1);
  return table.bytes.subarray(start, start + count);
}

export interface ScanPage {
  /** Every command up to it is contained. */
  readonly revision: number;
  /** There are keys in the range beyond this page: go on after the last one (before it, in reverse). */
  readonly more: boolean;
  /** The id of the pinned view while there is more; else 0. */
  readonly snapshot: number;
  readonly entries: EntryReader;
}

/** @throws ERAFT_BAD_REQUEST */
export function decodeScanPage(body: Uint8Array): ScanPage {
  const table = new TableReader(body);
  const page = {
    revision: table.u64(0),
    more: table.bool(1),
    snapshot: table.u64(2),
    entries: new EntryReader(table, 3, true),
  };
  if (page.more && page.entries.count === 0) throw malformed('an empty page with more to come');
  return page;
}
