// Writes on their way to becoming a batch, and the queue that they wait in while the window is full or nobody listens.
import type { EraftError, Outcome } from '../base/errors.js';
import {
  BATCH_BYTES_EMPTY,
  COMMAND_HEADER_BYTES,
  CommandScratch,
  emptyWriteFrame,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../proto/command-batch.js';
import type { WriteCall, WritePlace } from './write-call.js';

/** Where the headers and bytes of a parcel's calls are. */
interface CommandSource {
  copyHeaders(target: Uint8Array, at: number, from: number, to: number): number;
  copyData(target: Uint8Array, at: number, from: number, to: number): number;
}

/** The commands of a frame that was built before. */
class FrameSource implements CommandSource {
  readonly frame: Buffer;
  readonly #dataAt: number;

  constructor(frame: Buffer, headers: number) {
    this.frame = frame;
    this.#dataAt = writeFrameDataAt(headers);
  }

  copyHeaders(target: Uint8Array, at: number, from: number, to: number): number {
    const start = WRITE_FRAME_HEADERS_AT;
    return this.#copy(target, at, start + from * COMMAND_HEADER_BYTES, start + to * COMMAND_HEADER_BYTES);
  }

  copyData(target: Uint8Array, at: number, from: number, to: number): number {
    return this.#copy(target, at, this.#dataAt + from, this.#dataAt + to);
  }

  #copy(target: Uint8Array, at: number, from: number, to: number): number {
    this.frame.copy(target, at, from, to);
    return at + to - from;
  }
}

/** The calls of one future batch. Its commands stand in a scratch while it is open, in a frame once it was sealed. */
export class WriteParcel implements WritePlace {
  readonly #queue: WriteQueue;
  /** Parcels keep the order in which they were opened, also when one comes back. */
  readonly order: number;
  calls: WriteCall[] = [];
  /** Commands among them that delete a range. */
  ranges = 0;
  /** Undefined once sealed: nothing can be added then. */
  scratch: CommandScratch | undefined;
  #frame: FrameSource | undefined;
  /** The frame holds these calls and nothing else. */
  #whole = false;

  constructor(queue: WriteQueue, order: number, scratch: CommandScratch | undefined) {
    this.#queue = queue;
    this.order = order;
    this.scratch = scratch;
  }

  get lastRefusal(): EraftError | undefined {
    return this.#queue.lastRefusal();
  }

  /** In the queue: no copy of it was ever proposed. */
  withdraw(call: WriteCall): Outcome {
    this.#queue.forget(call);
    return 'not-applied';
  }

  /**
   * The frame of the calls that still want it, session and header to be stamped; undefined when none does.
   *
   * A parcel that comes back whole keeps its frame.
   */
  seal(): Buffer | undefined {
    const source: CommandSource | undefined = this.scratch ?? this.#frame;
    if (source === undefined) throw new Error('a parcel without commands was sealed');
    let headers = 0;
    let dataBytes = 0;
    let live = 0;
    for (const call of this.calls) {
      if (call.done) continue;
      headers += call.headers;
      dataBytes += call.dataBytes;
      live++;
    }
    if (live === 0) return undefined;
    if (this.#frame !== undefined && this.#whole && live === this.calls.length) return this.#frame.frame;
    const frame = emptyWriteFrame(headers, dataBytes);
    const dataAt = writeFrameDataAt(headers);
    if (this.scratch !== undefined && live === this.calls.length) {
      source.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, headers);
      source.copyData(frame, dataAt, 0, dataBytes);
    } else {
      this.#compact(source, frame, dataAt);
    }
    this.#frame = new FrameSource(frame, headers);
    this.#whole = true;
    return frame;
  }

