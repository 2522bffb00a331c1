// The network front: what the server needs of an HTTP and WebSocket implementation, and no more.
//
// Two implementations keep the same promises (test/server/front.test.ts runs on both): uWebSockets.js (front-uws.ts) and
// node:http with ws (front-ws.ts). Neither knows anything of eraft's protocol: server.ts plugs that in as FrontHandlers.

export type FrontKind = 'uws' | 'ws';

export interface FrontOptions {
  readonly host: string;
  /** 0: chosen by the system; see `Front.port`. */
  readonly port: number;
  /** The path that accepts WebSocket connections. */
  readonly socketPath: string;
  /** A larger WebSocket message closes its connection: 1009 with `ws`, 1006 (no reason reaches the peer) with uws. */
  readonly frameBytesMax: number;
  /** A WebSocket connection that would buffer more than this for a peer that does not read is closed. */
  readonly bufferedBytesMax: number;
  /** Bytes of frames that arrive while a connection is paused. More closes it. */
  readonly pausedBytesMax: number;
  /** A WebSocket peer that is silent for so long, pongs included, is closed. Seconds, a multiple of 4, 8 to 960. */
  readonly idleSeconds: number;
  /** An HTTP peer that neither sends nor reads for so long is closed (uws: fixed at 10 s). */
  readonly httpIdleMs: number;
}

/** What the head of an HTTP request says. */
export interface FrontRequest {
  /** In capitals. */
  readonly method: string;
  /** As sent, percent-encoded, without the query. */
  readonly path: string;
  /** Without its question mark; empty when there is none. */
  readonly query: string;
  /** A header by its lower-case name; empty when absent. Valid as long as the request. */
  header(name: string): string;
  /**
   * The whole body, in memory of its own. Call it at most once, and before the handler returns or waits. What arrives of a
   * body that nobody wants is read and dropped: closing instead would often take the answer away from the peer.
   *
   * @throws EraftError ERAFT_FRAME_TOO_LARGE over `bytesMax`; ERAFT_ABORTED when the peer left first
   */
  body(bytesMax: number): Promise<Uint8Array>;
}

export type ResponseHeaders = Readonly<Record<string, string>>;

/** Answers one request. Every method is a no-op once the peer has left or the response has ended. */
export interface FrontResponse {
  /** The peer left, or the response was given up. */
  readonly aborted: boolean;
  /** Called at most once, if the peer leaves before the response has ended. */
  onAborted: (() => void) | undefined;
  /** A whole response. */
  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void;
  /** Begins a streamed response. */
  start(status: number, headers: ResponseHeaders): void;
  /** @returns false: it was taken, but wait for `drained()` before the next one */
  write(chunk: string | Uint8Array): boolean;
  /** Resolves when the peer has read what was written, and also when it has left. */
  drained(): Promise<void>;
  end(): void;
  /** Breaks the connection off, so that the peer cannot take what it has for the whole. */
  destroy(): void;
}

/** One WebSocket connection. Every method is a no-op once it is closed. */
export interface FrontConnection {
  readonly remote: string;
  /** What was sent and not yet taken by the operating system. Bytes. */
  readonly bufferedBytes: number;
  /**
   * Sends each frame as a binary message, in order, as one write. The bytes are owned by the front after the call.
   *
   * @returns false: a frame could not be taken and the connection is closed; nothing is ever dropped silently
   */
  send(frames: readonly Uint8Array[]): boolean;
  /** No `frame` arrives until `resume`. */
  pause(): void;
  /** May deliver frames before it returns. */
  resume(): void;
  /** Says goodbye after what was sent. code: 1000 to 4999, RFC 6455; reason: at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Breaks it off at once. */
  terminate(): void;
}

/** What happens on one WebSocket connection. */
export interface ConnectionEvents {
  /** bytes: valid only during the call. */
  frame(bytes: Uint8Array, binary: boolean): void;
  /** Less is buffered than before. */
  drained(): void;
  /** The last event. */
  closed(code: number): void;
}

export interface FrontHandlers {
  /** Must send a response, sooner or later. */
  request(request: FrontRequest, response: FrontResponse): void;
  /** Before an upgrade: why it is refused, or undefined. */
  refusal(request: Pick<FrontRequest, 'header'>): { readonly status: number; readonly body: string } | undefined;
  open(connection: FrontConnection): ConnectionEvents;
}

export interface Front {
  readonly kind: FrontKind;
  readonly port: number;
  /** No new connections; those that exist go on. */
  stopListening(): void;
  /** Breaks off what is left. Idempotent. */
  close(): Promise<void>;
}
