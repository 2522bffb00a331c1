// Answers as a replica would build them, with the generated FlatBuffers code: independent of the decoders under test.
import { Builder } from 'flatbuffers';
import { EntryHeader } from '../../ts/proto/generated/command/entry-header.js';
import * as wire from '../../ts/proto/generated/command.js';

export interface Result {
  readonly status?: number;
  readonly flags?: number;
  readonly count?: number;
  readonly value?: Uint8Array;
  readonly valueLength?: number;
  readonly revision?: number;
  readonly number?: number;
}

export interface BatchAnswer {
  readonly status?: number;
  readonly firstRevision?: number;
  readonly count?: number;
  readonly lastSequence?: number;
  readonly results?: readonly Result[];
}

const NOTHING = new Uint8Array(0);

export function resultBatch(answer: BatchAnswer): Uint8Array {
  const b = new Builder(256);
  const results = answer.results ?? [];
  const data = wire.ResultBatch.createDataVector(b, Buffer.concat(results.map((r) => r.value ?? NOTHING)));
  wire.ResultBatch.startResultsVector(b, results.length);
  for (const r of [...results].reverse()) {
    const length = r.valueLength ?? r.value?.length ?? 0;
    const [revision, number] = [BigInt(r.revision ?? 0), BigInt(r.number ?? 0)];
    wire.CommandResult.createCommandResult(b, r.status ?? 0, r.flags ?? 0, r.count ?? 0, length, revision, number);
  }
  const vector = b.endVector();
  wire.ResultBatch.startResultBatch(b);
  wire.ResultBatch.addStatus(b, answer.status ?? 0);
  wire.ResultBatch.addFirstRevision(b, BigInt(answer.firstRevision ?? 0));
  wire.ResultBatch.addCount(b, answer.count ?? 0);
  wire.ResultBatch.addLastSequence(b, BigInt(answer.lastSequence ?? 0));
  wire.ResultBatch.addResults(b, vector);
  wire.ResultBatch.addData(b, data);
  b.finish(wire.ResultBatch.endResultBatch(b));
  return b.asUint8Array();
}

export interface EntryAnswer {
  readonly present: boolean;
  readonly key?: Uint8Array;
  readonly value?: Uint8Array;
  readonly valueLength?: number;
  readonly leftOut?: boolean;
  readonly revision?: number;
}

function entryParts(
  b: Builder,
  entries: readonly EntryAnswer[],
  start: (b: Builder, count: number) => void,
): [number, number] {
  const bytes = Buffer.concat(entries.flatMap((e) => [e.key ?? NOTHING, e.value ?? NOTHING]));
  b.startVector(1, bytes.length, 1);
  for (let i = bytes.length - 1; i >= 0; i--) b.addInt8(bytes[i] ?? 0);
  const data = b.endVector();
  start(b, entries.length);
  for (const e of [...entries].reverse()) {
    const flags = (e.present ? 0x8000_0000 : 0) + (e.leftOut ? 0x4000_0000 : 0);
    const length = e.valueLength ?? e.value?.length ?? 0;
    EntryHeader.createEntryHeader(b, length, (e.key?.length ?? 0) + flags, BigInt(e.revision ?? 0));
  }
  return [b.endVector(), data];
}

export function readResult(revision: number, entries: readonly EntryAnswer[]): Uint8Array {
  const b = new Builder(256);
  const [vector, data] = entryParts(b, entries, wire.ReadResult.startEntriesVector);
  wire.ReadResult.startReadResult(b);
  wire.ReadResult.addRevision(b, BigInt(revision));
  wire.ReadResult.addEntries(b, vector);
  wire.ReadResult.addData(b, data);
  b.finish(wire.ReadResult.endReadResult(b));
  return b.asUint8Array();
}

export interface PageAnswer {
  readonly revision: number;
  readonly more: boolean;
  readonly snapshot: number;
  readonly entries: readonly EntryAnswer[];
}

export function scanPage(page: PageAnswer): Uint8Array {
  const b = new Builder(256);
  const [vector, data] = entryParts(b, page.entries, wire.ScanPage.startEntriesVector);
  wire.ScanPage.startScanPage(b);
  wire.ScanPage.addRevision(b, BigInt(page.revision));
  wire.ScanPage.addMore(b, page.more);
  wire.ScanPage.addSnapshot(b, BigInt(page.snapshot));
  wire.ScanPage.addEntries(b, vector);
  wire.ScanPage.addData(b, data);
  b.finish(wire.ScanPage.endScanPage(b));
  return b.asUint8Array();
}
