// Replicas with the real clock, threads, files and sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { ReplicaNode, type ReplicaOptions } from '../../ts/kv/replica.js';
import { freePort } from '../cluster/ports.js';
import { type Answer, codeOf, putFrame, readAnswer, readFrame } from './frames.js';

const MiB = 1024 * 1024;
const storage = { segmentBytes: 16 * MiB, tailBytes: 4 * MiB, cacheBytes: 8 * MiB, memtableBytes: 8 * MiB };

async function withFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'eraft-replica-'));
  try {
    await run(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function ask(node: ReplicaNode, frame: Uint8Array): Promise<Answer> {
  return new Promise((resolve) => {
    node.service.handle(frame, {
      alive: true,
      reply: (reply) => {
        const answer = readAnswer(reply);
        if (answer.kind !== 'other') resolve(answer);
      },
    });
  });
}

test('a store alone: leads at once, keeps what it acknowledged, and closes with an answer for everybody', () =>
  withFolder(async (dir) => {
    const first = await ReplicaNode.open({ dir, storage });
    const states: string[] = [];
    first.events.on('state', (role) => states.push(role));
    await first.ready();
    const writes = Array.from({ length: 200 }, (_, i) => ask(first, putFrame([{ key: `k${i}`, value: `v${i}` }])));
    for (const answer of await Promise.all(writes)) assert.equal(codeOf(answer), 'written');
    assert.deepEqual(first.service.peek(Buffer.from('k7')), new Uint8Array(Buffer.from('v7')));
    assert.equal(first.service.peek(Buffer.from('nothing')), undefined);
    const pending = ask(first, putFrame([{ key: 'late', value: '1' }]));
    const closing = first.close();
    assert.match(codeOf(await pending), /ERAFT_CLOSED|written/);
    await Promise.all([closing, first.close()]);
    assert.equal(codeOf(await ask(first, readFrame(['k1']))), 'ERAFT_CLOSED');
    assert.equal(first.service.status().reachable, true);
    first.metrics();

    await using again = await ReplicaNode.open({ dir, storage });
    assert.equal(again.clusterId, first.clusterId);
    await again.ready();
    const answer = await ask(again, readFrame(['k0', 'k199', 'nothing']));
    assert.deepEqual(answer.kind === 'values' && answer.values, ['v0', 'v199', undefined]);
    assert.ok(states.length === 0 || states.includes('leader'));
  }));

test('an idle replica that must not keep the process alive does so while somebody waits for it to be ready', () =>
  withFolder(async (dir) => {
    const node = await ReplicaNode.open({
      dir,
      id: 1,
      peers: { 1: '127.0.0.1:0', 2: '127.0.0.1:1' },
      storage,
      keepAlive: false,
    });
    await assert.rejects(node.ready(200), { code: 'ERAFT_UNAVAILABLE' });
    await node.close();
  }));

test('a folder is opened once, by the replica and the cluster that formatted it', () =>
  withFolder(async (dir) => {
    const peers = { 1: '127.0.0.1:0', 2: '127.0.0.1:1' };
    const options: ReplicaOptions = { dir, id: 1, peers, storage };
    const node = await ReplicaNode.open(options);
    await assert.rejects(ReplicaNode.open(options), { code: 'ERAFT_DATA_LOCKED' });
    await node.close();
    await assert.rejects(ReplicaNode.open({ ...options, id: 2 }), { code: 'ERAFT_DATA_MISMATCH' });
    await assert.rejects(ReplicaNode.open({ ...options, clusterName: 'other' }), { code: 'ERAFT_DATA_MISMATCH' });
    await (await ReplicaNode.open({ ...options, peers: { 1: '127.0.0.1:0', 2: '127.0.0.1:2' } })).close();
  }));

test('options that cannot be are refused before anything is touched', async () => {
  const bad: ReplicaOptions[] = [
    { dir: '/nowhere', id: 0 },
    { dir: '/nowhere', id: 1.5 },
    { dir: '/nowhere', id: 3, peers: { 1: 'a:1', 2: 'b:2' } },
    { dir: '/nowhere', id: 1, peers: { 1: 'a', 2: 'b:2' } },
    { dir: '/nowhere', id: 1, peers: { 1: 'a:1', 2: 'b:99999' } },
    { dir: '/nowhere', heartbeatIntervalMs: 500 },
    { dir: '/nowhere', limits: { readFramesMax: 0 } },
  ];
  for (const options of bad) {
    await assert.rejects(
      ReplicaNode.open(options),
      (e) => EraftError.is(e) && e.code === 'ERAFT_CONFIG',
      JSON.stringify(options),
    );
  }
});

test('a peer port in use: said, and the folder is free again', () =>
  withFolder(async (dir) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const peers = { 1: `127.0.0.1:${port}`, 2: '127.0.0.1:1' };
    const options: ReplicaOptions = { dir, id: 1, peers, storage };
    await assert.rejects(ReplicaNode.open(options), { code: 'ERAFT_PORT_IN_USE' });
    taken.close();
    await once(taken, 'close');
    await (await ReplicaNode.open(options)).close();
  }));

test('three replicas over TCP: any of them takes writes and reads; one that closes is missed by nobody', () =>
  withFolder(async (dir) => {
    const ports = await Promise.all([1, 2, 3].map(freePort));
    const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]));
    const open = (id: number): Promise<ReplicaNode> =>
      ReplicaNode.open({
        dir: join(dir, `${id}`),
        id,
        peers,
        storage,
        clientAddress: `client-${id}`,
      });
    const nodes = await Promise.all([1, 2, 3].map(open));
    await Promise.all(nodes.map((node) => node.ready()));
    const writes = Array.from({ length: 300 }, (_, i) => {
      const node = nodes[i % 3];
      return node === undefined ? null : ask(node, putFrame([{ key: `k${i}`, value: `v${i}` }]));
    });
    for (const answer of await Promise.all(writes)) assert.equal(answer && codeOf(answer), 'written');
    for (const node of nodes) {
      const answer = await ask(node, readFrame(['k0', 'k299']));
      assert.deepEqual(answer.kind === 'values' && answer.values, ['v0', 'v299']);
    }
    const status = await nodes[0]?.service.clusterStatus();
    assert.deepEqual(
      status?.replicas.map((r) => r.reachable),
      [true, true, true],
    );
    const leader = nodes.find((node) => node.service.status().role === 'leader');
    await leader?.close();
    const rest = nodes.filter((node) => node !== leader);
    const [one] = rest;
    assert.ok(one !== undefined);
    let code = '';
    for (let i = 0; i < 50 && code !== 'written'; i++)
      code = codeOf(await ask(one, putFrame([{ key: 'after', value: '1' }])));
    assert.equal(code, 'written');
    await Promise.all(rest.map((node) => node.close()));
  }));
