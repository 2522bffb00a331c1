// The WebSocket client over real sockets, with ws and uWebSockets.js at the other end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { LISTEN_EXCLUSIVELY, loadUws, type UwsSocket } from '../../ts/server/uws.js';
import { closeAll, closeLater, dialOpen, MESSAGE_BYTES_MAX, PATH, until } from './web-sockets.js';

afterEach(closeAll);

/** What both peers can do. `pong` counts answers to pings. */
interface Echo {
  readonly port: number;
  readonly closed: number[];
  pongs: number;
  pinged: number;
  pingAll(): void;
  leave(code: number): void;
}

async function wsEcho(): Promise<Echo> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: PATH, perMessageDeflate: false });
  await once(server, 'listening');
  const sockets = new Set<WebSocket>();
  const echo: Echo = {
    port: (server.address() as AddressInfo).port,
    closed: [],
    pongs: 0,
    pinged: 0,
    pingAll: () => {
      for (const socket of sockets) socket.ping('are you there?');
    },
    leave: (code) => {
      for (const socket of sockets) socket.close(code);
    },
  };
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('message', (data, binary) => socket.send(data as Buffer, { binary }));
    socket.on('pong', (data) => {
      if (data.toString() === 'are you there?') echo.pongs += 1;
    });
    socket.on('ping', () => {
      echo.pinged += 1;
    });
    socket.on('close', (code) => echo.closed.push(code));
  });
  closeLater(() => new Promise((resolve) => server.close(resolve)));
  return echo;
}

/** What the server has no use for. */
interface Pinging extends UwsSocket<unknown> {
  ping(message: string): number;
}

async function uwsEcho(): Promise<Echo> {
  const uws = await loadUws();
  const sockets = new Set<Pinging>();
  const echo: Echo = {
    port: 0,
    closed: [],
    pongs: 0,
    pinged: 0,
    pingAll: () => {
      for (const socket of sockets) socket.ping('are you there?');
    },
    leave: (code) => {
      for (const socket of sockets) socket.end(code, '');
    },
  };
  const app = uws.App();
  app.ws(PATH, {
    maxPayloadLength: MESSAGE_BYTES_MAX,
    maxBackpressure: 64 * 1024 * 1024,
    open: (socket: Pinging) => sockets.add(socket),
    message: (socket: Pinging, message: ArrayBuffer, binary: boolean) => socket.send(new Uint8Array(message), binary),
    ping: () => {
      echo.pinged += 1;
    },
    pong: (_socket: Pinging, message: ArrayBuffer) => {
      if (Buffer.from(message).toString() === 'are you there?') echo.pongs += 1;
    },
    close: (socket: Pinging, code: number) => {
      sockets.delete(socket);
      echo.closed.push(code);
    },
  } as never);
  const listening = await new Promise<unknown>((resolve) => app.listen('127.0.0.1', 0, LISTEN_EXCLUSIVELY, resolve));
  closeLater(() => app.close());
  return Object.assign(echo, { port: uws.us_socket_local_port(listening) });
}

const PEERS = { ws: wsEcho, 'uWebSockets.js': uwsEcho };

for (const [name, listen] of Object.entries(PEERS)) {
  describe(`with ${name}`, () => {
    test('messages of all sizes come back, in order', async () => {
      const echo = await listen();
      const { client, messages, gone } = await dialOpen(`127.0.0.1:${echo.port}`);
      const sizes = [0, 1, 125, 126, 127, 65_520, 65_535, 65_536, 65_537, 3, 1024 * 1024, 5, MESSAGE_BYTES_MAX, 0];
      const sent = sizes.map((bytes, i) => Buffer.alloc(bytes, i + 1));
      for (const message of sent) client.send(message);
      await until('all echoes', () => messages.length === sent.length || gone.length > 0);
      for (const [i, message] of sent.entries()) {
        assert.ok(messages[i]?.binary);
        assert.ok(messages[i].bytes.equals(message), `message ${i}`);
      }
    });

    test('many small ones, over many turns', async () => {
      const echo = await listen();
      const { client, messages, gone } = await dialOpen(`127.0.0.1:${echo.port}`);
      const scratch = Buffer.alloc(40);
      for (let i = 0; i < 20_000; i++) {
        scratch.fill(i);
        scratch.writeUInt32LE(i);
        client.send(scratch); // and is overwritten at once
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await until('all echoes', () => messages.length === 20_000 || gone.length > 0);
      for (const [i, { bytes }] of messages.entries()) {
        assert.equal(bytes.readUInt32LE(), i);
        assert.equal(bytes[39], i & 0xff);
      }
    });

    test('pings go both ways', async () => {
      const echo = await listen();
      const dialled = await dialOpen(`127.0.0.1:${echo.port}`);
      echo.pingAll();
      await until('a pong', () => echo.pongs === 1);
      assert.equal(dialled.heard, 1);
      dialled.client.ping();
      await until('a pong here', () => dialled.heard === 2);
      assert.equal(echo.pinged, 1);
    });

    test('it is told why the other side leaves', async () => {
      const echo = await listen();
      const { gone } = await dialOpen(`127.0.0.1:${echo.port}`);
      echo.leave(1001);
      await until('the end', () => gone.length === 1);
      assert.deepEqual(gone, ['the connection was closed (1001)']);
      await until('the echo of the code', () => echo.closed.length === 1);
    });

    test('it says goodbye, and nothing is said of it here', async () => {
      const echo = await listen();
      const { client, gone } = await dialOpen(`127.0.0.1:${echo.port}`);
      client.send(Buffer.from('the last word'));
      client.close();
      await until('the goodbye', () => echo.closed.length === 1);
      assert.deepEqual(echo.closed, [1000]);
      assert.deepEqual(gone, []);
    });

    test('it leaves without a word', async () => {
      const echo = await listen();
      const { client, gone } = await dialOpen(`127.0.0.1:${echo.port}`);
      client.terminate();
      await until('the end', () => echo.closed.length === 1);
      assert.deepEqual([echo.closed, gone], [[1006], []]);
    });

    test('a name with several addresses', async () => {
      const echo = await listen();
      const { client, messages } = await dialOpen(`localhost:${echo.port}`);
      client.send(Buffer.from('hello'));
      await until('an echo', () => messages.length === 1);
    });
  });
}

test('ws divides a message: it comes whole', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  closeLater(() => new Promise((resolve) => server.close(resolve)));
  server.on('connection', (socket) => {
    socket.send('a', { binary: true, fin: false });
    socket.send('b', { fin: false });
    socket.ping();
    socket.send('c', { fin: true });
    socket.send('text');
  });
  await once(server, 'listening');
  const dialled = await dialOpen(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  await until('both', () => dialled.messages.length === 2);
  assert.deepEqual(
    dialled.messages.map(({ bytes, binary }) => [bytes.toString(), binary]),
    [
      ['abc', true],
      ['text', false],
    ],
  );
  assert.equal(dialled.heard, 1);
});

test('messages of one moment leave in one write', async (t) => {
  const echo = await wsEcho();
  const { client, messages } = await dialOpen(`127.0.0.1:${echo.port}`);
  const write = t.mock.method(Socket.prototype, 'write');
  for (let i = 0; i < 100; i++) client.send(Buffer.alloc(100, i));
  client.ping();
  await new Promise((resolve) => process.nextTick(resolve));
  assert.equal(write.mock.callCount(), 1);
  write.mock.restore();
  await until('all echoes', () => messages.length === 100);
});
