// The front on uWebSockets.js, the build that loads on Node 20. Its traps, each met here:
// - a request without an answer and without onAborted ends the process: onAborted is set before anything else;
// - using a response or socket after its end throws: `#gone` and `#ws` are checked before every use;
// - the bytes of a message are valid only during its callback: what outlives it is copied;
// - send answers 2 when it has dropped the message: the connection is closed with it;
// - a socket cannot be paused: frames that arrive meanwhile are kept, bounded, and over the bound the connection closes;
// - two listeners share a port silently unless told otherwise: LISTEN_EXCLUSIVELY.
import { STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import type {
  ConnectionEvents,
  Front,
  FrontConnection,
  FrontHandlers,
  FrontOptions,
  FrontRequest,
  FrontResponse,
  ResponseHeaders,
} from './front.js';
import { bodyTooLarge, cannotListen, peerLeft } from './front-errors.js';
import { FrameInbox, INBOX_FULL } from './front-inbox.js';
import {
  LISTEN_EXCLUSIVELY,
  loadUws,
  type Uws,
  type UwsApp,
  type UwsRequest,
  type UwsResponse,
  type UwsSocket,
} from './uws.js';

/** Read before the handler returns, since the request does not outlive it. */
const HEADERS_READ = [
  'content-length',
  'content-type',
  'host',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'origin',
  'accept',
] as const;
/** How often a free port may be taken by others between finding and using it. */
const PORT_ATTEMPTS_MAX = 8;

/** What uWebSockets.js keeps for a socket: it copies the fields, so the connection must be one. */
interface UserData {
  readonly connection: UwsConnection;
}

/** @throws EraftError ERAFT_CONFIG (it does not load), ERAFT_PORT_IN_USE, ERAFT_IO */
export async function openUwsFront(options: FrontOptions, handlers: FrontHandlers): Promise<Front> {
  const front = new UwsFront(await loadUws(), options, handlers);
  await front.listen();
  return front;
}

class UwsFront implements Front {
  readonly kind = 'uws';
  readonly #uws: Uws;
  readonly #app: UwsApp;
  readonly #options: FrontOptions;
  readonly #handlers: FrontHandlers;
  #token: unknown;
  #port = 0;
  #closed = false;

  constructor(uws: Uws, options: FrontOptions, handlers: FrontHandlers) {
    this.#uws = uws;
    this.#options = options;
    this.#handlers = handlers;
    this.#app = uws.App();
    this.#app.ws<UserData>(options.socketPath, {
      maxPayloadLength: options.frameBytesMax,
      maxBackpressure: options.bufferedBytesMax,
      closeOnBackpressureLimit: true,
      idleTimeout: options.idleSeconds,
      sendPingsAutomatically: true,
      compression: uws.DISABLED,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => {
        const { connection } = socket.getUserData();
        connection.opened(socket, handlers.open(connection));
      },
      message: (socket, message, binary) => socket.getUserData().connection.received(new Uint8Array(message), binary),
      drain: (socket) => socket.getUserData().connection.drained(),
      close: (socket, code) => socket.getUserData().connection.closed(code),
    });
    this.#app.any('/*', (response, request) => {
      const answer = new UwsAnswer(response);
      handlers.request(new UwsHead(request, response, answer), answer);
    });
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    for (let attempt = 1; !this.#token; attempt += 1) {
      const probe = await tryPort(host, port);
      if (probe.error === undefined) this.#listenAt(probe.port);
      const lost = probe.error === undefined && port === 0 && attempt < PORT_ATTEMPTS_MAX; // to another process, just now
      if (this.#token || lost) continue;
      this.#closed = true;
      this.#app.close();
      throw cannotListen(host, port, probe.error ?? Object.assign(new Error('taken'), { code: 'EADDRINUSE' }));
    }
  }

  #listenAt(port: number): void {
    this.#app.listen(this.#options.host, port, LISTEN_EXCLUSIVELY, (token) => {
      this.#token = token;
    });
    if (this.#token) this.#port = this.#uws.us_socket_local_port(this.#token);
  }

  stopListening(): void {
    if (!this.#token) return;
    this.#uws.us_listen_socket_close(this.#token);
    this.#token = undefined;
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.stopListening();
      this.#app.close();
    }
    return Promise.resolve();
  }

  #upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void {
    const refusal = this.#handlers.refusal({ header: (name) => request.getHeader(name) });
    if (refusal !== undefined) {
      response.onAborted(() => undefined);
      response
        .writeStatus(statusLine(refusal.status))
        .writeHeader('Content-Type', 'text/plain')
        .end(refusal.body, true);
      return;
    }
    response.upgrade(
      { connection: new UwsConnection(this.#options.pausedBytesMax) },
      request.getHeader('sec-websocket-key'),
      request.getHeader('sec-websocket-protocol'),
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  }
}

/**
 * Binds the port through Node first, and lets it go: uWebSockets.js does not say why it could not listen, and a port that
 * it chooses itself (0) stays in use for a minute after closing, since it sets SO_REUSEADDR for given ports alone.
 */
function tryPort(host: string, port: number): Promise<{ port: number; error?: Error }> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve({ port, error }));
    probe.listen({ host, port, exclusive: true }, () => {
      const free = (probe.address() as AddressInfo).port;
      probe.close(() => resolve({ port: free }));
    });
  });
}

