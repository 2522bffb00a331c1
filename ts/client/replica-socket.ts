// One WebSocket to one replica, from dialling to its end.
import type { Clock, Timer } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import { decodeError, decodeWelcome, encodeHello, type Welcome } from '../proto/control-frames.js';
import { FRAME, frameBody, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, readFrameHeader } from '../proto/frame.js';
import { malformed } from '../proto/table.js';
import { SOCKET_PATH } from './endpoints.js';
import { WebSocketClient, type WebSocketEvents, type WebSocketOptions } from './web-socket.js';

/** A connection that carries whole messages: a WebSocket, or what stands for one in virtual time. */
export interface MessageSocket {
  send(payload: Uint8Array): void;
  ping(): void;
  close(): void;
  terminate(): void;
}

export type Dial = (options: WebSocketOptions, events: WebSocketEvents) => MessageSocket;

export const dialWebSocket: Dial = (options, events) => new WebSocketClient(options, events);

export interface SocketOptions {
  /** host:port */
  readonly address: string;
  /** The cluster id that the replica must have; empty: any. */
  readonly cluster: string;
  /** For the replica's log. */
  readonly name: string;
  /** Until the welcome. */
  readonly connectTimeoutMs: number;
  /** A replica that is silent for so long is asked for a sign of life; silent for as long again, it is left. */
  readonly silenceMs: number;
  readonly clock: Clock;
  readonly dial: Dial;
}

export interface SocketEvents {
  welcome(socket: ReplicaSocket, welcome: Welcome): void;
  /** After the welcome. Valid during the call. */
  frame(socket: ReplicaSocket, frame: Uint8Array): void;
  /** Once, and nothing after it; not after `close()`. */
  gone(socket: ReplicaSocket, reason: EraftError): void;
}

export class ReplicaSocket {
  readonly address: string;
  readonly #options: SocketOptions;
  readonly #events: SocketEvents;
  readonly #socket: MessageSocket;
  #welcome: Welcome | undefined;
  #over = false;
  #timer: Timer | undefined;
  #heard = false;
  #asked = false;

  constructor(options: SocketOptions, events: SocketEvents) {
    this.address = options.address;
    this.#options = options;
    this.#events = events;
    this.#socket = this.#dial();
    this.#timer = options.clock.after(options.connectTimeoutMs, () => {
      this.#end(unreachable(this.address, `no welcome within ${options.connectTimeoutMs} ms`));
    });
  }

  /** What the replica said of itself; undefined until then. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** Leaves without a word of it to the events. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#hangUp();
  }

  /** Leaves because of what the replica did. */
  fail(reason: EraftError): void {
    this.#end(reason);
  }

  #dial(): MessageSocket {
    const { address, cluster, name, dial } = this.#options;
    return dial(
      { address, path: SOCKET_PATH, messageBytesMax: LIMITS.clientFrameBytesMax },
      {
        open: () => {
          const versions = { versionMin: PROTOCOL_VERSION_MIN, versionMax: PROTOCOL_VERSION_MAX };
          this.send(encodeHello({ ...versions, features: 0n, cluster, client: name }));
        },
        message: (payload, binary) => this.#onMessage(payload, binary),
        heard: () => {
          this.#heard = true;
        },
        gone: (why, cause) => this.#end(unreachable(address, why, cause)),
      },
    );
  }

  #onMessage(data: Uint8Array, isBinary: boolean): void {
    if (this.#over) return;
    this.#heard = true;
    if (!isBinary) {
      this.#end(malformed('text, where frames are binary'));
      return;
    }
    if (this.#welcome !== undefined) {
      this.#events.frame(this, data);
      return;
    }
    try {
      this.#greet(data);
    } catch (error) {
      if (!EraftError.is(error)) throw error;
      this.#end(error);
    }
  }

  #greet(frame: Uint8Array): void {
    const { kind } = readFrameHeader(frame);
    if (kind === FRAME.error) throw decodeError(frameBody(frame));
    if (kind !== FRAME.welcome) throw malformed(`frame of kind ${kind} before the welcome`);
    const welcome = decodeWelcome(frameBody(frame));
    checkWelcome(welcome, this.#options);
    this.#welcome = welcome;
    this.#timer?.cancel();
    this.#watch();
    this.#events.welcome(this, welcome);
  }

  /** Notices a replica that is gone without having closed: a lost machine, a stopped process, a cut network. */
  #watch(): void {
    this.#heard = false;
    this.#timer = this.#options.clock.after(this.#options.silenceMs, () => {
      if (this.#over) return;
      if (this.#heard) this.#asked = false;
      else if (this.#asked) {
        this.#end(unreachable(this.address, `silent for more than ${this.#options.silenceMs} ms`));
        return;
      } else {
        this.#asked = true;
        this.#socket.ping();
      }
      this.#watch();
    });
  }

  #end(reason: EraftError): void {
    if (this.#over) return;
    this.close();
    this.#events.gone(this, reason);
  }

  #hangUp(): void {
    if (this.#welcome !== undefined && !this.#asked) this.#socket.close();
    else this.#socket.terminate();
  }
}

function unreachable(address: string, why: string, cause?: unknown): EraftError {
  return new EraftError('ERAFT_UNAVAILABLE', `${address}: ${why}`, { cause });
}

/** @throws ERAFT_VERSION, ERAFT_WRONG_CLUSTER, ERAFT_BAD_REQUEST */
function checkWelcome(welcome: Welcome, options: SocketOptions): void {
  const { version, cluster } = welcome;
  if (version < PROTOCOL_VERSION_MIN || version > PROTOCOL_VERSION_MAX) {
    const range = `${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION_MAX}`;
    throw new EraftError(
      'ERAFT_VERSION',
      `${options.address} chose protocol version ${version}, this client speaks ${range}`,
    );
  }
  if (options.cluster !== '' && cluster !== options.cluster) {
    const message = `${options.address} belongs to cluster ${cluster}, this client to ${options.cluster}`;
    throw new EraftError('ERAFT_WRONG_CLUSTER', message);
  }
  const limits = [welcome.keyBytesMax, welcome.valueBytesMax, welcome.batchCommandsMax, welcome.inflightBatchesMax];
  if (limits.includes(0)) throw malformed('a welcome with a limit of 0');
}
