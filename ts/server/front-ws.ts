// The front on node:http and the ws package: runs wherever Node runs.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
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

/** A percent-encoded key of the largest legal size, and room for ordinary headers. */
const HEAD_BYTES_MAX = 32 * 1024;
const HEAD_TIMEOUT_MS = 10_000;

/** @throws EraftError ERAFT_PORT_IN_USE, ERAFT_IO (an address of another machine, a port that needs privileges) */
export async function openNodeFront(options: FrontOptions, handlers: FrontHandlers): Promise<Front> {
  const front = new NodeFront(options, handlers);
  await front.listen();
  return front;
}

class NodeFront implements Front {
  readonly kind = 'ws';
  readonly #options: FrontOptions;
  readonly #handlers: FrontHandlers;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #connections = new Set<NodeConnection>();
  readonly #heartbeat: NodeJS.Timeout;
  #closed: Promise<void> | undefined;

  constructor(options: FrontOptions, handlers: FrontHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#http = createServer({ maxHeaderSize: HEAD_BYTES_MAX, headersTimeout: HEAD_TIMEOUT_MS, noDelay: true });
    this.#http.timeout = options.httpIdleMs;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.frameBytesMax,
    });
    this.#http.on('request', (request, response) => {
      handlers.request(new NodeRequest(request), new NodeResponse(response));
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#heartbeat = setInterval(() => this.#checkPeers(), (options.idleSeconds * 1_000) / 2);
    this.#heartbeat.unref();
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        clearInterval(this.#heartbeat);
        reject(cannotListen(host, port, cause));
      };
      this.#http.once('error', failed);
      this.#http.listen({ host, port, exclusive: true }, () => {
        this.#http.off('error', failed);
        resolve();
      });
    });
  }

  stopListening(): void {
    this.#http.close();
    this.#http.closeIdleConnections();
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      clearInterval(this.#heartbeat);
      for (const connection of this.#connections) connection.terminate();
      this.#sockets.close();
      if (this.#http.listening) this.#http.close(() => resolve());
      else resolve();
      this.#http.closeAllConnections();
    });
    return this.#closed;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const path = splitUrl(request.url ?? '').path;
    const refusal =
      path === this.#options.socketPath
        ? this.#handlers.refusal(new NodeRequest(request))
        : { status: 404, body: `WebSocket connections are accepted at ${this.#options.socketPath}\n` };
    if (refusal !== undefined) {
      const length = Buffer.byteLength(refusal.body);
      socket.end(
        `HTTP/1.1 ${refusal.status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n${refusal.body}`,
      );
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (ws) => {
      const connection = new NodeConnection(ws, socket, this.#options, request.socket.remoteAddress);
      this.#connections.add(connection);
      ws.once('close', () => this.#connections.delete(connection));
      connection.attach(this.#handlers.open(connection));
    });
  }

  #checkPeers(): void {
    for (const connection of this.#connections) connection.checkPeer();
  }
}

class NodeConnection implements FrontConnection {
  readonly remote: string;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #bufferedBytesMax: number;
  readonly #inbox: FrameInbox;
  readonly #onWritten: () => void;
  #events: ConnectionEvents | undefined;
  #heard = true;

  constructor(ws: WebSocket, socket: Duplex, options: FrontOptions, remote: string | undefined) {
    this.#ws = ws;
    this.#socket = socket;
    this.#bufferedBytesMax = options.bufferedBytesMax;
    this.#inbox = new FrameInbox(options.pausedBytesMax, (bytes, binary) => this.#events?.frame(bytes, binary));
    this.remote = remote ?? '';
    this.#onWritten = () => {
      if (this.#open) this.#events?.drained();
    };
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
    this.#ws.on('message', (data, binary) => {
      this.#heard = true;
      if (!this.#inbox.take(data as Buffer, binary)) this.close(INBOX_FULL.code, INBOX_FULL.reason);
    });
    this.#ws.on('pong', () => {
      this.#heard = true;
    });
    // An error (a frame over the limit, a broken mask) is followed by 'close', which is where it is told.
    this.#ws.on('error', () => undefined);
    this.#ws.on('close', (code) => {
      this.#inbox.clear();
      events.closed(code);
    });
  }

  get #open(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  send(frames: readonly Uint8Array[]): boolean {
    if (!this.#open) return false;
    const last = frames.length - 1;
    this.#socket.cork();
    for (let i = 0; i <= last; i += 1) {
      this.#ws.send(frames[i] as Uint8Array, i === last ? this.#onWritten : undefined);
    }
    this.#socket.uncork();
    if (this.#ws.bufferedAmount <= this.#bufferedBytesMax) return true;
    this.#ws.terminate();
    return false;
  }

  /** Stops the socket too; the frames that it had already read are kept. */
  pause(): void {
    if (!this.#open) return;
    this.#inbox.pause();
    this.#ws.pause();
  }

  resume(): void {
    if (this.#inbox.resume() && this.#open) this.#ws.resume();
  }

  close(code: number, reason: string): void {
    if (this.#open) this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  /** Twice in an idle period: a peer that answered nothing since the last call is gone. A paused one cannot be judged. */
  checkPeer(): void {
    if (!this.#open || this.#ws.isPaused) return;
    if (!this.#heard) {
      this.#ws.terminate();
      return;
    }
    this.#heard = false;
    this.#ws.ping();
  }
}

class NodeRequest implements FrontRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.method = request.method ?? '';
    const { path, query } = splitUrl(request.url ?? '');
    this.path = path;
    this.query = query;
  }

  header(name: string): string {
    const value = this.#request.headers[name];
    return typeof value === 'string' ? value : (value?.join(', ') ?? '');
  }

  body(bytesMax: number): Promise<Uint8Array> {
    const request = this.#request;
    const announced = Number(this.header('content-length') || 0);
    if (announced > bytesMax) return Promise.reject(bodyTooLarge(announced, bytesMax));
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= bytesMax) chunks.push(chunk);
        else reject(bodyTooLarge(bytes, bytesMax));
      });
      request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
      request.on('error', (cause) => reject(peerLeft(cause)));
      request.on('close', () => reject(peerLeft()));
    });
  }
}

class NodeResponse implements FrontResponse {
  onAborted: (() => void) | undefined;
  aborted = false;
  readonly #response: ServerResponse;
  #ended = false;
  #draining: (() => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.on('close', () => this.#onClose());
    response.on('drain', () => this.#wake());
  }

  send(status: number, headers: ResponseHeaders, body: string | Uint8Array): void {
    if (this.aborted || this.#ended) return;
    this.#ended = true;
    this.#response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
    this.#response.end(body);
  }

  start(status: number, headers: ResponseHeaders): void {
    if (!this.aborted && !this.#ended) this.#response.writeHead(status, headers);
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.aborted || this.#ended) return true;
    return this.#response.write(chunk);
  }

  drained(): Promise<void> {
    if (this.aborted || this.#ended || !this.#response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#draining = resolve;
    });
  }

  end(): void {
    if (this.aborted || this.#ended) return;
    this.#ended = true;
    this.#response.end();
  }

  destroy(): void {
    if (this.aborted || this.#ended) return;
    this.#response.destroy();
  }

  #onClose(): void {
    if (!this.#ended) {
      this.aborted = true;
      this.onAborted?.();
    }
    this.#wake();
  }

  #wake(): void {
    this.#draining?.();
    this.#draining = undefined;
  }
}

function splitUrl(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark === -1 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}