  #compact(source: CommandSource, frame: Buffer, dataAt: number): void {
    const live = this.calls.filter((call) => !call.done);
    let headersTo = WRITE_FRAME_HEADERS_AT;
    let dataTo = dataAt;
    for (const call of live) {
      const headersAt = (headersTo - WRITE_FRAME_HEADERS_AT) / COMMAND_HEADER_BYTES;
      const bytesAt = dataTo - dataAt;
      headersTo = source.copyHeaders(frame, headersTo, call.headersFrom, call.headersFrom + call.headers);
      dataTo = source.copyData(frame, dataTo, call.dataFrom, call.dataFrom + call.dataBytes);
      call.headersFrom = headersAt;
      call.dataFrom = bytesAt;
    }
    this.calls = live;
  }

  /** A parcel of one call of this sealed one. */
  alone(call: WriteCall): WriteParcel {
    const parcel = new WriteParcel(this.#queue, this.order, undefined);
    parcel.#frame = this.#frame;
    parcel.calls = [call];
    return parcel;
  }
}

/** Parcels in order, the last one open. Bounded by the pipeline, which asks `calls` and `bytes` before it adds. */
export class WriteQueue {
  readonly #parcels: WriteParcel[] = [];
  readonly #spare: CommandScratch[] = [];
  #order = 0;
  /** Why nothing could be sent lately. */
  readonly lastRefusal: () => EraftError | undefined;
  /** Calls that wait. */
  calls = 0;
  /** What they will take in a frame. */
  bytes = 0;

  constructor(lastRefusal: () => EraftError | undefined) {
    this.lastRefusal = lastRefusal;
  }

  /** The parcel that takes calls now. */
  open(): WriteParcel {
    const last = this.#parcels.at(-1);
    return last?.scratch === undefined ? this.openNew() : last;
  }

  /** Closes the open parcel: what comes now is another batch. */
  openNew(): WriteParcel {
    const parcel = new WriteParcel(this, this.#order++, this.#spare.pop() ?? new CommandScratch());
    this.#parcels.push(parcel);
    return parcel;
  }

  /** Counts a call whose commands were put into `parcel`. */
  enter(parcel: WriteParcel, call: WriteCall): void {
    parcel.calls.push(call);
    this.#count(parcel, call);
  }

  #count(parcel: WriteParcel, call: WriteCall): void {
    call.place = parcel;
    this.calls++;
    this.bytes += weight(call);
  }

  forget(call: WriteCall): void {
    this.calls--;
    this.bytes -= weight(call);
  }

  /** Takes the first parcel that somebody still wants, sealed. */
  take(): { parcel: WriteParcel; frame: Buffer } | undefined {
    for (let parcel = this.#parcels.shift(); parcel !== undefined; parcel = this.#parcels.shift()) {
      const frame = parcel.seal();
      this.#recycle(parcel);
      if (frame === undefined) continue;
      for (const call of parcel.calls) if (!call.done) this.forget(call);
      return { parcel, frame };
    }
    return undefined;
  }

  #recycle(parcel: WriteParcel): void {
    const { scratch } = parcel;
    if (scratch === undefined) return;
    parcel.scratch = undefined;
    scratch.clear();
    if (this.#spare.length < 2) this.#spare.push(scratch);
  }

  /** Brings back a parcel that was taken, to its old place. No copy of it may ever be applied. */
  putBack(parcel: WriteParcel): void {
    let at = this.#parcels.length;
    while (at > 0 && (this.#parcels[at - 1]?.order ?? 0) > parcel.order) at--;
    this.#parcels.splice(at, 0, parcel);
    for (const call of parcel.calls) if (!call.done) this.#count(parcel, call);
  }

  /** Nobody waits for anything in here. */
  get isEmpty(): boolean {
    return this.calls === 0;
  }
}

function weight(call: WriteCall): number {
  return call.headers * COMMAND_HEADER_BYTES + call.dataBytes;
}

/** Size of the batch that holds one call alone. */
export function batchBytesAlone(call: WriteCall): number {
  return BATCH_BYTES_EMPTY + weight(call);
}
