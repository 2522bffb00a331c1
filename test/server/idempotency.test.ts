// One Idempotency-Key, one execution: copies at once, after a restart, and at another replica.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReplicaNode } from '../../ts/kv/replica.js';
import { Server } from '../../ts/server/server.js';
import { freePort } from '../cluster/ports.js';
import { TEST_MS, withFolder } from '../embed/folder.js';
import { FRONTS, type HttpAnswer, http, httpJson } from './fronts.js';
import { serve, stop, withServed } from './served.js';

interface Reply {
  readonly code?: string;
  readonly outcome?: string;
  readonly retryable?: boolean;
  readonly revision: number;
  readonly value: number;
  readonly length: number;
  readonly ok: boolean;
  readonly failed: readonly unknown[];
}

type Answer = HttpAnswer & { readonly json: Reply };

async function session(port: number): Promise<number> {
  const opened = await httpJson<{ session: number; idempotencyKey: string }>(port, '/v1/sessions', { method: 'POST' });
  assert.equal(opened.status, 201);
  assert.equal(opened.json.idempotencyKey, `${opened.json.session}-1`);
  return opened.json.session;
}

function write(port: number, key: string, method: string, path: string, body = ''): Promise<Answer> {
  return httpJson<Reply>(port, path, { method, body, headers: { 'Idempotency-Key': key } });
}

function increment(port: number, key: string): Promise<Answer> {
  return write(port, key, 'POST', '/v1/kv/n?op=increment', '5');
}

for (const kind of FRONTS) {
  describe(`Idempotency-Key on ${kind}`, { timeout: TEST_MS }, () => {
    test('copies are executed once, and all answered alike', () =>
      withServed(kind, async ({ server: { port } }) => {
        const s = await session(port);
        const copies = await Promise.all(Array.from({ length: 10 }, () => increment(port, `${s}-1`)));
        for (const copy of copies) assert.deepEqual([copy.status, copy.json], [200, copies[0]?.json]);
        assert.equal(copies[0]?.json.value, 5);
        assert.equal((await increment(port, `"${s}-2"`)).json.value, 10);
        assert.equal((await increment(port, `${s}-1`)).json.value, 5);
        assert.equal((await http(port, '/v1/kv/n')).body.toString(), '10');
      }));

    test('every kind of write can be repeated, refused ones too', () =>
      withServed(kind, async ({ server: { port } }) => {
        const s = await session(port);
        const made: Answer[] = [];
        const all = async (): Promise<Answer[]> => {
          const transaction = JSON.stringify({ when: [{ key: 'k', exists: true }], ops: [{ increment: 'm', by: 2 }] });
          const failing = JSON.stringify({ when: [{ key: 'k', value: 'no' }], ops: [{ delete: 'k' }] });
          return [
            await write(port, `${s}-1`, 'PUT', '/v1/kv/k', 'v'),
            await write(port, `${s}-2`, 'POST', '/v1/kv/k?op=append', 'w'),
            await write(port, `${s}-3`, 'POST', '/v1/kv/k?op=increment', '1'),
            await write(port, `${s}-4`, 'POST', '/v1/transact', transaction),
            await write(port, `${s}-5`, 'POST', '/v1/transact', failing),
            await write(port, `${s}-6`, 'DELETE', '/v1/kv/gone'),
          ];
        };
        made.push(...(await all()));
        assert.deepEqual(
          made.map((answer) => answer.status),
          [200, 200, 409, 200, 409, 200],
        );
        assert.equal(made[1]?.json.length, 2);
        assert.equal(made[2]?.json.code, 'ERAFT_NOT_A_NUMBER');
        assert.deepEqual(made[4]?.json.failed, [
          { index: 0, current: { key: 'k', value: 'vw', revision: made[1]?.json.revision } },
        ]);
        assert.deepEqual(
          (await all()).map((answer) => answer.json),
          made.map((answer) => answer.json),
        );
        assert.equal((await http(port, '/v1/kv/m')).body.toString(), '2');
        assert.equal((await http(port, '/v1/kv/k')).body.toString(), 'vw');
      }));

    test('a gap, a stranger, a made-up key and an old one are refused, and nothing is written', () =>
      withServed(kind, async ({ server: { port } }) => {
        const s = await session(port);
        const gap = await increment(port, `${s}-2`);
        assert.deepEqual([gap.status, gap.json.code, gap.json.outcome], [409, 'ERAFT_SEQUENCE_GAP', 'not-applied']);
        const stranger = await increment(port, `${s + 1000}-1`);
        assert.deepEqual([stranger.status, stranger.json.code], [409, 'ERAFT_SESSION_EXPIRED']);
        for (const bad of ['6f1c3a52-uuid', '1', '1-0', '-1', `${'9'.repeat(17)}-1`]) {
          const refused = await increment(port, bad);
          assert.deepEqual([refused.status, refused.json.code], [400, 'ERAFT_BAD_REQUEST'], bad);
        }
        assert.equal((await http(port, '/v1/kv/n')).status, 404);
        for (let n = 1; n <= 40; n += 1) assert.equal((await increment(port, `${s}-${n}`)).status, 200);
        const old = await increment(port, `${s}-1`);
        assert.deepEqual([old.status, old.json.code], [409, 'RESULT_FORGOTTEN']);
        assert.equal((await increment(port, `${s}-40`)).json.value, 200);
      }));

    test('a repetition after a restart is still known', () =>
      withFolder(async (dir) => {
        let served = await serve(kind, dir);
        try {
          const s = await session(served.server.port);
          const first = await increment(served.server.port, `${s}-1`);
          await stop(served);
          served = await serve(kind, dir);
          const again = await increment(served.server.port, `${s}-1`);
          assert.deepEqual(again.json, first.json);
          assert.equal((await increment(served.server.port, `${s}-2`)).json.value, 10);
        } finally {
          await stop(served);
        }
      }));
  });
}

test('a repetition at another replica is known there, the leader gone or not', () =>
  withFolder(async (dir) => {
    const peers = Object.fromEntries(
      await Promise.all([1, 2, 3].map(async (id) => [id, `127.0.0.1:${await freePort()}`])),
    );
    const cluster = await Promise.all([1, 2, 3].map((id) => member(dir, id, peers)));
    try {
      const s = await session(cluster[0]?.server.port ?? 0);
      const answers: Answer[] = [];
      for (const { server } of cluster) answers.push(await increment(server.port, `${s}-1`));
      for (const answer of answers) assert.deepEqual([answer.status, answer.json], [200, answers[0]?.json]);
      const leader = cluster.find(({ replica }) => replica.service.leader.id === replica.id);
      assert.ok(leader);
      await stop({ dir, ...leader });
      for (const { server, replica } of cluster.filter((one) => one !== leader)) {
        let again = await increment(server.port, `${s}-1`);
        while (again.status !== 200) {
          assert.equal(again.json.retryable, true, again.body.toString());
          again = await increment(server.port, `${s}-1`);
        }
        assert.deepEqual(again.json, answers[0]?.json);
        await replica.ready(10_000);
      }
    } finally {
      for (const one of cluster) await stop({ dir, ...one });
    }
  }));

async function member(dir: string, id: number, peers: Record<number, string>) {
  const server = await Server.listen();
  const replica = await ReplicaNode.open({ dir: `${dir}/${id}`, id, peers, clientAddress: server.address });
  server.serve(replica);
  await replica.ready(20_000);
  return { server, replica };
}
