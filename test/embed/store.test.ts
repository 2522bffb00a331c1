// The embedded store: every method of KeyValue on a real one, and its life from open to close.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EraftError, type KeyValue, LIMITS, Store } from '../../ts/index.js';
import { freePort } from '../cluster/ports.js';
import { TEST_MS, withFolder } from './folder.js';

function withStore(body: (store: Store, kv: KeyValue<string, string>) => Promise<void>): Promise<void> {
  return withFolder(async (dir) => {
    await using store = await Store.open({ dir });
    await body(store, store.as('utf8', 'utf8'));
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('KeyValue on a store', { timeout: TEST_MS }, () => {
  test('put, get, has, delete; revisions rise', () =>
    withStore(async (store, kv) => {
      const first = await kv.put('a', '1');
      assert.equal(first.previous, undefined);
      assert.deepEqual(await kv.getEntry('a'), { key: 'a', value: '1', revision: first.revision });
      const second = await kv.put('a', '2', { previous: true });
      assert.ok(second.revision > first.revision);
      assert.deepEqual(second.previous, { key: 'a', value: '1', revision: first.revision });
      assert.deepEqual([await kv.has('a'), await kv.has('b'), await kv.get('b')], [true, false, undefined]);
      const gone = await kv.delete('a', { previous: true });
      assert.equal(gone.previous?.value, '2');
      assert.equal(await kv.getEntry('a'), undefined);
      assert.equal((await kv.delete('a', { previous: true })).previous, undefined);
      await store.put(new Uint8Array([0, 255]), new Uint8Array());
      const empty = await store.get(new Uint8Array([0, 255]));
      assert.ok(empty instanceof Uint8Array && empty.length === 0);
      assert.equal(empty.buffer.byteLength, 0);
    }));

  test('getMany answers in order, of one moment', () =>
    withStore(async (_, kv) => {
      await Promise.all([kv.put('x', '1'), kv.put('y', '2')]);
      const entries = await kv.getMany(['y', 'none', 'x', 'y']);
      assert.deepEqual(
        entries.map((entry) => entry?.value),
        ['2', undefined, '1', '2'],
      );
      assert.deepEqual(await kv.getMany([]), []);
    }));

  test('append and increment', () =>
    withStore(async (_, kv) => {
      assert.equal((await kv.append('l', 'ab')).length, 2);
      assert.equal((await kv.append('l', 'c')).length, 3);
      assert.equal((await kv.increment('n')).value, 1);
      assert.equal((await kv.increment('n', -5)).value, -4);
      assert.equal(await kv.get('n'), '-4');
      await assert.rejects(kv.increment('l'), { code: 'ERAFT_NOT_A_NUMBER', outcome: 'not-applied' });
      await assert.rejects(kv.increment('n', Number.MIN_SAFE_INTEGER), { code: 'ERAFT_OUT_OF_RANGE' });
      assert.equal(await kv.get('n'), '-4');
    }));

  test('compareAndSwap and transact: a failed condition is an answer', () =>
    withStore(async (_, kv) => {
      const made = await kv.compareAndSwap({ key: 'k', exists: false }, 'v1');
      assert.equal(made.ok, true);
      const refused = await kv.compareAndSwap({ key: 'k', exists: false }, 'v2');
      assert.ok(!refused.ok && made.ok);
      assert.deepEqual(refused.failed, [{ index: 0, current: { key: 'k', value: 'v1', revision: made.revision } }]);
      const both = await kv.transact(
        [{ put: 'a', value: '1' }, { delete: 'k' }, { increment: 'n', by: 2 }, { append: 'a', value: '!' }],
        {
          when: [
            { key: 'k', revision: made.revision },
            { key: 'k', value: 'v1' },
          ],
        },
      );
      assert.equal(both.ok, true);
      assert.deepEqual([await kv.get('a'), await kv.get('k'), await kv.get('n')], ['1!', undefined, '2']);
      const none = await kv.transact([{ put: 'a', value: 'no' }], {
        when: [
          { key: 'a', exists: true },
          { key: 'k', exists: true },
        ],
      });
      assert.deepEqual(none, { ok: false, failed: [{ index: 1, current: undefined }] });
      assert.equal(await kv.get('a'), '1!');
    }));

  test('scan, both ways, by pages, over a snapshot; deleteRange', () =>
    withStore(async (store, kv) => {
      const keys = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(3, '0')}`);
      await Promise.all(keys.map((key) => kv.put(key, `value of ${key}`)));
      const scanned = await collect(kv.scan());
      assert.deepEqual(
        scanned.map((entry) => entry.key),
        keys,
      );
      assert.equal(scanned[7]?.value, 'value of k007');
      const back = await collect(kv.scan({ gte: 'k010', lt: 'k015', reverse: true, keysOnly: true }));
      assert.deepEqual(
        back.map((entry) => entry.key),
        ['k014', 'k013', 'k012', 'k011', 'k010'],
      );
      const pages = await collect(kv.scan({ prefix: 'k1', pageBytes: 1_000 }).pages());
      assert.ok(pages.length > 1 && pages.flat().length === 100);
      const seen: string[] = [];
      for await (const { key } of kv.scan({ snapshot: true, pageBytes: 1_000 })) {
        if (seen.push(key) === 1) await kv.deleteRange({ prefix: 'k' });
      }
      assert.deepEqual(seen, keys);
      assert.deepEqual(await collect(store.scan()), []);
      await Promise.all(keys.map((key) => kv.put(key, '')));
      assert.equal((await kv.deleteRange({ gt: 'k000', limit: 3 })).count, 3);
      assert.equal((await kv.deleteRange({ gte: 'k400', reverse: true, limit: 2 })).count, 2);
      assert.deepEqual(
        [await kv.has('k003'), await kv.has('k004'), await kv.has('k499'), await kv.has('k497')],
        [false, true, false, true],
      );
    }));

  test('stale reads, and reads at least as new as a revision', () =>
    withStore(async (_, kv) => {
      const { revision } = await kv.put('a', '1');
      assert.equal(await kv.get('a', { consistency: 'stale', minRevision: revision }), '1');
    }));

  test('what a caller gets wrong rejects, and never throws', () =>
    withStore(async (store, kv) => {
      await assert.rejects(kv.put('', 'x'), { code: 'ERAFT_KEY_EMPTY' });
      await assert.rejects(store.get(new Uint8Array(LIMITS.keyBytesMax + 1)), { code: 'ERAFT_KEY_TOO_LARGE' });
      await assert.rejects(store.put('k', new Uint8Array(LIMITS.valueBytesMax + 1)), { code: 'ERAFT_VALUE_TOO_LARGE' });
      await assert.rejects(kv.put('\ud800', 'x'), TypeError);
      await assert.rejects(kv.put(7 as unknown as string, 'x'), TypeError);
      await assert.rejects(kv.get('a', { timeoutMs: 0 }), RangeError);
      const abort = new AbortController();
      const given = kv.put('aborted', 'x', { signal: abort.signal });
      abort.abort(new Error('enough'));
      await assert.rejects(given, (error) => EraftError.is(error) && error.name === 'AbortError');
      await store.put('k', new Uint8Array(LIMITS.valueBytesMax));
    }));

  test('thousands of calls of one turn', () =>
    withStore(async (_, kv) => {
      const writes = await Promise.all(Array.from({ length: 20_000 }, (_, i) => kv.put(`k${i}`, `${i}`)));
      assert.equal(new Set(writes.map((each) => each.revision)).size, 20_000);
      const reads = await Promise.all(Array.from({ length: 20_000 }, (_, i) => kv.get(`k${i}`)));
      assert.ok(reads.every((value, i) => value === `${i}`));
    }));
});

describe('the life of a store', { timeout: TEST_MS }, () => {
  test('opens a new folder, is ready, and has everything when it is opened again', () =>
    withFolder(async (dir) => {
      const path = join(dir, 'not', 'there', 'yet');
      const store = await Store.open({ dir: path });
      await store.ready({ timeoutMs: 10_000 });
      assert.equal(store.role, 'leader');
      assert.equal(store.leader.id, store.id);
      await store.put('a', '1');
      const { revision } = await store.put('b', '2');
      await store.close();
      await store.close();
      const again = await Store.open({ dir: path });
      assert.equal(again.clusterId, store.clusterId);
      const entries = await collect(again.as('utf8', 'utf8').scan());
      assert.deepEqual(
        entries.map(({ key, value }) => [key, value]),
        [
          ['a', '1'],
          ['b', '2'],
        ],
      );
      assert.equal(entries[1]?.revision, revision);
      assert.ok((await again.put('c', '3')).revision > revision);
      await again.close();
    }));

  test('close waits for what was called, and rejects what comes later', () =>
    withFolder(async (dir) => {
      const store = await Store.open({ dir });
      const writes = Array.from({ length: 100 }, (_, i) => store.put(`k${i}`, 'x'));
      const closing = store.close();
      const late = store.put('late', 'x');
      await assert.rejects(late, { code: 'ERAFT_CLOSED', outcome: 'not-applied' });
      await Promise.all(writes);
      await closing;
      await assert.rejects(store.get('k1'), { code: 'ERAFT_CLOSED' });
      await assert.rejects(store.ready(), { code: 'ERAFT_CLOSED' });
      assert.throws(() => store.peek('k1'), { code: 'ERAFT_CLOSED' });
      await using again = await Store.open({ dir });
      assert.equal((await collect(again.scan({ keysOnly: true }))).length, 100);
    }));

  test('a view shares the store, and closing it closes the store', () =>
    withFolder(async (dir) => {
      const store = await Store.open({ dir });
      const view = store.as('utf8', 'bytes').as('utf8', 'utf8');
      await view.put('a', 'ä');
      assert.deepEqual(await store.get('a'), new Uint8Array([0xc3, 0xa4]));
      await view.close();
      await assert.rejects(store.get('a'), { code: 'ERAFT_CLOSED' });
      await (await Store.open({ dir })).close();
    }));

  test('peek answers at once, from memory', () =>
    withStore(async (store, kv) => {
      assert.equal(store.peek('none'), undefined);
      await kv.put('a', '1');
      assert.equal(await kv.get('a'), '1');
      assert.deepEqual(store.peek('a'), new Uint8Array([0x31]));
      assert.throws(() => store.peek(''), { code: 'ERAFT_KEY_EMPTY' });
      assert.throws(() => store.peek(new Uint8Array(LIMITS.keyBytesMax + 1)), { code: 'ERAFT_KEY_TOO_LARGE' });
      assert.throws(() => store.peek(undefined as unknown as string), TypeError);
    }));

  test('tells its leader and its state', () =>
    withFolder(async (dir) => {
      const store = await Store.open({ dir });
      const roles: string[] = [];
      store.on('state', (role) => roles.push(role));
      const leader = new Promise<number>((resolve) => store.once('leader', ({ id }) => resolve(id)));
      await store.ready();
      if (store.leader.id === 0) assert.equal(await leader, 1);
      await store.close();
      assert.ok(roles.length === 0 || roles.includes('leader'));
    }));

  test('status names the one replica', () =>
    withStore(async (store) => {
      await store.ready();
      const status = await store.status();
      assert.deepEqual([status.clusterId, status.leader, status.replicas.length], [store.clusterId, 1, 1]);
      assert.equal(status.replicas[0]?.role, 'leader');
    }));

  test('options that make no sense are refused', async () => {
    await assert.rejects(Store.open(undefined as unknown as { dir: string }), TypeError);
    await assert.rejects(Store.open({ dir: '' }), TypeError);
    await withFolder(async (dir) => {
      await assert.rejects(Store.open({ dir, peers: { 1: 'a:1', 2: 'b:2' } }), { code: 'ERAFT_CONFIG' });
      await assert.rejects(Store.open({ dir, id: 3, peers: { 1: 'a:1', 2: 'b:2' } }), { code: 'ERAFT_CONFIG' });
      await assert.rejects(Store.open({ dir: '/proc/eraft' }), { code: 'ERAFT_IO' });
    });
  });

  test('three stores are a cluster: any takes any call, and two go on without the third', () =>
    withFolder(async (dir) => {
      const ports = await Promise.all([1, 2, 3].map(freePort));
      const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]));
      const open = (id: number): Promise<Store> => Store.open({ dir: join(dir, `${id}`), id, peers });
      const stores = await Promise.all([1, 2, 3].map(open));
      try {
        await Promise.all(stores.map((store) => store.ready({ timeoutMs: 20_000 })));
        for (const [i, store] of stores.entries()) await store.put(`k${i}`, `${i}`);
        for (const store of stores) {
          const entries = await collect(store.as('utf8', 'utf8').scan());
          assert.deepEqual(
            entries.map((entry) => entry.key),
            ['k0', 'k1', 'k2'],
          );
        }
        const leader = stores.find((store) => store.role === 'leader');
        assert.ok(leader);
        await leader.close();
        const rest = stores.filter((store) => store !== leader);
        await rest[0]?.put('after', '1', { timeoutMs: 20_000 });
        assert.ok(await rest[1]?.has('after', { timeoutMs: 20_000 }));
        const back = await open(leader.id);
        stores.push(back);
        assert.ok(await back.has('after', { timeoutMs: 20_000 }));
      } finally {
        await Promise.all(stores.map((store) => store.close()));
      }
    }));
});
