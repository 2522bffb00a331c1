import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { encodeForward, encodeRaftFrame, PEER_FRAME, PEER_PREFIX_BYTES } from '../../ts/proto/peer-frames.js';
import { encodePeerHello } from '../../ts/proto/peer-hello.js';
import { closeAll, dial, impostor, meet, NotingHost, place, uidOf } from './harness.js';

const forward = (request: number, tail: string): Uint8Array =>
  encodeForward(PEER_FRAME.forward, { request, deadlineMs: 1 }, tail.length);

test('two replicas connect, exchange hellos and frames in both directions, in order', async () => {
  const [a, b] = [place(1), place(2)];
  await meet(a, b);
  await Promise.all([a.host.connected(2), b.host.connected(1)]);
  for (let i = 0; i < 100; i++) assert.ok(a.network.send(2, forward(i, `tail ${i}`), [Buffer.from(`tail ${i}`)]));
  assert.ok(b.network.send(1, forward(0, ''), []));
  a.network.flush();
  b.network.flush();
  await b.host.until((n) => n.what === 'frame' && (n.value as { tail: string }).tail === 'tail 99');
  await a.host.until((n) => n.what === 'frame');
  const tails = b.host.notes.flatMap((n) => (n.what === 'frame' ? [(n.value as { tail: string }).tail] : []));
  assert.deepEqual(
    tails.filter((t) => t !== ''),
    Array.from({ length: 100 }, (_, i) => `tail ${i}`),
  );
  const theirs = a.host.notes.find((n) => n.what === 'hello');
  assert.equal((theirs as { value: { clientAddress: string } }).value.clientAddress, 'client-2');
  await closeAll(a, b);
});

test('it is told when a tail has left, and when it never will', async () => {
  const [a, b] = [place(1), place(2)];
  await meet(a, b);
  await Promise.all([a.host.connected(2), b.host.connected(1)]);
  await new Promise<void>((left) => {
    assert.ok(a.network.send(2, forward(0, 'onetwo'), [Buffer.from('one'), Buffer.from('two')], left));
    a.network.flush();
  });
  const twice = Buffer.from('twice');
  let told = 0;
  assert.ok(a.network.send(2, forward(2, 'twicetwice'), [twice, twice], () => told++));
  a.network.flush();
  await new Promise<void>((left) => {
    assert.ok(a.network.send(2, forward(3, 'after'), [Buffer.from('after')], left));
    a.network.flush();
  });
  assert.equal(told, 1);
  await new Promise<void>((never) => {
    assert.ok(a.network.send(2, forward(1, 'three'), [Buffer.from('three')], never));
    a.network.disconnect(2);
  });
  await closeAll(a, b);
});

test('frames of every size up to the limit arrive whole', async () => {
  const [a, b] = [place(1, undefined, 1 << 26), place(2)];
  await meet(a, b);
  await Promise.all([a.host.connected(2), b.host.connected(1)]);
  const sizes = [0, 1, 100, 65_519, 65_520, 262_144, 300_000, 1_500_000, 15_000_000, 10];
  for (const size of sizes) {
    const tail = Buffer.alloc(size, 'x');
    assert.ok(a.network.send(2, encodeForward(PEER_FRAME.forward, { request: 1, deadlineMs: 1 }, size), [tail]));
    a.network.flush();
  }
  await b.host.until((n) => n.what === 'frame' && (n.value as { tail: string }).tail.length === 10);
  const got = b.host.notes.flatMap((n) => {
    const { kind, tail } = n.value as { kind: number; tail: string };
    return n.what === 'frame' && kind === PEER_FRAME.forward ? [tail.length] : [];
  });
  assert.deepEqual(got, sizes);
  await closeAll(a, b);
});

const refusals: readonly [name: string, host: NotingHost, code: string][] = [
  ['another cluster', new NotingHost(2, { cluster: 'd'.repeat(32) }), 'ERAFT_WRONG_CLUSTER'],
  ['another protocol', new NotingHost(2, { versionMin: 2, versionMax: 3 }), 'ERAFT_VERSION'],
  ['another id than the address was given for', new NotingHost(3), 'ERAFT_CONFIG'],
  ['our own id', new NotingHost(1, { uid: uidOf(9) }), 'ERAFT_CONFIG'],
  ['ourselves', new NotingHost(1), 'ERAFT_CONFIG'],
  ['a uid that is not the one known', new NotingHost(2, { uid: uidOf(9) }), 'ERAFT_REPLICA_UNKNOWN'],
  ['another uid known in our place', new NotingHost(2, { knownUid: uidOf(9) }), 'ERAFT_REPLICA_UNKNOWN'],
];
for (const [name, host, code] of refusals) {
  test(`refused: ${name}; told once, on both sides when both can be told`, async () => {
    const [a, b] = [place(1), place(2, host)];
    a.host.members.set(2, uidOf(2));
    await a.network.start(a.host);
    await b.network.start(b.host);
    a.network.setAddress(2, `127.0.0.1:${b.network.port}`);
    b.network.setAddress(1, `127.0.0.1:${a.network.port}`);
    await a.host.refused(code);
    if (host.own.replica === 2) await b.host.refused(code);
    const before = a.host.notes.filter((n) => n.what === 'refused').length;
    a.network.disconnect(2); // tries again: the same refusal is no news
    assert.ok(before <= 2, `told ${before} times`);
    assert.ok(!a.network.connected(2) && !b.network.connected(1));
    assert.ok(!a.host.notes.some((n) => n.what === 'hello' && n.id === 2));
    await closeAll(a, b);
  });
}

const hello = (over: object = {}): Uint8Array => encodePeerHello({ ...new NotingHost(2).hello(1), ...over });

function patched(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = frame.slice();
  copy[at] = value;
  return copy;
}

