// Scans: ranges, pages, pinned views.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareBytes } from '../../ts/base/bytes.js';
import { EraftError } from '../../ts/base/errors.js';
import type { ScanOptions } from '../../ts/client/key-value.js';
import { FRAME, frameBody } from '../../ts/proto/frame.js';
import { decodeScanRequest } from '../../ts/proto/scan-frames.js';
import { type Bench, bench } from './fake-link.js';

const KEYS = ['a', 'b', 'b1', 'b2', 'c', '\u{10ffff}'];

async function filled(): Promise<Bench> {
  const b = bench();
  for (const key of KEYS) void b.kv.put(key, `v${key}`);
  await b.clock.settle();
  b.link.sent.length = 0;
  return b;
}

/** Everything that a scan yields, while turns end by themselves. */
async function collect<T>(b: Bench, items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  let done = false;
  const work = (async () => {
    for await (const item of items) all.push(item);
  })().finally(() => {
    done = true;
  });
  work.catch(() => undefined);
  while (!done) await b.clock.pass(10);
  await work;
  return all;
}

async function keysOf(b: Bench, o?: ScanOptions): Promise<string[]> {
  return (await collect(b, b.kv.as('utf8', 'utf8').scan(o))).map((entry) => entry.key);
}

test('a scan yields what is in its range, in order', async () => {
  const b = await filled();
  assert.deepEqual(await keysOf(b), KEYS);
  assert.deepEqual(await keysOf(b, { reverse: true }), [...KEYS].reverse());
  assert.deepEqual(await keysOf(b, { prefix: 'b' }), ['b', 'b1', 'b2']);
  assert.deepEqual(await keysOf(b, { gt: 'b', lte: 'c' }), ['b1', 'b2', 'c']);
  assert.deepEqual(await keysOf(b, { gte: 'b', lt: 'b2', limit: 1 }), ['b']);
  assert.deepEqual(await keysOf(b, { prefix: 'b', gt: 'b1', reverse: true, limit: 5 }), ['b2']);
  assert.deepEqual(await keysOf(b, { limit: 2, reverse: true }), ['\u{10ffff}', 'c']);
  const [first] = await collect(b, b.kv.as('utf8', 'utf8').scan({ limit: 1 }));
  assert.deepEqual(first, { key: 'a', value: 'va', revision: 2 });
});

test('a range in which no key can be asks nobody', async () => {
  const b = await filled();
  for (const o of [
    { lt: '' },
    { lte: '' },
    { gte: 'b', lt: 'b' },
    { gt: 'c', lt: 'b' },
    { prefix: 'b', lt: 'a' },
    { limit: 0 },
  ]) {
    assert.deepEqual(await keysOf(b, o), []);
  }
  assert.equal(b.link.sent.length, 0);
});

test('keysOnly leaves the values away', async () => {
  const b = await filled();
  const entries = await collect(b, b.kv.scan({ prefix: 'b', keysOnly: true }));
  assert.deepEqual(
    entries.map((e) => e.value.length),
    [0, 0, 0],
  );
});

test('pages go on after the last key, forwards and backwards', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const text = b.kv.as('utf8', 'utf8');
  const pages = await collect(b, text.scan({ gte: 'a', lt: 'd' }).pages());
  assert.deepEqual(
    pages.map((page) => page.map((e) => e.key)),
    [['a', 'b'], ['b1', 'b2'], ['c']],
  );
  const back = await collect(b, text.scan({ reverse: true, limit: 5 }).pages());
  assert.deepEqual(
    back.map((page) => page.map((e) => e.key)),
    [['\u{10ffff}', 'c'], ['b2', 'b1'], ['b']],
  );
});

test('without a snapshot each page is of its own moment, and never older than the one before', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const seen: string[] = [];
  const scan = b.kv.as('utf8', 'utf8').scan({ consistency: 'stale' }).pages()[Symbol.asyncIterator]();
  for (;;) {
    const next = scan.next();
    await b.clock.pass(5);
    const { done, value } = await next;
    if (done) break;
    seen.push(...value.map((e) => e.key));
    void b.kv.delete('b2');
    void b.kv.put('b9', '');
    await b.clock.settle();
  }
  assert.deepEqual(seen, ['a', 'b', 'b1', 'b9', 'c', '\u{10ffff}']);
  const asked = b.link.sent.filter((f) => f[0] === FRAME.scan).map((f) => decodeScanRequest(frameBody(f)).minRevision);
  assert.deepEqual(asked.slice(0, 2), [0, 7]);
  assert.ok((asked[2] ?? 0) > 7);
});

test('a snapshot shows one moment on all pages, and is released with the last one', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const scan = b.kv.as('utf8', 'utf8').scan({ snapshot: true })[Symbol.asyncIterator]();
  const first = scan.next();
  await b.clock.settle();
  assert.equal((await first).value?.key, 'a');
  assert.equal(b.model.views.size, 1);
  void b.kv.deleteRange({});
  await b.clock.settle();
  const rest = await collect(b, { [Symbol.asyncIterator]: () => scan });
  assert.deepEqual(
    rest.map((e) => e.key),
    KEYS.slice(1),
  );
  assert.equal(b.model.views.size, 0);
});

