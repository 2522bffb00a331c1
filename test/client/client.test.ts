// The client over real sockets: finding a replica, following the leader, surviving those that misbehave.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, afterEach, test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { Client, type ClientOptions } from '../../ts/client/client.js';
import { encodeError, encodeWelcome } from '../../ts/proto/control-frames.js';
import { FRAME, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import { CLUSTER, FakeReplica, welcomeOf } from './fake-replica.js';
import { Model } from './model.js';

const open: { close(): Promise<unknown> }[] = [];

// An idle client does not keep a process alive, and some tests wait for one.
const awake = setInterval(() => undefined, 1_000);
after(() => clearInterval(awake));

afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function replica(id = 1, model = new Model()): Promise<FakeReplica> {
  const server = await FakeReplica.listen(id, model);
  open.push(server);
  return server;
}

async function connect(endpoints: string | string[], options: ClientOptions = {}): Promise<Client> {
  const client = await Client.connect(endpoints, options);
  open.push({ close: () => client.close({ timeoutMs: 1 }) });
  return client;
}

test('it says hello and works', async () => {
  const server = await replica();
  const client = await connect(server.address, { name: 'test 1.0', cluster: CLUSTER });
  assert.equal(client.state, 'connected');
  assert.equal(client.cluster, CLUSTER);
  assert.deepEqual(server.hellos, [
    { versionMin: 1, versionMax: 1, features: 0n, cluster: CLUSTER, client: 'test 1.0' },
  ]);
  const text = client.as('utf8', 'utf8');
  await Promise.all(Array.from({ length: 100 }, (_, i) => text.put(`k${i}`, `v${i}`)));
  assert.equal(await text.get('k42'), 'v42');
  const keys = [];
  for await (const entry of text.scan({ prefix: 'k1', pageBytes: 100 })) keys.push(entry.key);
  assert.equal(keys.length, 11);
  assert.equal((await client.status()).leader, 1);
});

test('a value of the largest size goes both ways', async () => {
  const client = await connect((await replica()).address);
  const value = new Uint8Array(1024 * 1024).map((_, i) => i * 7);
  await client.put('big', value);
  assert.deepEqual(await client.get('big'), value);
});

test('a connection that breaks is replaced, and every write happens once', async () => {
  const server = await replica();
  const client = await connect(server.address);
  let frames = 0;
  server.intercept = (frame, socket) => {
    if (readFrameHeader(frame).kind !== FRAME.write || ++frames % 3 !== 0) return false;
    if (frames % 2 === 0) server.model.handle(frame); // applied, and the answer is lost
    socket.terminate();
    return true;
  };
  const values = [];
  for (let i = 0; i < 8; i++) values.push((await client.increment('n', 1, { timeoutMs: 20_000 })).value);
  assert.deepEqual(values, [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a replica that comes back on its port is found again', async () => {
  const model = new Model();
  const first = await FakeReplica.listen(1, model);
  const client = await connect(first.address, { timeoutMs: 20_000 });
  await client.put('k', '1');
  const states: string[] = [];
  client.on('state', (state) => states.push(state));
  const { port } = first;
  await first.close();
  await new Promise<void>((resolve) =>
    client.state === 'connecting' ? resolve() : client.once('state', () => resolve()),
  );
  const put = client.put('k', '2');
  open.push(await FakeReplica.listen(1, model, port));
  await put;
  assert.deepEqual(states, ['connecting', 'connected']);
});

test('the next endpoint is tried when one does not answer', async () => {
  const dead = await FakeReplica.listen(9);
  const { address } = dead;
  await dead.close();
  const server = await replica();
  for (let i = 0; i < 4; i++) {
    const client = await connect([address, server.address]);
    await client.put('k', String(i));
  }
});

test('it follows the leader that a frame names, and repeats there what was not answered', async () => {
  const model = new Model();
  const [one, two] = [await replica(1, model), await replica(2, model)];
  const client = await connect(one.address, { timeoutMs: 20_000 });
  await client.put('k', '1');
  one.intercept = () => true; // from now on it is silent
  const put = client.put('k', '2');
  const [socket] = one.sockets;
  assert.ok(socket);
  await once(socket, 'message'); // the write has arrived
  one.announce(two);
  assert.deepEqual(await put, { revision: 3 });
  assert.deepEqual(client.leader, { id: 2, address: two.address });
  assert.ok(two.kinds.includes(FRAME.write));
});

test('it follows the leader that an error names', async () => {
  const model = new Model();
  const [one, two] = [await replica(1, model), await replica(2, model)];
  const client = await connect(one.address, { timeoutMs: 20_000 });
  const leaders: unknown[] = [];
  client.on('leader', (leader) => leaders.push(leader));
  one.intercept = (frame, socket) => {
    const error = new EraftError('ERAFT_NOT_LEADER', 'ask 2', { leader: { id: 2, address: two.address } });
    socket.send(encodeError(error, 1, readFrameHeader(frame).request));
    return true;
  };
  await client.put('k', '1');
  assert.deepEqual(leaders, [{ id: 2, address: two.address }]);
});

test('a replica that knows no leader is left for one that does', async () => {
  const model = new Model();
  const replicas = [await replica(1, model), await replica(2, model)];
  const client = await connect(
    replicas.map((one) => one.address),
    { timeoutMs: 20_000 },
  );
  const [cutOff, healthy] = replicas.sort((a, b) => b.sockets.size - a.sockets.size);
  assert.ok(cutOff && healthy);
  cutOff.intercept = (frame) => readFrameHeader(frame).kind === FRAME.write; // it waits for a leader, in vain
  cutOff.announce({ id: 0, address: '' });
  await client.put('k', 'v');
  assert.equal(healthy.sockets.size, 1);
});

test('a leader that cannot be reached costs nothing: the replica that it has goes on serving', async () => {
  const gone = await FakeReplica.listen(2);
  const server = await replica();
  const client = await connect(server.address);
  server.announce(gone);
  await gone.close();
  for (let i = 0; i < 5; i++) await client.put('k', String(i));
  assert.equal(client.state, 'connected');
});

test('garbage after the welcome: the connection is left, and the calls go on', async () => {
  const garbage = [
    Buffer.alloc(3),
    Buffer.alloc(40, 0xff),
    Buffer.from(frameOf(FRAME.written, 1, 1, 0, Buffer.alloc(9, 7))),
    'text',
  ];
  const server = await replica();
  const client = await connect(server.address, { timeoutMs: 20_000 });
  server.intercept = (frame, socket) => {
    const bad = garbage.pop();
    if (bad === undefined) return false;
    if (Buffer.isBuffer(bad) && bad.length === 25) bad.writeUInt32LE(readFrameHeader(frame).request, 8);
    socket.send(bad);
    return true;
  };
  await client.put('k', 'v');
  assert.equal(garbage.length, 0);
  assert.ok(server.hellos.length >= 4);
});

test('a frame that is too large closes the connection before it is read', async () => {
  const server = await replica();
  const client = await connect(server.address, { timeoutMs: 20_000 });
  let first = true;
  server.intercept = (_frame, socket) => {
    if (!first) return false;
    first = false;
    socket.send(Buffer.alloc(5 * 1024 * 1024));
    return true;
  };
  await client.put('k', 'v');
  assert.equal(server.hellos.length, 2);
});

test('a version that it does not speak', async () => {
  const server = await replica();
  server.greeting = (id) => encodeWelcome({ ...welcomeOf(id), version: 7 });
  await assert.rejects(connect(server.address), { code: 'ERAFT_VERSION' });
  server.greeting = () => encodeError(new EraftError('ERAFT_VERSION', 'versions 2 to 3'), 1, 0);
  await assert.rejects(connect(server.address), { code: 'ERAFT_VERSION', message: 'versions 2 to 3' });
});

test('a replica of another cluster', async () => {
  const server = await replica();
  await assert.rejects(connect(server.address, { cluster: 'f'.repeat(32) }), { code: 'ERAFT_WRONG_CLUSTER' });
});

test('once it knows its cluster, no other will do', async () => {
  const server = await replica();
  const client = await connect(server.address);
  await client.put('k', '1');
  server.greeting = (id) => encodeWelcome(welcomeOf(id, 'e'.repeat(32)));
  server.cut();
  await new Promise<void>((resolve) => client.once('state', () => resolve()));
  await assert.rejects(client.put('k', '2', { timeoutMs: 300 }), { code: 'ERAFT_UNAVAILABLE', outcome: 'not-applied' });
  assert.ok(server.hellos.length >= 2);
  assert.ok(server.hellos.slice(1).every((hello) => hello.cluster === CLUSTER));
});

test('nobody there: it says whom it asked and why that failed', async () => {
  const dead = await FakeReplica.listen(1);
  const { address } = dead;
  await dead.close();
  await assert.rejects(connect(address, { timeoutMs: 200 }), (error: EraftError) => {
    assert.equal(error.code, 'ERAFT_UNAVAILABLE');
    assert.match(error.message, new RegExp(`${address}.*ECONNREFUSED`));
    return true;
  });
});

test('a port that takes connections and never says anything', async () => {
  const mute = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  open.push({ close: () => new Promise((resolve) => mute.close(resolve)) });
  const { port } = mute.address() as { port: number };
  const server = await replica();
  await assert.rejects(connect(`127.0.0.1:${port}`, { timeoutMs: 150 }), { code: 'ERAFT_UNAVAILABLE' });
  const client = await connect(`127.0.0.1:${port},${server.address}`, { connectTimeoutMs: 50 });
  await client.put('k', 'v');
});

test('a replica that falls silent is left', async () => {
  const model = new Model();
  const [one, two] = [await replica(1, model), await replica(2, model)];
  const client = await connect([one.address, two.address], { silenceMs: 50, timeoutMs: 20_000 });
  const silent = one.sockets.size > 0 ? one : two;
  silent.intercept = () => true;
  for (const socket of silent.sockets) socket.pause(); // no pong either
  await client.put('k', 'v');
  assert.equal(model.applied.length, 1);
});

test('endpoints and options that are none', async () => {
  for (const bad of ['', 'host', 'host:0', 'host:70000', 'http://host:1', '::1:2460', 'a:1,,b:2']) {
    await assert.rejects(connect(bad), { code: 'ERAFT_CONFIG' }, bad);
  }
  await assert.rejects(connect([]), { code: 'ERAFT_CONFIG' });
  await assert.rejects(Client.connect(5 as never), TypeError);
  await assert.rejects(connect('a:1', { timeout: 5 } as never), { code: 'ERAFT_CONFIG', message: /timeoutMs/ });
  await assert.rejects(connect('a:1', { timeoutMs: 0 }), RangeError);
  await assert.rejects(connect('a:1', { cluster: 5 } as never), TypeError);
});

test('a process with an idle client ends; one with a pending call waits for it; no native code is loaded', async () => {
  const server = await replica();
  const script = `
    import { Client } from ${JSON.stringify(new URL('../../ts/client.js', import.meta.url).href)};
    const client = await Client.connect('${server.address}');
    client.put('k', 'v').then((w) => console.log('revision', w.revision));
    const native = process.report.getReport().sharedObjects.filter((f) => f.endsWith('.node'));
    console.log('native', native.length);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (text) => {
    out += text;
  });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.equal(out, 'native 0\nrevision 2\n');
});