const rubbish: readonly [name: string, bytes: Uint8Array][] = [
  ['text', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['a frame version of the future', patched(hello(), 13, 2)],
  ['an unknown kind', patched(hello(), 12, 77)],
  ['a head that fails its checksum', patched(hello(), 30, 0xaa)],
  ['a head longer than the frame', patched(hello(), 7, 0x7f)],
  ['a frame of 2 GiB', patched(hello(), 3, 0x7f)],
  ['a Raft frame before the hello', encodeRaftFrame([])],
  ['a Raft frame on the connection that is not its to send on', Buffer.concat([hello(), encodeRaftFrame([])])],
  ['a second hello', Buffer.concat([hello(), hello()])],
];
for (const [name, bytes] of rubbish) {
  test(`garbage from a dialler closes its connection and nothing else: ${name}`, async () => {
    const [a, b] = [place(1), place(2)];
    await meet(a, b);
    await Promise.all([a.host.connected(2), b.host.connected(1)]);
    const socket = await dial(a.network);
    socket.resume();
    socket.write(bytes);
    await once(socket, 'close');
    await a.network.send(2, forward(1, 'on'), [Buffer.from('on')]);
    await closeAll(a, b);
  });
}

test('garbage from the side that sends is counted, logged once, and the connection is made again', async () => {
  const a = place(1);
  const answer = (socket: Socket, kind: 'garbage' | 'truncated'): void => {
    socket.on('data', () => {
      const raft = encodeRaftFrame([]);
      if (kind === 'garbage') socket.write(Buffer.concat([hello(), Buffer.alloc(64, 0xee)]));
      else socket.end(Buffer.concat([hello(), raft.subarray(0, PEER_PREFIX_BYTES + 3)]));
    });
  };
  let connections = 0;
  const { server, address } = await impostor((socket) => answer(socket, connections++ === 0 ? 'truncated' : 'garbage'));
  await a.network.start(a.host);
  a.network.setAddress(2, address);
  while (connections < 4) await once(server, 'connection');
  const counters = a.network.counters().find((c) => c.id === 2);
  assert.ok((counters?.garbage ?? 0) >= 1);
  assert.equal(a.logger.lines.filter((line) => line.includes('no frame')).length, 1);
  await closeAll(a);
  server.close();
});

test('a peer that takes nothing: its queue stays within its bound, what is more is dropped', async () => {
  const bound = 1 << 20;
  const [a, b] = [place(1, undefined, bound), place(2)];
  await meet(a, b);
  await Promise.all([a.host.connected(2), b.host.connected(1)]);
  const stuck = await dial(a.network); // replica 2 once more, and it never reads
  stuck.pause();
  stuck.write(hello());
  await a.host.until(
    (n) => n.what === 'hello' && a.host.notes.filter((m) => m.what === 'hello' && m.id === 2).length >= 3,
  );
  const tail = Buffer.alloc(100_000);
  let taken = 0;
  let most = 0;
  for (let i = 0; i < 2_000; i++) {
    if (a.network.send(2, encodeForward(PEER_FRAME.forward, { request: i, deadlineMs: 1 }, tail.length), [tail]))
      taken++;
    a.network.flush();
    most = Math.max(most, a.network.counters().find((c) => c.id === 2)?.queuedBytes ?? 0);
    if (i % 100 === 0) await new Promise((done) => setImmediate(done));
  }
  assert.ok(most <= bound + tail.length + 64, `${most} bytes were queued`);
  assert.ok(taken < 2_000 && (a.network.counters().find((c) => c.id === 2)?.dropped ?? 0) > 0);
  stuck.destroy();
  await closeAll(a, b);
});

test('sending to nobody is refused and grows nothing', async () => {
  const a = place(1);
  await a.network.start(a.host);
  for (let i = 0; i < 1_000; i++) assert.equal(a.network.send(2, forward(i, ''), []), false);
  assert.equal(a.network.send(77, forward(1, ''), []), false);
  assert.equal(a.network.counters().find((c) => c.id === 2)?.dropped, 1_000);
  await closeAll(a);
});

test('a peer that went away and came back is connected again', async () => {
  const [a, b] = [place(1), place(2)];
  await meet(a, b);
  await Promise.all([a.host.connected(2), b.host.connected(1)]);
  await b.network.close();
  await a.host.until((n) => n.what === 'connected' && n.value === false);
  const again = place(2);
  await again.network.start(again.host);
  again.network.setAddress(1, `127.0.0.1:${a.network.port}`);
  a.network.setAddress(2, `127.0.0.1:${again.network.port}`);
  await again.host.connected(1);
  assert.ok(again.network.connected(1));
  await closeAll(a, again);
});

test('a connection that falls silent is given up and made anew', async () => {
  const a = place(1);
  let connections = 0;
  const { server, address } = await impostor((socket) => {
    connections++;
    socket.once('data', () => socket.write(hello()));
  });
  await a.network.start(a.host);
  a.network.setAddress(2, address);
  while (connections < 3) await once(server, 'connection');
  await closeAll(a);
  server.close();
});

test('a port in use is said', async () => {
  const a = place(1);
  await a.network.start(a.host);
  const { TcpNetwork } = await import('../../ts/transport/tcp-network.js');
  const { systemClock } = await import('../../ts/base/clock.js');
  const b = new TcpNetwork({
    id: 2,
    listen: `127.0.0.1:${a.network.port}`,
    peers: new Map(),
    clock: systemClock({ keepAlive: false }),
    random: () => 0,
    logger: a.logger,
    queueBytesMax: 1,
    keepAlive: false,
  });
  await assert.rejects(b.start(new NotingHost(2)), { code: 'ERAFT_PORT_IN_USE' });
  await closeAll(a);
});
