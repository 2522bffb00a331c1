// One WebSocket connection of a client: handshake, limits, answers of a turn in one write, and slow readers.
//
// States: `new` until the hello arrives, `greeting` until the service has answered it, `open`, `closing` once goodbye is
// said, `closed`.
// Every frame that is taken is answered exactly once, or the connection ends: nothing is dropped in between.
import { EraftError, type ErrorCode } from '../base/errors.js';
import type { Requester } from '../kv/requester.js';
import { encodeError } from '../proto/control-frames.js';
import { DEFAULT_GROUP, FRAME, type FrameHeader, readFrameHeader } from '../proto/frame.js';
import type { ConnectionEvents, FrontConnection } from './front.js';
import type { ServerLimits } from './limits.js';

/** RFC 6455, 7.4.1. */
export const CLOSE = { goingAway: 1001, protocol: 1002, unsupported: 1003, policy: 1008, tryLater: 1013 } as const;

const REQUEST_AT = 8;

/** What all connections of a server share. */
export interface ConnectionShared {
  readonly limits: ServerLimits;
  /** Hands a frame to the service. */
  handle(frame: Uint8Array, from: Requester): void;
  /** The leader as it is known now, as a frame. */
  leaderFrame(): Uint8Array;
  /** @returns why a frame of so many bytes is refused; undefined: it counts as in flight now */
  admit(bytes: number): EraftError | undefined;
  answered(bytes: number): void;
  /** Calls `flush` before the event loop gets control back. */
  flushLater(connection: ClientConnection): void;
  refused(code: ErrorCode): void;
  paused(remote: string, bufferedBytes: number): void;
  tooSlow(remote: string): void;
  /** The last call. */
  ended(connection: ClientConnection, frames: number, bytes: number, code: number): void;
}

