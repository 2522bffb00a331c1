// From the point reads of a turn to batches that are answered over one snapshot each, and back to their callers.
//
// A read may be sent as often as it takes. A call is never divided between batches, so getMany sees one moment.
import type { Bytes } from '../base/bytes.js';
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import type { EntryReader } from '../proto/entries.js';
import { FRAME, frameBody } from '../proto/frame.js';
import { decodeReadKeys, decodeReadResult, READ_FLAG, ReadScratch } from '../proto/read-batch.js';
import { malformed } from '../proto/table.js';
import { Backoff } from './backoff.js';
import { type Awaiting, type ChannelUser, isAboutReplica } from './channel.js';
import { mayRead, type ReadCall, type ReadPlace } from './read-call.js';
import { keyEmpty, keyTooLarge, tooLarge } from './write-intake.js';
import { INFLIGHT_BYTES_MAX, type PipelineParts } from './write-pipeline.js';

/** Reads that differ in one of these cannot share a batch. */
export interface ReadKind {
  /** CONSISTENCY */
  readonly consistency: number;
  readonly minRevision: number;
  /** READ_FLAG */
  readonly flags: number;
}

export interface ReadLimits {
  /** Keys that wait to be sent; more are refused with ERAFT_OVERLOADED. */
  readonly queueKeysMax: number;
  readonly queueBytesMax: number;
}

/** The reads of one future batch. */
interface Gathering {
  readonly kind: ReadKind;
  readonly scratch: ReadScratch;
  readonly calls: ReadCall[];
}

/** One ReadBatch, sent until it is answered or nobody waits for it. */
class ReadBatch implements Awaiting, ReadPlace {
  readonly answerKind = FRAME.values;
  outstanding = false;
  readonly kind: ReadKind;
  readonly frame: Buffer;
  readonly calls: readonly ReadCall[];
  readonly #owner: ReadPipeline;

  constructor(owner: ReadPipeline, kind: ReadKind, frame: Buffer, calls: readonly ReadCall[]) {
    this.#owner = owner;
    this.kind = kind;
    this.frame = frame;
    this.calls = calls;
  }

  get lastRefusal(): EraftError | undefined {
    return this.#owner.lastRefusal;
  }

  get wanted(): boolean {
    return this.calls.some((call) => !call.done);
  }

  onAnswer(body: Uint8Array): void {
    this.#owner.onAnswer(this, body);
  }

  onRefused(error: EraftError): void {
    this.#owner.onRefused(this, error);
  }

  onLost(): void {
    this.outstanding = false;
  }
}

const FRAME_BYTES_MAX = LIMITS.clientFrameBytesMax;

export class ReadPipeline implements ChannelUser, ReadPlace {
  readonly #parts: PipelineParts;
  readonly #limits: ReadLimits;
  readonly #backoff: Backoff;
  /** Waiting to be sent; the last one of each kind is still filled. */
  #gathering: Gathering[] = [];
  readonly #spare: ReadScratch[] = [];
  /** Sent, and not answered. */
  readonly #batches = new Set<ReadBatch>();
  #keys = 0;
  #bytes = 0;
  #lastRefusal: EraftError | undefined;

  constructor(parts: PipelineParts, limits: ReadLimits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#backoff = new Backoff(parts.clock, parts.random, { firstMs: 10, mostMs: 500 });
  }

  get lastRefusal(): EraftError | undefined {
    return this.#parts.channel.isUp ? this.#lastRefusal : (this.#parts.channel.lastReason ?? this.#lastRefusal);
  }

  /** Takes a read. @throws EraftError: nothing was kept of it then */
  submit(call: ReadCall, keys: readonly Bytes[], kind: ReadKind, signal: AbortSignal | undefined): void {
    if (this.#keys >= this.#limits.queueKeysMax || this.#bytes >= this.#limits.queueBytesMax) {
      throw new EraftError('ERAFT_OVERLOADED', `${this.#keys} keys wait to be read: call again later`);
    }
    this.#put(call, keys, kind);
    this.#parts.pending.add(call, signal);
    this.#parts.turn.touch();
  }

