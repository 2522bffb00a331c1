// A WebSocket client (RFC 6455) of what the protocol of a replica needs, made for many small messages.
//
// Out:  what is sent in one go leaves in one write, copied into a buffer that is filled again once the system has it: the
//       bytes that were given to send() may change at once, also while a slow connection still holds the copy.
// In:   read into one buffer for as long as the connection lasts; a message is handed out as a view of it.
// Start at message-reader.ts for what is checked of the other side.
// Not:  extensions, subprotocols, redirects, proxies, TLS.
//
// The mask is zeros, so a frame is sent as it is: masking protects proxies from scripts of browsers, which cannot choose
// the bytes here, and costs a pass over them.
import { randomBytes } from 'node:crypto';
import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { checkResponse, HEAD_END, RESPONSE_BYTES_MAX, requestOf } from './handshake.js';
import { MessageReader, type MessageSink, OPCODE, WebSocketViolation } from './message-reader.js';

export interface WebSocketEvents {
  /** From now on messages may be sent. */
  open(): void;
  /** `payload` is a view, valid during the call. */
  message(payload: Uint8Array, binary: boolean): void;
  /** A sign of life that is no message. */
  heard(): void;
  /** Once, and nothing after it; not after `close` or `terminate`. */
  gone(why: string, cause?: unknown): void;
}

export interface WebSocketOptions {
  /** host:port, as `parseEndpoints` wants it. */
  readonly address: string;
  readonly path: string;
  /** Of a message that is received. */
  readonly messageBytesMax: number;
}

/** What is sent in one go and fits in here is copied and leaves in one write. */
const OUT_BYTES = 64 * 1024;
const HEAD_BYTES_MAX = 14;
const FINAL = 0x80;
const MASKED = 0x80;
const NOTHING = Buffer.alloc(0);

/** What may wait in the socket before pings are not answered any more. */
const QUEUED_BYTES_MAX = 64 * 1024;

/** Time for the other side to say goodbye, too. */
const GOODBYE_MS = 250;
const NORMAL = 1000;

type State = 'dialling' | 'open' | 'closed';

export class WebSocketClient implements MessageSink {
  readonly #events: WebSocketEvents;
  readonly #socket: Socket;
  readonly #reader: MessageReader;
  readonly #key = randomBytes(16).toString('base64');
  #state: State = 'dialling';
  /** What has come of the answer to the handshake. */
  #response = NOTHING;
  #out = Buffer.allocUnsafeSlow(OUT_BYTES);
  #outBytes = 0;
  #flushing = false;
  /** The events have been told of the end, or want to hear nothing. */
  #silent = false;

  constructor(options: WebSocketOptions, events: WebSocketEvents) {
    this.#events = events;
    this.#reader = new MessageReader(options.messageBytesMax, this);
    const { address, path } = options;
    const colon = address.lastIndexOf(':');
    const target: TcpSocketConnectOpts = {
      host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(address.slice(colon + 1)),
      noDelay: true,
      onread: {
        buffer: () => this.#reader.room(),
        callback: (bytes, buffer) => {
          this.#received(bytes, buffer);
          return true;
        },
      },
    };
    this.#socket = connect(target);
    this.#socket.unref(); // pending calls keep the process alive, not the socket that they wait on
    this.#socket.on('connect', () => this.#socket.write(requestOf(address, path, this.#key), 'latin1'));
    this.#socket.on('error', (error) => this.#gone(whyOf(error), error));
    this.#socket.on('close', () => this.#gone('the connection was closed'));
  }

