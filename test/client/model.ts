// A replicated store as a client may observe it: one log, one map, the session table. Frames in, frames out.

import { EraftError } from '../../ts/base/errors.js';
import { LIMITS } from '../../ts/base/limits.js';
import {
  COMMAND,
  COMMAND_FLAG,
  type DecodedCommand,
  decodeBatchHead,
  decodeCommands,
} from '../../ts/proto/command-batch.js';
import { decodeCloseView, encodeError, encodeStatusReply } from '../../ts/proto/control-frames.js';
import { FRAME, frameBody, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import { decodeReadHead, decodeReadKeys } from '../../ts/proto/read-batch.js';
import { decodeScanRequest } from '../../ts/proto/scan-frames.js';
import { type EntryAnswer, type Result, readResult, resultBatch, scanPage } from '../proto/answers.js';

interface Stored {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly revision: number;
}

interface Session {
  last: number;
  readonly results: Map<number, Uint8Array>;
}

type State = Map<string, Stored>;

/** One command as it was applied. */
export interface Applied {
  readonly revision: number;
  readonly kind: number;
  readonly key: string;
  readonly value: string;
}

export class Model {
  state: State = new Map();
  readonly sessions = new Map<number, Session>();
  readonly applied: Applied[] = [];
  readonly views = new Map<number, State>();
  revision = 0;
  /** Reads leave values out when an answer would be larger. */
  answerBytesMax: number = LIMITS.clientFrameBytesMax;
  pageEntriesMax: number = LIMITS.scanPageEntriesMax;
  #view = 1000;

  /** The answer to one frame. */
  handle(frame: Uint8Array): Uint8Array {
    const { kind, request } = readFrameHeader(frame);
    const body = frameBody(frame);
    if (kind === FRAME.write) return frameOf(FRAME.written, 1, request, 0, this.write(body));
    if (kind === FRAME.read) return frameOf(FRAME.values, 1, request, 0, this.#read(body));
    if (kind === FRAME.scan) return this.#scan(body, request);
    if (kind === FRAME.closeView) {
      this.views.delete(decodeCloseView(body));
      return frameOf(FRAME.viewClosed, 1, request, 0, new Uint8Array(0));
    }
    if (kind === FRAME.status) {
      const replica = { id: 1, address: '127.0.0.1:2460', reachable: true, role: 'leader', term: 3 };
      return encodeStatusReply(JSON.stringify({ clusterId: 'c', leader: 1, replicas: [replica] }), 1, request);
    }
    return encodeError(new EraftError('ERAFT_BAD_REQUEST', `kind ${kind}`), 1, request);
  }

  /** Applies a CommandBatch, as its entry in the log would be. */
  write(body: Uint8Array): Uint8Array {
    const head = decodeBatchHead(body);
    const commands = decodeCommands(body);
    const count = topLevel(commands);
    const firstRevision = this.revision + 1;
    this.revision += count;
    if (commands[0]?.kind === COMMAND.register) {
      this.sessions.set(firstRevision, { last: 0, results: new Map() });
      return resultBatch({ firstRevision, count });
    }
    if (head.session === 0)
      return resultBatch({ firstRevision, count, results: this.#evaluate(commands, firstRevision) });
    const session = this.sessions.get(head.session);
    if (session === undefined) return resultBatch({ status: 1, count });
    for (const known of session.results.keys()) if (known <= head.acknowledged) session.results.delete(known);
    if (head.sequence <= session.last) {
      return session.results.get(head.sequence) ?? resultBatch({ status: 3, count, lastSequence: session.last });
    }
    if (head.sequence !== session.last + 1) return resultBatch({ status: 2, count, lastSequence: session.last });
    session.last = head.sequence;
    const results = this.#evaluate(commands, firstRevision);
    const answer = resultBatch({ firstRevision, count, lastSequence: session.last, results });
    session.results.set(head.sequence, answer);
    return answer;
  }

  #evaluate(commands: readonly DecodedCommand[], firstRevision: number): Result[] {
    const results: Result[] = [];
    let revision = firstRevision;
    let blind = true;
    for (let i = 0; i < commands.length; i++) {
      const command = at(commands, i);
      if (command.kind === COMMAND.transact) {
        results.push(...this.#transact(commands.slice(i + 1, i + 1 + command.parts), revision));
        i += command.parts;
        blind = false;
      } else {
        blind &&= (command.kind === COMMAND.put || command.kind === COMMAND.delete) && command.flags === 0;
        results.push(this.#apply(this.state, command, revision));
      }
      revision++;
    }
    return blind ? [] : results;
  }

  #transact(parts: readonly DecodedCommand[], revision: number): Result[] {
    const conditions = parts.filter((p) => p.kind >= COMMAND.revisionIs);
    const failed = conditions.flatMap((c, index): Result[] =>
      holds(this.state, c) ? [] : [{ ...entryResult(this.#entry(c)), count: index }],
    );
    if (failed.length > 0)
      return [
        { status: 1, count: failed.length },
        ...failed.map((f) => ({ ...f, status: 1, flags: (f.flags ?? 0) | 2 })),
      ];
    const copy: State = new Map(this.state);
    const log = this.applied.length;
    const operations = parts.filter((p) => p.kind < COMMAND.revisionIs);
    for (const [index, operation] of operations.entries()) {
      const result = this.#apply(copy, operation, revision);
      if (result.status !== undefined && result.status !== 0) {
        this.applied.length = log;
        return [{ status: result.status, number: index }];
      }
    }
    this.state = copy;
    return [{}];
  }

  #entry(command: DecodedCommand): Stored | undefined {
    return this.state.get(hex(command.key));
  }

  #apply(state: State, command: DecodedCommand, revision: number): Result {
    const key = hex(command.key);
    const old = state.get(key);
    const put = (value: Buffer): void => {
      state.set(key, { key: Buffer.from(command.key), value, revision });
    };
    let result: Result = (command.flags & COMMAND_FLAG.previous) !== 0 ? entryResult(old) : {};
    if (command.kind === COMMAND.put) put(Buffer.from(command.value));
    else if (command.kind === COMMAND.delete) state.delete(key);
    else if (command.kind === COMMAND.append) {
      const value = Buffer.concat([old?.value ?? Buffer.alloc(0), command.value]);
      if (value.length > LIMITS.valueBytesMax) return { status: 3 };
      put(value);
      result = { number: value.length };
    } else if (command.kind === COMMAND.increment) {
      const text = old?.value.toString() ?? '0';
      if (!/^-?\d+$/.test(text)) return { status: 2 };
      const value = Number(text) + command.number;
      if (!Number.isSafeInteger(value)) return { status: 3 };
      put(Buffer.from(String(value)));
      result = { number: value };
    } else if (command.kind === COMMAND.deleteRange) {
      const keys = sorted(state, command.key, command.value);
      if ((command.flags & COMMAND_FLAG.fromEnd) !== 0) keys.reverse();
      const gone = command.number < 0 ? keys : keys.slice(0, command.number);
      for (const { key } of gone) state.delete(hex(key));
      result = { number: gone.length };
    }
    this.applied.push({
      revision,
      kind: command.kind,
      key: Buffer.from(command.key).toString(),
      value: Buffer.from(command.value).toString(),
    });
    return result;
  }

  #read(body: Uint8Array): Uint8Array {
    const { noValues } = decodeReadHead(body);
    let room = this.answerBytesMax;
    const entries = decodeReadKeys(body).map((key): EntryAnswer => {
      const stored = this.state.get(hex(key));
      if (stored === undefined) return { present: false };
      if (noValues) return { present: true, revision: stored.revision };
      if (stored.value.length > room)
        return { present: true, leftOut: true, valueLength: stored.value.length, revision: stored.revision };
      room -= stored.value.length;
      return { present: true, value: stored.value, revision: stored.revision };
    });
    return readResult(this.revision, entries);
  }

  #scan(body: Uint8Array, request: number): Uint8Array {
    const ask = decodeScanRequest(body);
    let { snapshot } = ask;
    if (snapshot === 1) {
      snapshot = ++this.#view;
      this.views.set(snapshot, new Map(this.state));
    }
    const state = snapshot === 0 ? this.state : this.views.get(snapshot);
    if (state === undefined) return encodeError(new EraftError('ERAFT_SNAPSHOT_LOST', 'no such view'), 1, request);
    const range = sorted(state, ask.first, ask.end);
    if (ask.reverse) range.reverse();
    const page = range.slice(0, Math.min(ask.limit, this.pageEntriesMax));
    const more = page.length < range.length;
    if (!more) this.views.delete(snapshot);
    const entries = page.map((e) => ({
      present: true,
      key: e.key,
      value: ask.keysOnly ? Buffer.alloc(0) : e.value,
      revision: e.revision,
    }));
    return frameOf(
      FRAME.page,
      1,
      request,
      0,
      scanPage({ revision: this.revision, more, snapshot: more ? snapshot : 0, entries }),
    );
  }
}

function topLevel(commands: readonly DecodedCommand[]): number {
  let count = 0;
  for (let i = 0; i < commands.length; i++) {
    count++;
    i += at(commands, i).parts;
  }
  return count;
}

function holds(state: State, c: DecodedCommand): boolean {
  const entry = state.get(hex(c.key));
  if (c.kind === COMMAND.revisionIs) return (entry?.revision ?? 0) === c.number;
  if (c.kind === COMMAND.valueIs) return entry?.value.equals(c.value) === true;
  return (c.kind === COMMAND.exists) === (entry !== undefined);
}

function entryResult(entry: Stored | undefined): Result {
  return entry === undefined ? {} : { flags: 1, value: entry.value, revision: entry.revision };
}

function sorted(state: State, first: Uint8Array, end: Uint8Array): Stored[] {
  return [...state.values()]
    .filter((e) => Buffer.compare(e.key, first) >= 0 && (end.length === 0 || Buffer.compare(e.key, end) < 0))
    .sort((a, b) => Buffer.compare(a.key, b.key));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}
