// The receiving half of a WebSocket client (RFC 6455, section 5): bytes in, messages out.
import { isUtf8 } from 'node:buffer';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export const CONTROL_BYTES_MAX = 125;

const FINAL = 0x80;
const RESERVED = 0x70;
const CONTROL = 0x08;
const MASKED = 0x80;
const INITIAL_BYTES = 64 * 1024;
/** A buffer that a large message has left behind is given back. */
const KEPT_BYTES_MAX = 4 * INITIAL_BYTES;
const NOTHING = Buffer.alloc(0);

/** The other side broke the protocol. `code` is what it is told when it is left. */
export class WebSocketViolation extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Payloads are views, valid during the call. Whether text is UTF-8 is for whoever takes text to check. */
export interface MessageSink {
  message(payload: Uint8Array, binary: boolean): void;
  /** A ping or a pong. */
  control(opcode: number, payload: Uint8Array): void;
  /** @param code - of the close frame; undefined when it has none */
  goodbye(code: number | undefined): void;
}

/**
 * Cuts a byte stream into messages, in one buffer that bytes are received into and messages are read from.
 *
 * Holds one frame at most, and room for it only after its length was found to be within the limit. A divided message is
 * put together aside, and takes no more than twice its bytes, however small its parts are.
 */
export class MessageReader {
  readonly #bytesMax: number;
  readonly #sink: MessageSink;
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #fill = 0;
  #stopped = false;
  /** Of the frame read last. */
  #opcode = 0;
  #final = true;
  #headBytes = 0;
  /** The message that is divided and has not ended: its opcode, 0 for none, and what has come of it. */
  #divided = 0;
  #whole = NOTHING;
  #wholeBytes = 0;

  /** @param bytesMax - of a message */
  constructor(bytesMax: number, sink: MessageSink) {
    this.#bytesMax = bytesMax;
    this.#sink = sink;
  }

  /** Where the next bytes are to be received; never empty. */
  room(): Uint8Array {
    return this.#fill === 0 ? this.#buffer : this.#buffer.subarray(this.#fill);
  }

  /** Nothing is handed out any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** `bytes` more lie in `room()`. @throws WebSocketViolation */
  received(bytes: number): void {
    this.#fill += bytes;
    let start = 0;
    while (!this.#stopped) {
      const frameBytes = this.#readHead(start);
      if (this.#fill - start < frameBytes) {
        this.#keepRest(start, frameBytes);
        return;
      }
      const payload = this.#buffer.subarray(start + this.#headBytes, start + frameBytes);
      start += frameBytes;
      this.#take(payload);
    }
  }

  /** For bytes that arrive in a buffer of their own. @throws WebSocketViolation */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const room = this.room();
      const count = Math.min(room.length, chunk.length - at);
      room.set(chunk.subarray(at, at + count));
      this.received(count);
      at += count;
    }
  }

  /** Reads the head of the frame at `at`. @returns the bytes of the frame or, when its head is not here, so many that more is known */
  #readHead(at: number): number {
    const available = this.#fill - at;
    if (available < 2) return 2;
    const buffer = this.#buffer;
    const first = buffer[at] ?? 0;
    const second = buffer[at + 1] ?? 0;
    this.#final = (first & FINAL) !== 0;
    this.#opcode = first & 0x0f;
    this.#headBytes = 2;
    let length = second;
    if (second === 126) {
      if (available < 4) return 4;
      this.#headBytes = 4;
      length = buffer.readUInt16BE(at + 2);
    } else if (second === 127) {
      if (available < 10) return 10;
      this.#headBytes = 10;
      length = buffer.readUInt32BE(at + 2) * 2 ** 32 + buffer.readUInt32BE(at + 6);
    }
    if ((first & RESERVED) !== 0) throw new WebSocketViolation(1002, 'a frame with reserved bits');
    if ((second & MASKED) !== 0) throw new WebSocketViolation(1002, 'a masked frame from the server');
    if ((this.#opcode & CONTROL) !== 0) {
      if (this.#opcode > OPCODE.pong) throw new WebSocketViolation(1002, `a frame with opcode ${this.#opcode}`);
      if (!this.#final || length > CONTROL_BYTES_MAX)
        throw new WebSocketViolation(1002, 'a control frame of wrong form');
    } else {
      if (this.#opcode > OPCODE.binary) throw new WebSocketViolation(1002, `a frame with opcode ${this.#opcode}`);
      if ((this.#opcode === OPCODE.continuation) !== (this.#divided !== 0))
        throw new WebSocketViolation(1002, 'the parts of a message are out of order');
      if (this.#wholeBytes + length > this.#bytesMax)
        throw new WebSocketViolation(1009, `a message of more than ${this.#bytesMax} bytes`);
    }
    return this.#headBytes + length;
  }

  #take(payload: Buffer): void {
    if (this.#opcode === OPCODE.close) this.#sink.goodbye(codeOf(payload));
    else if ((this.#opcode & CONTROL) !== 0) this.#sink.control(this.#opcode, payload);
    else if (this.#final && this.#divided === 0) this.#sink.message(payload, this.#opcode === OPCODE.binary);
    else this.#takePart(payload);
  }

  #takePart(part: Buffer): void {
    if (this.#divided === 0) this.#divided = this.#opcode;
    const bytes = this.#wholeBytes + part.length;
    if (bytes > this.#whole.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(bytes, 2 * this.#whole.length)));
      this.#whole.copy(bigger, 0, 0, this.#wholeBytes);
      this.#whole = bigger;
    }
    part.copy(this.#whole, this.#wholeBytes);
    this.#wholeBytes = bytes;
    if (!this.#final) return;
    const message = this.#whole.subarray(0, bytes);
    const binary = this.#divided === OPCODE.binary;
    this.#divided = 0;
    this.#whole = NOTHING;
    this.#wholeBytes = 0;
    this.#sink.message(message, binary);
  }

  /** Moves what is left of the last frame to the front of a buffer that the whole of it fits into. */
  #keepRest(start: number, frameBytes: number): void {
    const rest = this.#fill - start;
    if (frameBytes > this.#buffer.length || (rest === 0 && this.#buffer.length > KEPT_BYTES_MAX)) {
      const other = Buffer.allocUnsafeSlow(Math.max(frameBytes, INITIAL_BYTES));
      this.#buffer.copy(other, 0, start, this.#fill);
      this.#buffer = other;
    } else if (start > 0 && rest > 0) {
      this.#buffer.copyWithin(0, start, this.#fill);
    }
    this.#fill = rest;
  }
}

/** The code of a close frame, checked. @throws WebSocketViolation */
function codeOf(payload: Buffer): number | undefined {
  if (payload.length === 0) return undefined;
  const code = payload.length < 2 ? 0 : payload.readUInt16BE(0);
  const known = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  if (!known && !(code >= 3000 && code <= 4999))
    throw new WebSocketViolation(1002, 'a close frame without a valid code');
  if (!isUtf8(payload.subarray(2))) throw new WebSocketViolation(1007, 'a close frame whose reason is not UTF-8');
  return code;
}