class UwsConnection implements FrontConnection {
  remote = '';
  readonly #inbox: FrameInbox;
  #ws: UwsSocket<UserData> | undefined;
  #events: ConnectionEvents | undefined;

  constructor(pausedBytesMax: number) {
    this.#inbox = new FrameInbox(pausedBytesMax, (bytes, binary) => this.#events?.frame(bytes, binary));
  }

  opened(ws: UwsSocket<UserData>, events: ConnectionEvents): void {
    this.#ws = ws;
    this.#events = events;
    this.remote = Buffer.from(ws.getRemoteAddressAsText()).toString();
  }

  received(bytes: Uint8Array, binary: boolean): void {
    if (!this.#inbox.take(bytes, binary)) this.close(INBOX_FULL.code, INBOX_FULL.reason);
  }

  drained(): void {
    this.#events?.drained();
  }

  closed(code: number): void {
    this.#ws = undefined;
    this.#inbox.clear();
    this.#events?.closed(code);
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  send(frames: readonly Uint8Array[]): boolean {
    const ws = this.#ws;
    if (ws === undefined) return false;
    let taken = true;
    const sendAll = (): void => {
      for (const frame of frames) {
        if (this.#ws === undefined || ws.send(frame, true) === 2) {
          taken = false;
          return;
        }
      }
    };
    if (frames.length === 1) sendAll();
    else ws.cork(sendAll); // several in one write
    // Over the limit uWebSockets.js closes by itself, but only in its next turn: until then nothing more may be sent.
    if (!taken) this.terminate();
    return taken;
  }

  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
  }

  close(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }

  terminate(): void {
    this.#ws?.close();
  }
}

class UwsHead implements FrontRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly #headers = new Map<string, string>();
  readonly #response: UwsResponse;
  readonly #answer: UwsAnswer;

  constructor(request: UwsRequest, response: UwsResponse, answer: UwsAnswer) {
    this.method = request.getCaseSensitiveMethod();
    this.path = request.getUrl();
    this.query = request.getQuery() ?? '';
    for (const name of HEADERS_READ) this.#headers.set(name, request.getHeader(name));
    this.#response = response;
    this.#answer = answer;
  }

  header(name: string): string {
    return this.#headers.get(name) ?? '';
  }

  body(bytesMax: number): Promise<Uint8Array> {
    const announced = Number(this.header('content-length') || 0);
    if (announced > bytesMax) return Promise.reject(bodyTooLarge(announced, bytesMax));
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      this.#answer.whenGone(() => reject(peerLeft()));
      this.#response.onData((chunk, last) => {
        bytes += chunk.byteLength;
        if (bytes > bytesMax) {
          chunks.length = 0;
          reject(bodyTooLarge(bytes, bytesMax));
          return;
        }
        if (chunk.byteLength > 0) chunks.push(Buffer.from(chunk.slice(0)));
        if (last) resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      });
    });
  }
}

class UwsAnswer implements FrontResponse {
  onAborted: (() => void) | undefined;
  aborted = false;
  readonly #response: UwsResponse;
  #ended = false;
  #whenGone: (() => void) | undefined;
  #draining: (() => void) | undefined;
  /** The last write had to be buffered. */
  #blocked = false;

  constructor(response: UwsResponse) {
    this.#response = response;
    response.onAborted(() => this.#onAborted());
  }

  whenGone(listener: () => void): void {
    this.#whenGone = listener;
  }

  get #gone(): boolean {
    return this.aborted || this.#ended;
  }

  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void {
    if (this.#gone) return;
    this.#ended = true;
    this.#response.cork(() => {
      this.#writeHead(status, headers);
      this.#response.end(body, headers.Connection === 'close');
    });
  }

  start(status: number, headers: ResponseHeaders): void {
    if (this.#gone) return;
    this.#response.onWritable(() => {
      this.#wake();
      return true;
    });
    this.#response.cork(() => this.#writeHead(status, headers));
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#gone) return true;
    let more = true;
    this.#response.cork(() => {
      more = this.#response.write(chunk);
    });
    this.#blocked = !more;
    return more;
  }

  drained(): Promise<void> {
    if (this.#gone || !this.#blocked) return Promise.resolve();
    return new Promise((resolve) => {
      this.#draining = resolve;
    });
  }

  end(): void {
    if (this.#gone) return;
    this.#ended = true;
    this.#response.cork(() => this.#response.end());
  }

  destroy(): void {
    if (!this.#gone) this.#response.close();
  }

  #writeHead(status: number, headers: ResponseHeaders): void {
    this.#response.writeStatus(statusLine(status));
    for (const [name, value] of Object.entries(headers)) this.#response.writeHeader(name, value);
  }

  #onAborted(): void {
    if (this.#gone) return;
    this.aborted = true;
    this.#whenGone?.();
    this.onAborted?.();
    this.#wake();
  }

  #wake(): void {
    this.#blocked = false;
    this.#draining?.();
    this.#draining = undefined;
  }
}

function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}
