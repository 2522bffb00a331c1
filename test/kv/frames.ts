// Client frames as a client would make them, and answers as it would read them.
import type { EraftError } from '../../ts/base/errors.js';
import {
  COMMAND,
  CommandScratch,
  emptyWriteFrame,
  stampRequest,
  stampSession,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../../ts/proto/command-batch.js';
import { decodeError } from '../../ts/proto/control-frames.js';
import { FRAME, frameBody, readFrameHeader } from '../../ts/proto/frame.js';
import { CONSISTENCY, decodeReadResult, ReadScratch } from '../../ts/proto/read-batch.js';
import { ResultReader } from '../../ts/proto/result-batch.js';

export interface Put {
  readonly key: string;
  readonly value: string | Uint8Array;
}

export interface WriteOptions {
  readonly request?: number;
  readonly deadlineMs?: number;
  readonly session?: number;
  readonly sequence?: number;
}

export function putFrame(puts: readonly Put[], o: WriteOptions = {}): Buffer {
  const scratch = new CommandScratch();
  for (const { key, value } of puts) scratch.add(COMMAND.put, 0, 0, key, value);
  return writeFrame(scratch, o);
}

export function appendFrame(key: string, suffix: string, o: WriteOptions = {}): Buffer {
  const scratch = new CommandScratch();
  scratch.add(COMMAND.append, 0, 0, key, suffix);
  return writeFrame(scratch, o);
}

export function deleteFrame(key: string, o: WriteOptions = {}): Buffer {
  const scratch = new CommandScratch();
  scratch.add(COMMAND.delete, 0, 0, key);
  return writeFrame(scratch, o);
}

export function writeFrame(scratch: CommandScratch, o: WriteOptions = {}): Buffer {
  const frame = emptyWriteFrame(scratch.headers, scratch.dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, scratch.headers);
  scratch.copyData(frame, writeFrameDataAt(scratch.headers), 0, scratch.dataBytes);
  stampSession(frame, o.session ?? 0, o.sequence ?? 0, 0);
  stampRequest(frame, FRAME.write, o.request ?? 1, o.deadlineMs ?? 5000);
  return frame;
}

export interface ReadOptions {
  readonly request?: number;
  readonly deadlineMs?: number;
  readonly stale?: boolean;
  readonly minRevision?: number;
}

export function readFrame(keys: readonly string[], o: ReadOptions = {}): Buffer {
  const scratch = new ReadScratch();
  for (const key of keys) scratch.add(key);
  const frame = scratch.frame(o.stale === true ? CONSISTENCY.stale : CONSISTENCY.linearizable, 0, o.minRevision ?? 0);
  stampRequest(frame, FRAME.read, o.request ?? 1, o.deadlineMs ?? 5000);
  return frame;
}

export type Answer =
  | { readonly kind: 'written'; readonly status: number; readonly revision: number; readonly count: number }
  | { readonly kind: 'values'; readonly revision: number; readonly values: readonly (string | undefined)[] }
  | { readonly kind: 'error'; readonly error: EraftError }
  | { readonly kind: 'other'; readonly frame: number };

export function readAnswer(frame: Uint8Array): Answer {
  const { kind } = readFrameHeader(frame);
  const body = frameBody(frame);
  if (kind === FRAME.error) return { kind: 'error', error: decodeError(body) };
  if (kind === FRAME.written) {
    const { status, firstRevision, count } = new ResultReader(body);
    return { kind: 'written', status, revision: firstRevision, count };
  }
  if (kind !== FRAME.values) return { kind: 'other', frame: kind };
  const { revision, entries } = decodeReadResult(body);
  const values: (string | undefined)[] = [];
  while (entries.next()) values.push(entries.present ? Buffer.from(entries.copyValue()).toString() : undefined);
  return { kind: 'values', revision, values };
}

/** The error's code, or what it was instead of an error. */
export function codeOf(answer: Answer): string {
  return answer.kind === 'error' ? answer.error.code : answer.kind;
}
