// A replica on a real socket: the model behind `ws`, with the misbehaviour that a test asks for.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { LIMITS } from '../../ts/base/limits.js';
import { SOCKET_PATH } from '../../ts/client/endpoints.js';
import { decodeHello, encodeLeader, encodeWelcome, type Hello, type Welcome } from '../../ts/proto/control-frames.js';
import { FRAME, frameBody, readFrameHeader } from '../../ts/proto/frame.js';
import { Model } from './model.js';

export const CLUSTER = '0123456789abcdef0123456789abcdef';

export function welcomeOf(replica: number, cluster = CLUSTER): Welcome {
  return {
    version: 1,
    features: 0n,
    cluster,
    replica,
    server: 'fake',
    keyBytesMax: LIMITS.keyBytesMax,
    valueBytesMax: LIMITS.valueBytesMax,
    frameBytesMax: LIMITS.clientFrameBytesMax,
    batchCommandsMax: LIMITS.batchCommandsMax,
    inflightBatchesMax: 16,
  };
}

export class FakeReplica {
  readonly model: Model;
  readonly sockets = new Set<WebSocket>();
  readonly hellos: Hello[] = [];
  readonly kinds: number[] = [];
  /** What answers a hello; the welcome unless a test says otherwise. */
  greeting: (id: number) => Uint8Array = (id) => encodeWelcome(welcomeOf(id));
  /** Takes over a frame: return true to leave the model out of it. */
  intercept: (frame: Buffer, socket: WebSocket) => boolean = () => false;
  readonly id: number;
  readonly #server: WebSocketServer;

  private constructor(id: number, model: Model, server: WebSocketServer) {
    this.id = id;
    this.model = model;
    this.#server = server;
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => undefined);
      socket.on('message', (data) => this.#onFrame(data as Buffer, socket));
    });
  }

  static async listen(id: number, model = new Model(), port = 0): Promise<FakeReplica> {
    const server = new WebSocketServer({ host: '127.0.0.1', port, path: SOCKET_PATH, perMessageDeflate: false });
    await once(server, 'listening');
    return new FakeReplica(id, model, server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  #onFrame(frame: Buffer, socket: WebSocket): void {
    const { kind } = readFrameHeader(frame);
    this.kinds.push(kind);
    if (kind === FRAME.hello) {
      this.hellos.push(decodeHello(frameBody(frame)));
      socket.send(this.greeting(this.id));
    } else if (!this.intercept(frame, socket)) {
      socket.send(this.model.handle(frame));
    }
  }

  announce(leader: { readonly id: number; readonly address: string }): void {
    for (const socket of this.sockets) socket.send(encodeLeader({ id: leader.id, address: leader.address }, 1));
  }

  cut(): void {
    for (const socket of this.sockets) socket.terminate();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
