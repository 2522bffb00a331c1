// Wrong arguments reject; nothing throws, and nothing is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench } from './fake-link.js';

type Loose = Record<string, (...args: unknown[]) => Promise<unknown>>;

const WRONG: readonly [method: string, args: unknown[], error: string][] = [
  ['get', [1], 'TypeError'],
  ['get', [null], 'TypeError'],
  ['get', ['a\ud800'], 'TypeError'],
  ['get', [''], 'ERAFT_KEY_EMPTY'],
  ['get', ['k', null], 'TypeError'],
  ['get', ['k', { consistency: 'eventual' }], 'TypeError'],
  ['get', ['k', { minRevision: -1 }], 'RangeError'],
  ['get', ['k', { timeoutMs: 0 }], 'RangeError'],
  ['get', ['k', { timeoutMs: '5' }], 'TypeError'],
  ['get', ['k', { timeoutMs: Number.NaN }], 'RangeError'],
  ['get', ['k', { signal: {} }], 'TypeError'],
  ['get', ['k'.repeat(4097)], 'ERAFT_KEY_TOO_LARGE'],
  ['get', ['ü'.repeat(2049)], 'ERAFT_KEY_TOO_LARGE'],
  ['getEntry', [undefined], 'TypeError'],
  ['has', [[]], 'TypeError'],
  ['getMany', ['k'], 'TypeError'],
  ['getMany', [['k', '']], 'ERAFT_KEY_EMPTY'],
  ['getMany', [Array(16_385).fill('k')], 'ERAFT_BATCH_TOO_LARGE'],
  ['put', ['k'], 'TypeError'],
  ['put', ['', 'v'], 'ERAFT_KEY_EMPTY'],
  ['put', ['k', '\udc00'], 'TypeError'],
  ['put', ['k', 'v', 5], 'TypeError'],
  ['put', ['k', 'v', { previous: 1 }], 'TypeError'],
  ['put', ['k', new Uint8Array(1024 * 1024 + 1)], 'ERAFT_VALUE_TOO_LARGE'],
  ['put', ['k', '€'.repeat(400_000)], 'ERAFT_VALUE_TOO_LARGE'],
  ['append', ['k', 7], 'TypeError'],
  ['increment', ['k', 0.5], 'RangeError'],
  ['increment', ['k', 2 ** 53], 'RangeError'],
  ['increment', ['k', '1'], 'TypeError'],
  ['delete', [{}], 'TypeError'],
  ['deleteRange', [], 'TypeError'],
  ['deleteRange', [{ limit: -1 }], 'RangeError'],
  ['deleteRange', [{ prefix: 3 }], 'TypeError'],
  ['compareAndSwap', [null, 'v'], 'TypeError'],
  ['compareAndSwap', [{ key: 'k' }, 'v'], 'TypeError'],
  ['compareAndSwap', [{ key: 'k', exists: 1 }, 'v'], 'TypeError'],
  ['compareAndSwap', [{ key: 'k', exists: true, revision: 1 }, 'v'], 'TypeError'],
  ['compareAndSwap', [{ key: '', exists: true }, 'v'], 'ERAFT_KEY_EMPTY'],
  ['transact', [[]], 'RangeError'],
  ['transact', ['put'], 'TypeError'],
  ['transact', [[{ put: 'k' }]], 'TypeError'],
  ['transact', [[{ put: 'k', value: 'v', delete: 'k' }]], 'TypeError'],
  ['transact', [[{ increment: 'k' }]], 'TypeError'],
  ['transact', [[{ delete: 'k' }], { when: { key: 'k', exists: true } }], 'TypeError'],
  ['transact', [Array(20_000).fill({ delete: 'k' })], 'ERAFT_BATCH_TOO_LARGE'],
  ['transact', [Array(70_000).fill({ delete: 'k' })], 'ERAFT_BATCH_TOO_LARGE'],
  [
    'transact',
    [
      [
        { put: 'a', value: 'x'.repeat(1e6) },
        { put: 'b', value: 'x'.repeat(1e6) },
        { put: 'c', value: 'x'.repeat(1e6) },
      ],
    ],
    'ERAFT_BATCH_TOO_LARGE',
  ],
  ['status', [5], 'TypeError'],
  ['close', [{ timeoutMs: -1 }], 'RangeError'],
];

for (const [method, args, expected] of WRONG) {
  test(`${method}(${describe(args)}) rejects with ${expected}`, async () => {
    const { kv, link, clock } = bench();
    const promise = (kv as unknown as Loose)[method]?.call(kv, ...args);
    assert.ok(promise instanceof Promise, 'it returns a promise, whatever it is given');
    await assert.rejects(promise, (error: Error & { code?: string }) => (error.code ?? error.name) === expected);
    await clock.settle();
    assert.equal(link.sent.length, 0);
  });
}

test('a scan with wrong options rejects when it begins', async () => {
  const { kv } = bench();
  for (const o of [5, { limit: -1 }, { pageBytes: 0 }, { gt: 1 }, { reverse: 'yes' }, { consistency: 1 }]) {
    const scan = kv.scan(o as never);
    await assert.rejects(async () => {
      for await (const _ of scan);
    });
    await assert.rejects(async () => {
      for await (const _ of scan.pages());
    });
  }
});

test('an encoding that does not exist is a TypeError', () => {
  const { kv } = bench();
  assert.throws(() => kv.as('latin1' as never, 'utf8'), TypeError);
});

test('a wrong call leaves nothing behind in the batch of its turn', async () => {
  const { kv, clock, model } = bench();
  const bad = kv.transact([
    { put: 'a', value: '1' },
    { put: '', value: '2' },
  ]);
  const good = kv.put('b', '3');
  await assert.rejects(bad, { code: 'ERAFT_KEY_EMPTY', outcome: 'not-applied' });
  await clock.settle();
  await good;
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['b'],
  );
});

function describe(args: unknown[]): string {
  const text = JSON.stringify(args)?.slice(1, -1) ?? '';
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
