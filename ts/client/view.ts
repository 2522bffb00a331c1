// The methods of a store, over pipelines that all its views share.
import { type Bytes, demandBytes } from '../base/bytes.js';
import type { Clock } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import { COMMAND, COMMAND_FLAG } from '../proto/command-batch.js';
import { decodeStatusReply } from '../proto/control-frames.js';
import { DEFAULT_GROUP, FRAME, FRAME_HEADER_BYTES, writeFrameHeader } from '../proto/frame.js';
import { READ_FLAG } from '../proto/read-batch.js';
import { parseClusterStatus } from '../proto/status.js';
import { aborted, type PendingCalls } from './call.js';
import { type Codec, codecOf } from './codec.js';
import type {
  CallOptions,
  ClusterStatus,
  Condition,
  Decision,
  E,
  Encoding,
  Entry,
  KeyValue,
  Operation,
  ReadOptions,
  ScanOptions,
  WriteOptions,
  Written,
} from './key-value.js';
import {
  conditionCommand,
  demandInteger,
  demandOptions,
  flagOf,
  operationCommand,
  readModeOf,
  signalOf,
  timeoutOf,
  transactCommand,
} from './options.js';
import { rangeOf } from './range.js';
import { ReadCall, type ReadWant } from './read-call.js';
import type { ReadPipeline } from './read-pipeline.js';
import { type ScanParts, scanOf } from './scan.js';
import type { Turn } from './turn.js';
import {
  APPEND,
  BLIND,
  DELETE_RANGE,
  INCREMENT,
  TRANSACT,
  WITH_PREVIOUS,
  WriteCall,
  type WriteShape,
} from './write-call.js';
import type { Command } from './write-intake.js';
import type { WritePipeline } from './write-pipeline.js';

/** What the views of one store share. */
export interface ViewParts extends ScanParts {
  readonly writes: WritePipeline;
  readonly reads: ReadPipeline;
  readonly pending: PendingCalls;
  readonly turn: Turn;
  readonly clock: Clock;
  close(timeoutMs: number): Promise<void>;
}

const NO_KEYS: readonly unknown[] = [];
const NO_BYTES = new Uint8Array(0);

type Resolve = (value: never) => void;
type Reject = (error: unknown) => void;

export class View<K, V> implements KeyValue<K, V> {
  readonly #parts: ViewParts;
  readonly #codec: Codec<K, V>;

  constructor(parts: ViewParts, codec: Codec<K, V>) {
    this.#parts = parts;
    this.#codec = codec;
  }

  // Reads. What an executor throws rejects its promise: no method throws.