  /** Sends a copy of a message, together with others of this moment. */
  send(payload: Uint8Array): void {
    if (this.#state === 'open') this.#append(OPCODE.binary, payload);
  }

  ping(): void {
    if (this.#state === 'open') this.#append(OPCODE.ping, NOTHING);
  }

  /** Says goodbye and leaves. */
  close(): void {
    this.#silent = true;
    if (this.#state === 'open') this.#leave(NORMAL);
    else if (this.#state === 'dialling') this.terminate();
  }

  /** Leaves without a word. */
  terminate(): void {
    this.#silent = true;
    this.#end();
    this.#socket.destroy();
  }

  // Receiving.

  #received(bytes: number, buffer: Uint8Array): void {
    try {
      if (this.#state === 'open') this.#reader.received(bytes);
      else if (this.#state === 'dialling') this.#onResponse(buffer.subarray(0, bytes));
    } catch (error) {
      if (!(error instanceof WebSocketViolation)) throw error;
      if (this.#state === 'open') this.#leave(error.code);
      this.#gone(error.message);
    }
  }

  #onResponse(bytes: Uint8Array): void {
    const response = Buffer.concat([this.#response, bytes]);
    const end = response.indexOf(HEAD_END);
    if (end < 0 && response.length < RESPONSE_BYTES_MAX) {
      this.#response = response;
      return;
    }
    checkResponse(response.toString('latin1', 0, Math.max(end, 0)), this.#key);
    this.#response = NOTHING;
    this.#state = 'open';
    this.#events.open();
    this.#reader.push(response.subarray(end + HEAD_END.length));
  }

  /** For the reader. */
  message(payload: Uint8Array, binary: boolean): void {
    this.#events.message(payload, binary);
  }

  /** For the reader. */
  control(opcode: number, payload: Uint8Array): void {
    if (opcode === OPCODE.ping) this.#pong(payload);
    this.#events.heard();
  }

  /** For the reader. */
  goodbye(code: number | undefined): void {
    this.#leave(code ?? NORMAL);
    this.#gone(`the connection was closed (${code ?? 'without a code'})`);
  }

  /** Left out when the other side does not read: else pings without end would fill the memory, and what waits is an answer, too. */
  #pong(payload: Uint8Array): void {
    if (this.#socket.writableLength <= QUEUED_BYTES_MAX) this.#append(OPCODE.pong, payload);
  }

  // Sending.

  #append(opcode: number, payload: Uint8Array): void {
    const bytes = payload.length;
    if (this.#outBytes + HEAD_BYTES_MAX + bytes > OUT_BYTES) this.#flush();
    if (HEAD_BYTES_MAX + bytes > OUT_BYTES) {
      const frame = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX + bytes);
      const at = writeHead(frame, 0, opcode, bytes);
      frame.set(payload, at);
      this.#socket.write(frame.subarray(0, at + bytes));
      return;
    }
    this.#outBytes = writeHead(this.#out, this.#outBytes, opcode, bytes);
    this.#out.set(payload, this.#outBytes);
    this.#outBytes += bytes;
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(this.#flushLater);
  }

  readonly #flushLater = (): void => {
    this.#flushing = false;
    if (this.#state === 'open') this.#flush();
  };

  /**
   * Claim: bytes are not overwritten before the system has taken them.
   * Why:   a write that is done at once has nothing left in the queue of the socket when it returns; any other keeps its bytes.
   */
  #flush(): void {
    if (this.#outBytes === 0) return;
    const socket = this.#socket;
    if (socket.writableLength > 0) {
      socket.write(this.#takeCopy());
      return;
    }
    socket.write(this.#out.subarray(0, this.#outBytes));
    this.#outBytes = 0;
    if (socket.writableLength > 0) this.#out = Buffer.allocUnsafeSlow(OUT_BYTES);
  }

  #takeCopy(): Buffer {
    const copy = Buffer.from(this.#out.subarray(0, this.#outBytes));
    this.#outBytes = 0;
    return copy;
  }

  // The end.

  #leave(code: number): void {
    this.#append(OPCODE.close, Buffer.of(code >>> 8, code & 0xff));
    this.#flush();
    this.#end();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS).unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #end(): void {
    this.#state = 'closed';
    this.#reader.stop();
  }

  #gone(why: string, cause?: unknown): void {
    this.#end();
    if (this.#silent) return;
    this.#silent = true;
    this.#events.gone(why, cause);
  }
}

/** @returns the place behind it */
function writeHead(out: Uint8Array, start: number, opcode: number, bytes: number): number {
  let at = start;
  out[at++] = FINAL | opcode;
  if (bytes < 126) {
    out[at++] = MASKED | bytes;
  } else if (bytes < 0x1_0000) {
    out[at++] = MASKED | 126;
    out[at++] = bytes >>> 8;
    out[at++] = bytes;
  } else {
    out[at++] = MASKED | 127;
    out.fill(0, at, at + 4); // no message is that long
    at += 4;
    out[at++] = bytes >>> 24;
    out[at++] = bytes >>> 16;
    out[at++] = bytes >>> 8;
    out[at++] = bytes;
  }
  out[at++] = 0; // the mask
  out[at++] = 0;
  out[at++] = 0;
  out[at++] = 0;
  return at;
}

/** Several addresses of one name fail together, and the reason is in the parts. */
function whyOf(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.map((e) => String(e?.message)).join(', ');
  return error.message;
}