  #put(call: ReadCall, keys: readonly Bytes[], kind: ReadKind): void {
    if (keys.length > LIMITS.readKeysMax) throw tooLarge(keys.length, LIMITS.readKeysMax, 'keys');
    let gathering = this.#open(kind);
    if (!this.#encode(gathering.scratch, keys)) {
      gathering = this.#openNew(kind);
      if (!this.#encode(gathering.scratch, keys)) {
        throw new EraftError(
          'ERAFT_BATCH_TOO_LARGE',
          `the keys do not fit into ${FRAME_BYTES_MAX} bytes: divide the call`,
        );
      }
    }
    gathering.calls.push(call);
    call.place = this;
  }

  #open(kind: ReadKind): Gathering {
    for (let i = this.#gathering.length - 1; i >= 0; i--) {
      const gathering = this.#gathering[i];
      if (gathering !== undefined && sameKind(gathering.kind, kind)) return gathering;
    }
    return this.#openNew(kind);
  }

  #openNew(kind: ReadKind): Gathering {
    const gathering = { kind, scratch: this.#spare.pop() ?? new ReadScratch(), calls: [] };
    this.#gathering.push(gathering);
    return gathering;
  }

  /** @returns false when the keys do not fit into this batch, which is left as it was */
  #encode(scratch: ReadScratch, keys: readonly Bytes[]): boolean {
    const { keys: keysBefore, dataBytes: bytesBefore } = scratch;
    const { keyBytesMax } = this.#parts.channel.limits;
    try {
      for (const key of keys) {
        const bytes = key.length > keyBytesMax ? key.length : scratch.add(key);
        if (bytes > keyBytesMax) throw keyTooLarge(bytes, keyBytesMax);
        if (bytes === 0) throw keyEmpty();
      }
    } catch (error) {
      scratch.rollBack(keysBefore, bytesBefore);
      throw error;
    }
    if (scratch.keys > LIMITS.readKeysMax || scratch.frameBytes > FRAME_BYTES_MAX) {
      scratch.rollBack(keysBefore, bytesBefore);
      return false;
    }
    this.#keys += scratch.keys - keysBefore;
    this.#bytes += scratch.dataBytes - bytesBefore;
    return true;
  }

  /** The end of a turn, or of a wait: sends what may be sent. */
  flush(): void {
    const { channel } = this.#parts;
    if (!channel.isUp || this.#backoff.waiting) return;
    for (const batch of [...this.#batches]) {
      if (batch.outstanding) continue;
      if (!batch.wanted) this.#batches.delete(batch);
      else if (channel.isUp) this.#send(batch);
    }
    while (this.#gathering.length > 0 && channel.isUp && this.#hasRoom()) {
      const gathering = this.#gathering.shift();
      if (gathering === undefined) return;
      const batch = this.#seal(gathering);
      if (batch !== undefined) this.#send(batch);
    }
  }

  #hasRoom(): boolean {
    if (this.#batches.size >= this.#parts.channel.limits.inflightBatchesMax) return false;
    let bytes = 0;
    for (const batch of this.#batches) bytes += batch.frame.length;
    return bytes < INFLIGHT_BYTES_MAX;
  }

  #seal(gathering: Gathering): ReadBatch | undefined {
    const { kind, scratch, calls } = gathering;
    this.#keys -= scratch.keys;
    this.#bytes -= scratch.dataBytes;
    let batch: ReadBatch | undefined;
    if (calls.some((call) => !call.done)) {
      batch = new ReadBatch(this, kind, scratch.frame(kind.consistency, kind.flags, kind.minRevision), calls);
      for (const call of calls) call.place = batch;
      this.#batches.add(batch);
    }
    scratch.clear();
    if (this.#spare.length < 2) this.#spare.push(scratch);
    return batch;
  }

  #send(batch: ReadBatch): void {
    batch.outstanding = true;
    let deadline = 0;
    for (const call of batch.calls) if (!call.done && call.deadline > deadline) deadline = call.deadline;
    this.#parts.channel.send(batch.frame, FRAME.read, deadline - this.#parts.turn.now(), batch);
  }

  onAnswer(batch: ReadBatch, body: Uint8Array): void {
    const { entries } = decodeReadResult(body);
    let keys = 0;
    for (const call of batch.calls) keys += call.count;
    if (entries.count !== keys) throw malformed(`${entries.count} entries for ${keys} keys`);
    this.#batches.delete(batch);
    this.#lastRefusal = undefined;
    this.#backoff.reset();
    if (entries.leavesOut && batch.kind.flags !== READ_FLAG.noValues) this.#takeSome(batch, body);
    else for (const call of batch.calls) this.#settle(call, entries);
    if (this.#gathering.length > 0) this.#parts.turn.touch();
  }

  /** Hands the next entries to their call, and goes behind them whatever becomes of it. */
  #settle(call: ReadCall, entries: EntryReader): void {
    if (call.done) {
      entries.skip(call.count);
      return;
    }
    const end = entries.position + call.count;
    let value: unknown;
    try {
      value = call.take(entries);
    } catch (error) {
      entries.skip(end - entries.position);
      this.#parts.pending.reject(call, error);
      return;
    }
    if (this.#parts.pending.settle(call)) call.resolve(value);
  }

  /** The answer would have been too large: reads whose values are missing go into smaller batches. */
  #takeSome(batch: ReadBatch, body: Uint8Array): void {
    const keys = decodeReadKeys(frameBody(batch.frame));
    const { entries } = decodeReadResult(body);
    let at = 0;
    let room = 0;
    for (const call of batch.calls) {
      const from = at;
      at += call.count;
      const bytes = entries.peekLeftOut(call.count);
      if (bytes === 0 || call.done) {
        this.#settle(call, entries);
        continue;
      }
      entries.skip(call.count);
      if (batch.calls.length === 1) {
        this.#parts.pending.reject(call, answerTooLarge(bytes, this.#parts.channel.limits.frameBytesMax));
        continue;
      }
      room -= bytes;
      if (room < 0) {
        this.#openNew(batch.kind);
        room = this.#parts.channel.limits.frameBytesMax / 2 - bytes;
      }
      this.#put(call, keys.slice(from, at), batch.kind);
      if (room < 0) this.#openNew(batch.kind); // alone: nothing else may join it
    }
    this.#parts.turn.touch();
  }

  onRefused(batch: ReadBatch, error: EraftError): void {
    batch.outstanding = false;
    this.#lastRefusal = error;
    if (mayRead(error)) {
      if (isAboutReplica(error)) this.#parts.channel.fail(error);
      this.#backoff.wait(() => this.flush());
      return;
    }
    this.#batches.delete(batch);
    for (const call of batch.calls) this.#parts.pending.reject(call, error);
    this.#parts.turn.touch();
  }

  onUp(): void {
    this.#backoff.reset();
    this.#parts.turn.touch();
  }

  onEnded(): void {
    this.#backoff.cancel();
  }
}

function sameKind(a: ReadKind, b: ReadKind): boolean {
  return a.consistency === b.consistency && a.minRevision === b.minRevision && a.flags === b.flags;
}

function answerTooLarge(bytes: number, bytesMax: number): EraftError {
  const message = `the values have ${bytes} bytes, one answer has at most ${bytesMax}: ask for fewer keys`;
  return new EraftError('ERAFT_FRAME_TOO_LARGE', message, { bytes, bytesMax });
}
