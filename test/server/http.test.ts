// The HTTP interface over a real replica, on both fronts: docs/http.md, line by line.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KiB, LIMITS, MiB } from '../../ts/base/limits.js';
import { ReplicaNode } from '../../ts/kv/replica.js';
import { Server } from '../../ts/server/server.js';
import { TEST_MS, withFolder } from '../embed/folder.js';
import { FRONTS, http, httpJson } from './fronts.js';
import { withServed } from './served.js';

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly outcome: string | null;
  readonly retryable: boolean;
  readonly failed?: readonly unknown[];
  readonly bytesMax?: number;
}

const utf8 = (text: string): Buffer => Buffer.from(text);

for (const kind of FRONTS) {
  describe(`HTTP on ${kind}`, { timeout: TEST_MS }, () => {
    test('puts, gets and deletes raw bytes; the revision is the ETag', () =>
      withServed(kind, async ({ server: { port } }) => {
        const value = Buffer.from([0, 1, 255, 10, 13, 0]);
        const put = await httpJson<{ revision: number }>(port, '/v1/kv/a%2Fb%00%ff', { method: 'PUT', body: value });
        assert.equal(put.status, 200);
        assert.equal(put.headers.etag, `"${put.json.revision}"`);
        const got = await http(port, '/v1/kv/a%2Fb%00%ff');
        assert.equal(got.status, 200);
        assert.equal(got.headers['content-type'], 'application/octet-stream');
        assert.equal(got.headers.etag, put.headers.etag);
        assert.equal(Buffer.compare(got.body, value), 0);
        const stale = await http(port, '/v1/kv/a/b%00%FF?consistency=stale');
        assert.equal(Buffer.compare(stale.body, value), 0);
        const unchanged = await http(port, '/v1/kv/a/b%00%ff', { headers: { 'If-None-Match': `${put.headers.etag}` } });
        assert.deepEqual([unchanged.status, unchanged.body.length], [304, 0]);
        const gone = await httpJson<{ revision: number }>(port, '/v1/kv/a%2Fb%00%ff', { method: 'DELETE' });
        assert.ok(gone.status === 200 && gone.json.revision > put.json.revision);
        const missing = await httpJson<Failure>(port, '/v1/kv/a%2Fb%00%ff');
        assert.deepEqual([missing.status, missing.json.code, missing.json.outcome], [404, 'KEY_NOT_FOUND', null]);
      }));

    test('an empty value is a value', () =>
      withServed(kind, async ({ server: { port } }) => {
        await http(port, '/v1/kv/empty', { method: 'PUT' });
        const got = await http(port, '/v1/kv/empty');
        assert.deepEqual([got.status, got.body.length], [200, 0]);
      }));

    test('If-Match and If-None-Match make a write conditional', () =>
      withServed(kind, async ({ server: { port } }) => {
        const put = (headers: Record<string, string>, body: string, method = 'PUT') =>
          httpJson<Failure & { revision: number }>(port, '/v1/kv/k', { method, headers, body });
        assert.equal((await put({ 'If-Match': '*' }, 'x')).status, 412);
        const first = await put({ 'If-None-Match': '*' }, 'one');
        assert.equal(first.status, 200);
        const again = await put({ 'If-None-Match': '*' }, 'two');
        assert.deepEqual([again.status, again.json.code, again.json.outcome], [412, 'CONDITION_FAILED', 'not-applied']);
        assert.equal(again.headers.etag, first.headers.etag);
        const current = { key: 'k', value: 'one', revision: first.json.revision };
        assert.deepEqual(again.json.failed, [{ index: 0, current }]);
        const second = await put({ 'If-Match': `${first.headers.etag}` }, 'two');
        assert.equal(second.status, 200);
        assert.equal((await put({ 'If-Match': `${first.headers.etag}` }, 'three')).status, 412);
        assert.equal((await put({ 'If-Match': `${first.headers.etag}` }, '', 'DELETE')).status, 412);
        assert.equal((await http(port, '/v1/kv/k')).body.toString(), 'two');
        assert.equal((await put({ 'If-Match': `${second.headers.etag}` }, '', 'DELETE')).status, 200);
        for (const bad of ['W/"1"', '"a"', '1', '"1", "2"'])
          assert.equal((await put({ 'If-Match': bad }, 'x')).status, 400);
      }));

    test('appends and increments', () =>
      withServed(kind, async ({ server: { port } }) => {
        const post = (path: string, body = '') =>
          httpJson<Record<string, unknown>>(port, path, { method: 'POST', body });
        assert.equal((await post('/v1/kv/log?op=append', 'ab')).json.length, 2);
        assert.equal((await post('/v1/kv/log?op=append', 'cd')).json.length, 4);
        assert.equal((await http(port, '/v1/kv/log')).body.toString(), 'abcd');
        assert.equal((await post('/v1/kv/n?op=increment')).json.value, 1);
        assert.equal((await post('/v1/kv/n?op=increment', '41\n')).json.value, 42);
        assert.equal((await post('/v1/kv/n?op=increment', '-50')).json.value, -8);
        const text = await post('/v1/kv/log?op=increment');
        assert.deepEqual([text.status, text.json.code, text.json.outcome], [409, 'ERAFT_NOT_A_NUMBER', 'not-applied']);
        assert.equal((await post('/v1/kv/n?op=increment', '1.5')).status, 400);
        assert.equal((await post('/v1/kv/n?op=double')).status, 400);
      }));

    test('transacts atomically, in JSON, with base64 for bytes', () =>
      withServed(kind, async ({ server: { port } }) => {
        const transact = (body: unknown) =>
          httpJson<Failure & { ok: boolean; revision: number }>(port, '/v1/transact', {
            method: 'POST',
            body: typeof body === 'string' ? body : JSON.stringify(body),
          });
        const bytes = { base64: Buffer.from([255, 0]).toString('base64') };
        const made = await transact({
          when: [{ key: 'a', exists: false }],
          ops: [
            { put: 'a', value: '1' },
            { put: bytes, value: bytes },
            { increment: 'n', by: 3 },
            { append: 'a', value: '2' },
          ],
        });
        assert.deepEqual([made.status, made.json.ok], [200, true]);
        assert.equal((await http(port, '/v1/kv/a')).body.toString(), '12');
        assert.deepEqual([...(await http(port, '/v1/kv/%ff%00')).body], [255, 0]);
        const refused = await transact({
          when: [
            { key: 'a', value: '12' },
            { key: bytes, revision: 1 },
            { key: 'none', exists: true },
          ],
          ops: [{ delete: 'a' }],
        });
        assert.deepEqual(
          [refused.status, refused.json.code, refused.json.outcome],
          [409, 'CONDITION_FAILED', 'not-applied'],
        );
        assert.deepEqual(refused.json.failed, [
          { index: 1, current: { key: bytes, value: bytes, revision: made.json.revision } },
          { index: 2, current: null },
        ]);
        assert.equal((await http(port, '/v1/kv/a')).status, 200);
        for (const [body, what] of [
          ['{', /not JSON/],
          ['[]', /must be an object/],
          [{ ops: [] }, /at least one/],
          [{ ops: [{ put: 'a' }] }, /ops\[0\]\.value/],
          [{ ops: [{ put: 'a', delete: 'a', value: '' }] }, /one of/],
          [{ ops: [{ delete: 'a' }], if: [] }, /unknown field "if"/],
          [{ ops: [{ delete: { base64: '?' } }] }, /base64/],
          [{ ops: [{ delete: 'a' }], when: [{ key: 'a' }] }, /when\[0\]/],
          [{ ops: [{ delete: '\ud800' }] }, /surrogate/],
          [{ ops: [{ increment: 'a', by: 1.5 }] }, /whole number/],
        ] as const) {
          const bad = await transact(body);
          assert.deepEqual([bad.status, bad.json.code, bad.json.outcome], [400, 'ERAFT_BAD_REQUEST', 'not-applied']);
          assert.match(bad.json.message, what);
        }
      }));

    test('scans a range as NDJSON, at the speed of the reader', () =>
      withServed(kind, async ({ server: { port } }) => {
        const value = 'v'.repeat(64 * KiB);
        for (let batch = 0; batch < 4; batch += 1) {
          const ops = Array.from({ length: 25 }, (_, i) => ({
            put: `k${String(batch * 25 + i).padStart(3, '0')}`,
            value,
          }));
          await http(port, '/v1/transact', { method: 'POST', body: JSON.stringify({ ops }) });
        }
        await http(port, '/v1/kv/%ff%fe', { method: 'PUT', body: Buffer.from([128]) });
        const lines = async (query: string) => {
          const answer = await http(port, `/v1/scan${query}`);
          assert.equal(answer.status, 200);
          assert.equal(answer.headers['content-type'], 'application/x-ndjson');
          return answer.body
            .toString()
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line));
        };
        const all = await lines('');
        assert.equal(all.length, 101);
        assert.deepEqual([all[0].key, all[0].value], ['k000', value]);
        const last = { key: { base64: '//4=' }, value: { base64: 'gA==' }, revision: all[100].revision };
        assert.deepEqual(all[100], last);
        const keys = async (query: string) => (await lines(query)).map((line) => line.key);
        assert.deepEqual(await keys('?prefix=k00&limit=2&keysOnly'), ['k000', 'k001']);
        assert.deepEqual(await keys('?gt=k000&lte=k002&keysOnly=1&consistency=stale'), ['k001', 'k002']);
        assert.deepEqual(await keys('?gte=k010&lt=k012&reverse=true&snapshot'), ['k011', 'k010']);
        assert.deepEqual(await lines('?prefix=none'), []);
        for (const bad of ['?limit=0', '?limt=1', '?limit=1&limit=2', '?consistency=maybe', '?prefix=%4']) {
          const answer = await httpJson<Failure>(port, `/v1/scan${bad}`);
          assert.deepEqual([answer.status, answer.json.code], [400, 'ERAFT_BAD_REQUEST'], bad);
        }
      }));

    test('says what is wrong with keys, values, paths, methods and parameters', () =>
      withServed(kind, async ({ server: { port } }) => {
        const cases: readonly (readonly [string, string, string | Buffer, number, string])[] = [
          ['PUT', '/v1/kv/', 'x', 400, 'ERAFT_KEY_EMPTY'],
          ['GET', '/v1/kv/', '', 400, 'ERAFT_KEY_EMPTY'],
          ['PUT', `/v1/kv/${'k'.repeat(LIMITS.keyBytesMax + 1)}`, 'x', 413, 'ERAFT_KEY_TOO_LARGE'],
          ['PUT', '/v1/kv/%zz', 'x', 400, 'ERAFT_BAD_REQUEST'],
          ['PUT', '/v1/kv/a?ttl=1', 'x', 400, 'ERAFT_BAD_REQUEST'],
          ['GET', '/v1/kv/a?timeout=0', '', 400, 'ERAFT_BAD_REQUEST'],
          ['PATCH', '/v1/kv/a', 'x', 405, 'METHOD_NOT_ALLOWED'],
          ['PUT', '/v1/scan', 'x', 405, 'METHOD_NOT_ALLOWED'],
          ['GET', '/v2/kv/a', '', 404, 'PATH_NOT_FOUND'],
          ['PUT', '/v1/kv/a', Buffer.alloc(LIMITS.valueBytesMax + 1), 413, 'ERAFT_FRAME_TOO_LARGE'],
          ['POST', '/v1/transact', Buffer.alloc(4 * MiB + 1), 413, 'ERAFT_FRAME_TOO_LARGE'],
        ];
        for (const [method, path, body, status, code] of cases) {
          const answer = await httpJson<Failure>(port, path, { method, body });
          assert.deepEqual([answer.status, answer.json.code], [status, code], `${method} ${path.slice(0, 40)}`);
          assert.ok('outcome' in answer.json && answer.json.message.length > 0);
        }
        const largest = `/v1/kv/${'%6b'.repeat(LIMITS.keyBytesMax)}`;
        assert.equal(
          (await http(port, largest, { method: 'PUT', body: Buffer.alloc(LIMITS.valueBytesMax) })).status,
          200,
        );
        assert.equal((await http(port, largest)).body.length, LIMITS.valueBytesMax);
      }));

    test('status, health, readiness and metrics', () =>
      withServed(kind, async ({ server: { port }, replica }) => {
        await http(port, '/v1/kv/a', { method: 'PUT', body: utf8('1') });
        const status = await httpJson<{ clusterId: string; leader: number; replicas: { role: string }[] }>(
          port,
          '/v1/status',
        );
        assert.deepEqual([status.json.clusterId, status.json.leader], [replica.clusterId, 1]);
        assert.equal(status.json.replicas[0]?.role, 'leader');
        assert.equal((await http(port, '/health')).status, 200);
        assert.deepEqual((await httpJson(port, '/ready')).json, { ready: true, role: 'leader', leader: 1 });
        const metrics = (await http(port, '/metrics')).body.toString();
        for (const name of [
          'eraft_role{role="leader"',
          'eraft_term',
          'eraft_commit_index',
          'eraft_applied_index',
          'eraft_log_bytes',
          'eraft_store_bytes',
          'eraft_proposals_total',
          'eraft_batch_commands_bucket',
          'eraft_commit_seconds_bucket',
          'eraft_log_sync_seconds_bucket',
          'eraft_connections',
        ]) {
          assert.ok(metrics.includes(`\n${name}`), name);
        }
        assert.match(metrics, /^eraft_commit_seconds_count\{replica="1"\} [1-9]/m);
      }));

    test('without a leader: writes and reads say so in time, stale reads go on', () =>
      withFolder(async (dir) => {
        const server = await Server.listen({ server: kind });
        const peers = { 1: '127.0.0.1:0', 2: '127.0.0.1:9' };
        const replica = await ReplicaNode.open({ dir, id: 1, peers, clientAddress: server.address });
        server.serve(replica);
        const { port } = server;
        const put = await httpJson<Failure>(port, '/v1/kv/a?timeout=100', { method: 'PUT', body: 'x' });
        assert.deepEqual([put.status, put.json.code], [503, 'ERAFT_UNAVAILABLE']);
        assert.deepEqual([put.json.outcome, put.json.retryable], ['not-applied', true]);
        assert.equal(put.headers['retry-after'], '1');
        const get = await httpJson<Failure>(port, '/v1/kv/a?timeout=100');
        assert.ok(get.status === 503 || get.status === 504, get.body.toString());
        assert.equal((await http(port, '/v1/kv/a?consistency=stale')).status, 404);
        assert.equal((await http(port, '/ready')).status, 503);
        assert.equal((await http(port, '/health')).status, 200);
        await server.close();
        await replica.close();
      }));

    test('more requests than the limit get 429', () =>
      withServed(
        kind,
        async ({ server: { port } }) => {
          const answers = await Promise.all(
            Array.from({ length: 40 }, () => http(port, '/v1/kv/a', { method: 'PUT', body: 'x' })),
          );
          const codes = new Set(answers.map((answer) => answer.status));
          for (const answer of answers) assert.ok(answer.status === 200 || answer.headers['retry-after'] === '1');
          assert.deepEqual([...codes].sort(), [200, 429]);
        },
        { httpRequestsMax: 2 },
      ));

    test('closing answers the requests that are on their way', () =>
      withServed(kind, async ({ server }) => {
        const { port } = server;
        const put = http(port, '/v1/kv/a', { method: 'PUT', body: 'x' });
        await new Promise(setImmediate);
        const answered = put.then((answer) => answer.status);
        await http(port, '/health');
        await server.close();
        assert.ok([200, 503].includes(await answered));
        await assert.rejects(http(port, '/health'));
      }));
  });
}
