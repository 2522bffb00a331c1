// How much of the log stays: for whom, and for how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutTo, type LogKept } from '../../ts/host/log-keeping.js';

/** A log of entries 1 to 100, 10 bytes each; the store has all of them, and so has every member but one, which has 20. */
function kept(
  o: Partial<Omit<LogKept, 'limits' | 'node'>> & Partial<LogKept['limits']> & { truncatable?: number },
): number {
  const { maxLogBytes = 10_000, maxLogEntries = -1, trailingLogBytes = 300, truncatable = 20, ...rest } = o;
  const node = {
    truncatable,
    firstIndex: 1,
    lastIndex: 100,
    logBytes: 1_000,
    startOfLast: (bytes: number) => 100 - Math.floor(bytes / 10),
  };
  const limits = { maxLogBytes, maxLogEntries, trailingLogBytes };
  return cutTo({ node, limits, flushed: 100, keepsLogFrom: Number.POSITIVE_INFINITY, requested: false, ...rest });
}

test('below its limit the log is kept for every member', () => {
  assert.equal(kept({}), 20);
  assert.equal(kept({ maxLogBytes: 1_000 }), 20);
});

test('beyond it, by bytes or by entries, only its newest part stays', () => {
  assert.equal(kept({ maxLogBytes: 999 }), 70);
  assert.equal(kept({ maxLogEntries: 99 }), 70);
  assert.equal(kept({ maxLogEntries: 10 }), 95, 'of many small entries, fewer bytes than asked for');
  assert.equal(kept({ maxLogBytes: 998, trailingLogBytes: 5_000 }), 51, 'not more than half of the limit stays');
  assert.equal(kept({ maxLogBytes: 998, truncatable: 90 }), 90, 'what everybody has goes');
});

test('without a limit it is kept however long it is, unless somebody asks', () => {
  assert.equal(kept({ maxLogBytes: -1 }), 20);
  assert.equal(kept({ maxLogBytes: -1, requested: true }), 70);
});

test('never past what the store has on disk', () => {
  for (const requested of [false, true]) assert.equal(kept({ maxLogBytes: 0, requested, flushed: 7 }), 7);
});

test('the log behind a snapshot that is on its way stays, up to twice the limit', () => {
  assert.equal(kept({ maxLogBytes: 999, keepsLogFrom: 50 }), 50);
  assert.equal(kept({ maxLogBytes: -1, requested: true, keepsLogFrom: 50 }), 50);
  assert.equal(kept({ maxLogBytes: 499, keepsLogFrom: 50 }), 76);
  assert.equal(kept({ maxLogEntries: 49, keepsLogFrom: 50 }), 76);
  assert.equal(kept({ keepsLogFrom: 5 }), 5, 'also of what everybody else has');
});