test('a view is released when the scan is left early', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const work = (async () => {
    for await (const _ of b.kv.scan({ snapshot: true })) break;
  })();
  await b.clock.pass(5);
  await work;
  await b.clock.settle();
  assert.equal(b.link.sent.at(-1)?.[0], FRAME.closeView);
  assert.equal(b.model.views.size, 0);
});

test('a view does not outlive its connection: views are not mixed', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const scan = b.kv.scan({ snapshot: true }).pages()[Symbol.asyncIterator]();
  const first = scan.next();
  await b.clock.settle();
  await first;
  b.link.down(new EraftError('ERAFT_UNAVAILABLE', 'cut'));
  b.link.up();
  const sent = b.link.sent.length;
  await assert.rejects(scan.next(), { code: 'ERAFT_SNAPSHOT_LOST', retryable: true });
  assert.equal(b.link.sent.length, sent, 'another replica may know the same number');
});

test('the first page of a snapshot may be asked for again', async () => {
  const b = await filled();
  b.link.fate = (_f, index) => (index === 0 ? 'lose answer' : 'answer');
  const scan = collect(b, b.kv.scan({ snapshot: true }));
  await b.clock.settle();
  b.link.down(new EraftError('ERAFT_UNAVAILABLE', 'cut'));
  b.link.up();
  assert.equal((await scan).length, KEYS.length);
});

test('a lost page is asked for again; a deadline ends the waiting', async () => {
  const b = await filled();
  b.link.fate = () => 'hold';
  const scan = b.kv.scan({ timeoutMs: 100 })[Symbol.asyncIterator]();
  const first = scan.next();
  first.catch(() => undefined);
  await b.clock.pass(100);
  await assert.rejects(first, { code: 'ERAFT_READ_TIMEOUT' });
});

test('an aborted scan ends between pages too', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const controller = new AbortController();
  const scan = b.kv.scan({ signal: controller.signal }).pages()[Symbol.asyncIterator]();
  const first = scan.next();
  await b.clock.settle();
  await first;
  controller.abort();
  await assert.rejects(scan.next(), { name: 'AbortError' });
});

test('what a caller writes into a key that it was given does not move the scan', async () => {
  const b = await filled();
  b.model.pageEntriesMax = 2;
  const seen: number[] = [];
  const work = (async () => {
    for await (const page of b.kv.scan({ lt: 'd' }).pages()) {
      for (const entry of page) {
        seen.push(entry.key[0] ?? 0);
        entry.key.fill(0);
      }
    }
  })();
  await b.clock.pass(50);
  await work;
  assert.deepEqual(String.fromCharCode(...seen), 'abbbc');
});

test('any range on any keys is what the same range is on a sorted array', async () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 }).map((k) => k.map((b) => (b === 3 ? 255 : b)));
  const bound = fc.option(
    fc.uint8Array({ maxLength: 3, max: 3 }).map((k) => k.map((b) => (b === 3 ? 255 : b))),
    { nil: undefined },
  );
  const property = fc.asyncProperty(
    fc.uniqueArray(key, { maxLength: 30, comparator: (a, b) => compareBytes(a, b) === 0 }),
    fc.record({ gte: bound, gt: bound, lt: bound, lte: bound, prefix: bound }),
    fc.boolean(),
    fc.option(fc.nat(10), { nil: undefined }),
    fc.integer({ min: 1, max: 4 }),
    async (keys, bounds, reverse, limit, page) => {
      const b = bench();
      for (const k of keys) void b.kv.put(k, '');
      await b.clock.settle();
      b.model.pageEntriesMax = page;
      const { gte, gt, lt, lte, prefix } = bounds;
      const expected = keys
        .filter((k) => gte === undefined || compareBytes(k, gte) >= 0)
        .filter((k) => gt === undefined || compareBytes(k, gt) > 0)
        .filter((k) => lt === undefined || compareBytes(k, lt) < 0)
        .filter((k) => lte === undefined || compareBytes(k, lte) <= 0)
        .filter((k) => prefix === undefined || compareBytes(k.subarray(0, prefix.length), prefix) === 0)
        .sort(compareBytes);
      if (reverse) expected.reverse();
      const o = { ...Object.fromEntries(Object.entries(bounds).filter(([, v]) => v !== undefined)), reverse };
      const found = await collect(b, b.kv.scan(limit === undefined ? o : { ...o, limit }));
      assert.deepEqual(
        found.map((e) => Buffer.from(e.key).toString('hex')),
        expected.slice(0, limit).map((k) => Buffer.from(k).toString('hex')),
      );
    },
  );
  const seed = process.env.ERAFT_SEED;
  await fc.assert(property, { numRuns: 150, ...(seed === undefined ? {} : { seed: Number(seed) }) });
});
