// What the tests of this room share: both fronts, and small clients that can misbehave.
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { LIMITS, MiB } from '../../ts/base/limits.js';
import type { FrontKind, FrontOptions } from '../../ts/server/front.js';

/** Every test of the server runs on each. uWebSockets.js must load wherever these tests run: it is a dev dependency. */
export const FRONTS: readonly FrontKind[] = ['uws', 'ws'];

export const FRONT_OPTIONS: FrontOptions = {
  host: '127.0.0.1',
  port: 0,
  socketPath: '/v1/ws',
  frameBytesMax: LIMITS.clientFrameBytesMax,
  bufferedBytesMax: 32 * MiB,
  pausedBytesMax: 8 * MiB,
  idleSeconds: 60,
  httpIdleMs: 30_000,
};

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpCall {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** @throws when the connection ends before the response does */
export async function http(port: number, path: string, call: HttpCall = {}): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, body } = call;
  // Not `Connection: close`, after which a server may hang up on a body that is still on its way.
  const agent = new Agent({ keepAlive: true });
  try {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent });
    request.end(body);
    const [response] = await once(request, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
  } finally {
    agent.destroy();
  }
}

export async function httpJson<T>(port: number, path: string, call: HttpCall = {}): Promise<HttpAnswer & { json: T }> {
  const answer = await http(port, path, call);
  return { ...answer, json: JSON.parse(answer.body.toString()) as T };
}

/** A connection that sends bytes of its own making. */
export async function raw(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** A WebSocket that keeps every message until somebody asks for it. */
export class Messages {
  readonly ws: WebSocket;
  readonly #kept: Buffer[] = [];
  readonly #closed: Promise<{ code: number; reason: string }>;
  #waiting: ((message: Buffer | undefined) => void) | undefined;
  #gone = false;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('error', () => undefined);
    ws.on('message', (data) => this.#take(data as Buffer));
    this.#closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        this.#gone = true;
        this.#waiting?.(undefined);
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  static async open(port: number, path = '/v1/ws', headers: Record<string, string> = {}): Promise<Messages> {
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false, headers });
    const messages = new Messages(ws);
    await once(ws, 'open');
    return messages;
  }

  /** The HTTP status that refused an upgrade. */
  static async refused(port: number, path = '/v1/ws', headers: Record<string, string> = {}): Promise<number> {
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
    ws.on('error', () => undefined);
    const [request, response] = await once(ws, 'unexpected-response');
    request.destroy();
    return response.statusCode;
  }

  send(bytes: Uint8Array | string): void {
    this.ws.send(bytes);
  }

  /** The next message. @throws when the connection ends first */
  async next(): Promise<Buffer> {
    const kept = this.#kept.shift();
    if (kept !== undefined) return kept;
    if (this.#gone) throw new Error('the connection is closed');
    const message = await new Promise<Buffer | undefined>((resolve) => {
      this.#waiting = resolve;
    });
    if (message === undefined) throw new Error('the connection was closed');
    return message;
  }

  get kept(): number {
    return this.#kept.length;
  }

  closed(): Promise<{ code: number; reason: string }> {
    return this.#closed;
  }

  #take(data: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#kept.push(data);
    else waiting(data);
  }
}

/** A promise and the function that resolves it. */
export function signal<T = void>(): { readonly promise: Promise<T>; readonly fire: (value: T) => void } {
  let fire: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    fire = resolve;
  });
  return { promise, fire };
}