export class ClientConnection implements ConnectionEvents, Requester {
  readonly #hub: ConnectionShared;
  readonly #front: FrontConnection;
  #state: 'new' | 'greeting' | 'open' | 'closing' | 'closed' = 'new';
  /** Request number to bytes of its frame. */
  readonly #inFlight = new Map<number, number>();
  #inFlightBytes = 0;
  #outbox: Uint8Array[] = [];
  #paused = false;
  #leaderTold = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(hub: ConnectionShared, front: FrontConnection) {
    this.#hub = hub;
    this.#front = front;
    this.#timer = setTimeout(() => this.#handshakeTooLate(), hub.limits.handshakeMs);
    this.#timer.unref();
  }

  // ---- from the front

  frame(bytes: Uint8Array, binary: boolean): void {
    if (!this.alive) return;
    if (!binary) {
      this.close(CLOSE.unsupported, 'text message: eraft speaks binary frames, see docs/protocol.md');
      return;
    }
    let header: FrameHeader;
    try {
      header = readFrameHeader(bytes);
    } catch (error) {
      this.#refuseConnection(error as EraftError, CLOSE.protocol);
      return;
    }
    if (this.#state === 'open') this.#take(header, bytes);
    else this.#greet(header, bytes);
  }

  drained(): void {
    if (!this.#paused || this.#front.bufferedBytes > this.#hub.limits.pauseBytes / 2) return;
    this.#stopTimer();
    this.#paused = false;
    this.#front.resume();
  }

  closed(code: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopTimer();
    this.#hub.ended(this, this.#inFlight.size, this.#inFlightBytes, code);
    this.#inFlight.clear();
    this.#outbox = [];
  }

  // ---- from the service

  get alive(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  reply(frame: Uint8Array): void {
    if (!this.alive) return;
    const kind = frame[0];
    if (this.#state === 'greeting') {
      this.#greeted(frame, kind === FRAME.welcome);
      return;
    }
    if (kind === FRAME.leader) this.#leaderTold = true;
    else this.#release(requestOf(frame));
    this.#put(Buffer.from(frame));
  }

  // ---- from the hub

  /** frame: owned by the connection from now on, and may be shared between connections. */
  push(frame: Uint8Array): void {
    if (this.#state === 'open') this.#put(frame);
  }

  /** Sends the answers of this turn. */
  flush(): void {
    if (this.#state === 'closed' || this.#outbox.length === 0) return;
    const frames = this.#outbox;
    this.#outbox = [];
    if (!this.#front.send(frames)) {
      this.#hub.tooSlow(this.#front.remote);
      this.terminate();
    } else if (!this.#paused && this.#front.bufferedBytes > this.#hub.limits.pauseBytes) {
      this.#pause();
    }
  }

  close(code: number, reason: string): void {
    if (!this.alive) return;
    this.flush();
    this.#stopTimer();
    if (this.#state !== 'closed') this.#state = 'closing';
    this.#front.close(code, reason);
  }

  terminate(): void {
    this.#front.terminate();
  }

  // ---- handshake

  #greet(header: FrameHeader, bytes: Uint8Array): void {
    if (this.#state !== 'new' || header.kind !== FRAME.hello) {
      const error = new EraftError(
        'ERAFT_BAD_REQUEST',
        'the first frame of a connection must be hello, then wait for welcome',
      );
      this.#refuseConnection(error, CLOSE.protocol);
      return;
    }
    this.#state = 'greeting';
    this.#hub.handle(bytes, this);
    this.#tellLeader();
  }

  #greeted(answer: Uint8Array, welcome: boolean): void {
    if (!welcome) {
      this.#put(Buffer.from(answer));
      this.close(CLOSE.policy, 'hello refused, see the error frame');
      return;
    }
    this.#stopTimer();
    this.#state = 'open';
    this.#put(Buffer.from(answer));
  }

  /** Behind the welcome, unless the service has done it. */
  #tellLeader(): void {
    if (this.#state === 'open' && !this.#leaderTold) this.#put(this.#hub.leaderFrame());
  }

  #handshakeTooLate(): void {
    const text = `no hello within ${this.#hub.limits.handshakeMs} ms`;
    this.#refuseConnection(new EraftError('ERAFT_BAD_REQUEST', text), CLOSE.policy);
  }

  // ---- frames

  #take(header: FrameHeader, bytes: Uint8Array): void {
    const { limits } = this.#hub;
    if (header.kind === FRAME.hello || header.request === 0 || this.#inFlight.has(header.request)) {
      const why = header.kind === FRAME.hello ? 'a second hello' : `request number ${header.request} is 0 or in use`;
      this.#refuseConnection(new EraftError('ERAFT_BAD_REQUEST', why), CLOSE.protocol);
      return;
    }
    if (this.#inFlight.size >= limits.framesInFlightMax) {
      this.#overloaded(header, `${limits.framesInFlightMax} frames of this connection are unanswered`);
      return;
    }
    if (this.#inFlightBytes + bytes.length > limits.bytesInFlightMax) {
      this.#overloaded(header, `${limits.bytesInFlightMax} bytes of this connection are unanswered`);
      return;
    }
    const refusal = this.#hub.admit(bytes.length);
    if (refusal !== undefined) {
      this.#answerError(header, refusal);
      return;
    }
    this.#inFlight.set(header.request, bytes.length);
    this.#inFlightBytes += bytes.length;
    this.#hub.handle(bytes, this);
  }

  #overloaded(header: FrameHeader, why: string): void {
    this.#answerError(header, new EraftError('ERAFT_OVERLOADED', `${why}: wait for answers before sending more`));
  }

  #answerError(header: FrameHeader, error: EraftError): void {
    this.#hub.refused(error.code);
    this.#put(encodeError(error, header.group, header.request));
  }

  #release(request: number): void {
    const bytes = this.#inFlight.get(request);
    if (bytes === undefined) return;
    this.#inFlight.delete(request);
    this.#inFlightBytes -= bytes;
    this.#hub.answered(bytes);
  }

  // ---- answers

  #put(frame: Uint8Array): void {
    if (this.#outbox.push(frame) === 1) this.#hub.flushLater(this);
  }

  #refuseConnection(error: EraftError, code: number): void {
    this.#hub.refused(error.code);
    this.#put(encodeError(error, DEFAULT_GROUP, 0));
    this.close(code, error.message.slice(0, 120));
  }

  /** The peer does not read: its frames wait until it does, and it must keep reading. */
  #pause(): void {
    this.#paused = true;
    this.#front.pause();
    this.#hub.paused(this.#front.remote, this.#front.bufferedBytes);
    this.#watch(this.#front.bufferedBytes);
  }

  #watch(before: number): void {
    const { slowReaderMs, slowReaderBytes } = this.#hub.limits;
    this.#stopTimer();
    this.#timer = setTimeout(() => {
      const now = this.#front.bufferedBytes;
      if (before - now >= slowReaderBytes) {
        this.#watch(now);
        return;
      }
      this.#hub.tooSlow(this.#front.remote);
      this.terminate();
    }, slowReaderMs);
    this.#timer.unref();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function requestOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(REQUEST_AT, true);
}
