// The WebSocket client and servers that refuse, break the protocol, do not read, or never go.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Client } from '../../ts/client/client.js';
import { acceptOf, closeAll, closeLater, dial, dialOpen, rawServer, until, upgrade } from './web-sockets.js';

afterEach(closeAll);

const REFUSALS: readonly [name: string, answer: (request: string) => string, why: RegExp][] = [
  ['another status', () => 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', /HTTP status 404/],
  ['a redirect', () => 'HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n', /HTTP status 302/],
  ['no HTTP', () => 'SSH-2.0-OpenSSH_9.6\r\n\r\n', /does not speak HTTP/],
  ['an older HTTP', (request) => upgrade(request).replace('1.1', '1.0'), /does not speak HTTP/],
  ['no end', () => `HTTP/1.1 101 Switching Protocols\r\n${'x: y\r\n'.repeat(4_000)}`, /does not speak HTTP/],
  ['no upgrade', (request) => upgrade(request).replace('Upgrade: websocket\r\n', ''), /does not upgrade/],
  ['another upgrade', (request) => upgrade(request).replace(': websocket', ': h2c'), /does not upgrade/],
  ['no connection', (request) => upgrade(request).replace('Connection: Upgrade\r\n', ''), /does not upgrade/],
  ['the key of another', () => upgrade('Sec-WebSocket-Key: AAAA'), /Sec-WebSocket-Accept is wrong/],
  ['compression', (request) => upgrade(request, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'), /not offered/],
  ['a subprotocol', (request) => upgrade(request, 'Sec-WebSocket-Protocol: chat\r\n'), /not offered/],
];

for (const [name, answer, why] of REFUSALS) {
  test(`no WebSocket there: ${name}`, async () => {
    const raw = await rawServer((socket, request) => socket.write(answer(request)));
    const dialled = dial(raw.address);
    await until('the end', () => dialled.gone.length === 1);
    assert.match(dialled.gone[0] ?? '', why);
    assert.equal(dialled.opened, false);
    dialled.client.terminate();
    await until('the client has left', () => raw.ended);
  });
}

test('a client that finds no WebSocket says so', async () => {
  const raw = await rawServer((socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'));
  await assert.rejects(Client.connect(raw.address, { timeoutMs: 200 }), {
    code: 'ERAFT_UNAVAILABLE',
    message: /HTTP status 404/,
  });
});

test('an answer in pieces, with the first frame behind it', async () => {
  const raw = await rawServer(async (socket, request) => {
    const bytes = Buffer.concat([
      Buffer.from(
        upgrade(request)
          .toUpperCase()
          .replace(/(ACCEPT: ).*/, `$1${acceptOf(request)}`),
      ),
      Buffer.of(0x82, 2, 7, 8),
    ]);
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const { messages } = await dialOpen(raw.address);
  await until('the message', () => messages.length === 1);
  assert.deepEqual(messages, [{ bytes: Buffer.of(7, 8), binary: true }]);
});

const HOSTILE: readonly [name: string, bytes: Buffer, code: number, why: RegExp][] = [
  ['masks its frames', Buffer.of(0x82, 0x81, 0, 0, 0, 0, 5), 1002, /masked/],
  ['sends more than may be', Buffer.of(0x82, 127, 0, 0, 0, 0, 0, 64, 0, 1), 1009, /more than 4194304 bytes/],
  ['compresses unasked', Buffer.of(0xc2, 1, 0), 1002, /reserved bits/],
  ['sends a frame of unknown kind', Buffer.of(0x8f, 0), 1002, /opcode 15/],
  ['continues nothing', Buffer.of(0x80, 0), 1002, /out of order/],
  ['leaves with no code that there is', Buffer.of(0x88, 2, 0, 1), 1002, /valid code/],
];

for (const [name, bytes, code, why] of HOSTILE) {
  test(`a server that ${name} is told so, and left`, async () => {
    const raw = await rawServer((socket, request) => {
      socket.write(upgrade(request));
      socket.write(Buffer.concat([Buffer.of(0x82, 1, 9), bytes, Buffer.of(0x82, 1, 10)]));
    });
    const { gone, messages } = dial(raw.address);
    await until('the end', () => gone.length === 1 && raw.ended);
    assert.match(gone[0] ?? '', why);
    assert.deepEqual(messages, [{ bytes: Buffer.of(9), binary: true }], 'what came before, and nothing after it');
    const last = raw.received.subarray(-8);
    assert.deepEqual(last, Buffer.of(0x88, 0x82, 0, 0, 0, 0, code >> 8, code & 0xff), 'a masked close frame');
  });
}

test('a server that does not read: nothing that waits is overwritten, and its pings are not hoarded', async () => {
  const raw = await rawServer((socket, request) => {
    socket.pause();
    socket.write(upgrade(request));
  });
  const dialled = await dialOpen(raw.address);
  const { client } = dialled;
  const sent: Buffer[] = [];
  for (let i = 0; i < 300; i++) {
    const message = Buffer.alloc(i % 10 === 0 ? 200_000 : 30_000, i);
    sent.push(Buffer.from(message));
    client.send(message);
    message.fill(0xff);
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setImmediate(resolve));
  raw.socket?.write(Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.of(0x89, 1, 3))));
  await until('the pings', () => dialled.heard === 10_000);
  const before = raw.received.length;
  raw.socket?.resume();
  const expected = Buffer.concat(
    sent.map((message) => {
      const head = message.length > 65_535 ? Buffer.alloc(14) : Buffer.alloc(8);
      head[0] = 0x82;
      head[1] = 0x80 | (head.length === 14 ? 127 : 126);
      head.writeUIntBE(message.length, head.length === 14 ? 6 : 2, head.length === 14 ? 4 : 2);
      return Buffer.concat([head, message]);
    }),
  );
  const request = raw.received.indexOf('\r\n\r\n') + 4;
  assert.equal(before, request);
  await until('all of it', () => raw.received.length >= request + expected.length);
  assert.ok(raw.received.subarray(request, request + expected.length).equals(expected));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(raw.received.length, request + expected.length);
});

test('a server that hangs up without a word', async () => {
  const raw = await rawServer((socket, request) => socket.end(upgrade(request)));
  const { gone } = dial(raw.address);
  await until('the end', () => gone.length > 0);
  assert.deepEqual(gone, ['the connection was closed']);
});

test('a server that never leaves is left all the same', async () => {
  const raw = await rawServer((socket, request) => socket.write(upgrade(request)), true);
  const { client } = await dialOpen(raw.address);
  client.close();
  // What is sent to nobody comes back as a reset.
  const talk = setInterval(() => raw.socket?.write('\x89\x00', 'latin1'), 10);
  closeLater(() => clearInterval(talk));
  await until('the end', () => raw.ended);
});
