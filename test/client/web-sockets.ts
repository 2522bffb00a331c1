// What the tests of the WebSocket client share: a client that notes what it is told, and servers that say anything.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { WebSocketClient } from '../../ts/client/web-socket.js';

export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
export const PATH = '/v1/ws';

const open: (() => unknown)[] = [];

/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close();
}

export function closeLater(close: () => unknown): void {
  open.push(close);
}

/** Waits for what may take a moment. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const started = Date.now(); !holds(); ) {
    assert.ok(Date.now() - started < 10_000, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export interface Dialled {
  readonly client: WebSocketClient;
  readonly messages: { readonly bytes: Buffer; readonly binary: boolean }[];
  readonly gone: string[];
  heard: number;
  opened: boolean;
}

export function dial(address: string): Dialled {
  const client = new WebSocketClient(
    { address, path: PATH, messageBytesMax: MESSAGE_BYTES_MAX },
    {
      open: () => {
        dialled.opened = true;
      },
      message: (payload, binary) => dialled.messages.push({ bytes: Buffer.from(payload), binary }),
      heard: () => {
        dialled.heard += 1;
      },
      gone: (why) => dialled.gone.push(why),
    },
  );
  const dialled: Dialled = { client, messages: [], gone: [], heard: 0, opened: false };
  open.push(() => client.terminate());
  return dialled;
}

export async function dialOpen(address: string): Promise<Dialled> {
  const dialled = dial(address);
  await until('open', () => dialled.opened || dialled.gone.length > 0);
  assert.deepEqual(dialled.gone, []);
  return dialled;
}

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function acceptOf(request: string): string {
  const key = /Sec-WebSocket-Key: (\S+)/.exec(request)?.[1] ?? '';
  return createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64');
}

export function upgrade(request: string, extra = ''): string {
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(request)}\r\n${extra}\r\n`;
}

export interface Raw {
  readonly address: string;
  /** What came, the request included, and whether the client has left. */
  received: Buffer;
  ended: boolean;
  socket: Socket | undefined;
}

/**
 * @param answer - called with the whole request
 * @param allowHalfOpen - it does not leave when the client does
 */
export async function rawServer(
  answer: (socket: Socket, request: string) => void,
  allowHalfOpen = false,
): Promise<Raw> {
  const server = createServer({ allowHalfOpen }, (socket) => {
    raw.socket = socket;
    let answered = false;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      raw.ended = true;
    });
    socket.on('data', (chunk) => {
      raw.received = Buffer.concat([raw.received, chunk]);
      const text = raw.received.toString('latin1');
      if (answered || !text.includes('\r\n\r\n')) return;
      answered = true;
      answer(socket, text);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    raw.socket?.destroy();
    server.close();
  });
  const raw: Raw = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: Buffer.alloc(0),
    ended: false,
    socket: undefined,
  };
  return raw;
}