  get(key: Bytes, o?: ReadOptions): Promise<V | undefined> {
    return new Promise((resolve, reject) => this.#read(resolve, reject, 'value', key, o));
  }

  getEntry(key: Bytes, o?: ReadOptions): Promise<Entry<K, V> | undefined> {
    return new Promise((resolve, reject) => this.#read(resolve, reject, 'entry', key, o));
  }

  has(key: Bytes, o?: ReadOptions): Promise<boolean> {
    return new Promise((resolve, reject) => this.#read(resolve, reject, 'existence', key, o));
  }

  getMany(keys: readonly Bytes[], o?: ReadOptions): Promise<(Entry<K, V> | undefined)[]> {
    return new Promise((resolve, reject) => {
      if (!Array.isArray(keys)) throw new TypeError('keys must be an array');
      for (const key of keys) demandBytes(key, 'key');
      if (keys.length === 0) {
        this.#signalOf(o);
        readModeOf(o);
        this.#parts.demandOpen();
        resolve([]);
        return;
      }
      this.#readKeys(resolve, reject, 'entries', keys, keys.map(this.#codec.keyOf), o);
    });
  }

  scan(o?: ScanOptions): AsyncIterable<Entry<K, V>> & { pages(): AsyncIterable<readonly Entry<K, V>[]> } {
    return scanOf(this.#parts, this.#codec, o);
  }

  #read(resolve: Resolve, reject: Reject, want: ReadWant, key: Bytes, o: ReadOptions | undefined): void {
    demandBytes(key, 'key');
    this.#readKeys(resolve, reject, want, [key], want === 'entry' ? [this.#codec.keyOf(key)] : NO_KEYS, o);
  }

  #readKeys(
    resolve: Resolve,
    reject: Reject,
    want: ReadWant,
    keys: readonly Bytes[],
    given: readonly unknown[],
    o: ReadOptions | undefined,
  ): void {
    const signal = this.#signalOf(o);
    const { consistency, minRevision } = readModeOf(o);
    const deadline = this.#deadlineOf(o);
    const call = new ReadCall(deadline, resolve, reject, want, this.#codec, given, keys.length);
    const flags = want === 'existence' ? READ_FLAG.noValues : 0;
    this.#parts.reads.submit(call, keys, { consistency, minRevision, flags }, signal);
  }

  // Writes.

  put(key: Bytes, value: Bytes, o?: WriteOptions): Promise<Written<Entry<K, V>>> {
    return new Promise((resolve, reject) => {
      demandBytes(key, 'key');
      demandBytes(value, 'value');
      this.#replace(resolve, reject, COMMAND.put, key, value, o);
    });
  }

  delete(key: Bytes, o?: WriteOptions): Promise<Written<Entry<K, V>>> {
    return new Promise((resolve, reject) => {
      demandBytes(key, 'key');
      this.#replace(resolve, reject, COMMAND.delete, key, NO_BYTES, o);
    });
  }

  append(key: Bytes, suffix: Bytes, o?: CallOptions): Promise<{ revision: number; length: number }> {
    return new Promise((resolve, reject) => {
      demandBytes(key, 'key');
      demandBytes(suffix, 'suffix');
      this.#write(resolve, reject, APPEND, NO_KEYS, [commandOf(COMMAND.append, 0, key, suffix, 0)], o);
    });
  }

  increment(key: Bytes, by = 1, o?: CallOptions): Promise<{ revision: number; value: number }> {
    return new Promise((resolve, reject) => {
      demandBytes(key, 'key');
      demandInteger(by, 'by', -Number.MAX_SAFE_INTEGER);
      this.#write(resolve, reject, INCREMENT, NO_KEYS, [commandOf(COMMAND.increment, 0, key, NO_BYTES, by)], o);
    });
  }

  deleteRange(
    o: Omit<ScanOptions, 'snapshot' | 'pageBytes' | 'keysOnly'>,
  ): Promise<{ revision: number; count: number }> {
    return new Promise((resolve, reject) => {
      if (typeof o !== 'object' || o === null) throw new TypeError('deleteRange needs a range');
      const { first, end } = rangeOf(o);
      if (o.limit !== undefined) demandInteger(o.limit, 'limit', 0);
      const flags = flagOf(o.reverse, 'reverse') && o.limit !== undefined ? COMMAND_FLAG.fromEnd : 0;
      const command = commandOf(COMMAND.deleteRange, flags, first, end, o.limit ?? -1);
      this.#write(resolve, reject, DELETE_RANGE, NO_KEYS, [command], o);
    });
  }

  compareAndSwap(when: Condition, value: Bytes, o?: CallOptions): Promise<Decision<Entry<K, V>>> {
    return new Promise((resolve, reject) => {
      const condition = conditionCommand(when);
      demandBytes(value, 'value');
      const put = commandOf(COMMAND.put, 0, condition.key, value, 0);
      const keys = [this.#codec.keyOf(condition.key)];
      this.#write(resolve, reject, TRANSACT, keys, [transactCommand(2), condition, put], o);
    });
  }

  transact(
    ops: readonly Operation[],
    o?: CallOptions & { when?: readonly Condition[] },
  ): Promise<Decision<Entry<K, V>>> {
    return new Promise((resolve, reject) => {
      if (!Array.isArray(ops)) throw new TypeError('operations must be an array');
      demandOptions(o);
      if (o?.when !== undefined && !Array.isArray(o.when)) throw new TypeError('when must be an array of conditions');
      const conditions = (o?.when ?? []).map(conditionCommand);
      const parts = [...conditions, ...ops.map(operationCommand)];
      if (parts.length === 0) throw new RangeError('a transaction has at least one condition or operation');
      const keys = conditions.map((condition) => this.#codec.keyOf(condition.key));
      // More parts than the header can count are refused as too many commands.
      this.#write(resolve, reject, TRANSACT, keys, [transactCommand(Math.min(parts.length, 0xffff)), ...parts], o);
    });
  }

  #replace(
    resolve: Resolve,
    reject: Reject,
    kind: number,
    key: Bytes,
    value: Bytes,
    o: WriteOptions | undefined,
  ): void {
    const previous = flagOf(o?.previous, 'previous');
    const command = commandOf(kind, previous ? COMMAND_FLAG.previous : 0, key, value, 0);
    if (previous) this.#write(resolve, reject, WITH_PREVIOUS, [this.#codec.keyOf(key)], [command], o);
    else this.#write(resolve, reject, BLIND, NO_KEYS, [command], o);
  }

  #write(
    resolve: Resolve,
    reject: Reject,
    shape: WriteShape,
    keys: readonly unknown[],
    commands: readonly Command[],
    o: CallOptions | undefined,
  ): void {
    const signal = this.#signalOf(o);
    const call = new WriteCall(this.#deadlineOf(o), resolve, reject, shape, this.#codec, keys);
    this.#parts.writes.submit(call, commands, signal);
  }

  #signalOf(o: CallOptions | undefined): AbortSignal | undefined {
    demandOptions(o);
    const signal = signalOf(o);
    if (signal?.aborted) throw aborted(signal, 'not-applied');
    return signal;
  }

  #deadlineOf(o: CallOptions | undefined): number {
    this.#parts.demandOpen();
    return this.#parts.turn.now() + timeoutOf(o?.timeoutMs, this.#parts.timeoutMs);
  }

  // The rest.

  as<A extends E, B extends E>(key: A, value: B): KeyValue<Encoding[A], Encoding[B]> {
    return new View(this.#parts, codecOf(key, value));
  }

  async status(o?: CallOptions): Promise<ClusterStatus> {
    const signal = this.#signalOf(o);
    const deadline = this.#deadlineOf(o);
    const frame = new Uint8Array(FRAME_HEADER_BYTES);
    writeFrameHeader(frame, 0, FRAME.status, DEFAULT_GROUP, 0, 0);
    return await this.#parts.singles.ask({
      frame,
      kind: FRAME.status,
      answerKind: FRAME.statusReply,
      what: 'the status',
      deadline,
      signal,
      generation: undefined,
      decode: (body) => parseClusterStatus(decodeStatusReply(body)),
    });
  }

  async close(o?: { timeoutMs?: number | undefined }): Promise<void> {
    demandOptions(o);
    await this.#parts.close(timeoutOf(o?.timeoutMs, this.#parts.timeoutMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function commandOf(kind: number, flags: number, key: Bytes, value: Bytes, number: number): Command {
  return { kind, flags, parts: 0, key, value, number };
}

/** What calls hear once the store is closed. */
export function closedError(): EraftError {
  return new EraftError('ERAFT_CLOSED', 'the store is closed; nothing was sent', { outcome: 'not-applied' });
}
