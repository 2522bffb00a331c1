// The pure parts of bench:embedded; no other store is needed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Gather } from '../../bench/embedded/gather.js';
import { Latencies } from '../../bench/embedded/latencies.js';
import { EmbeddedLoad } from '../../bench/embedded/load.js';
import { main } from '../../bench/embedded/main.js';
import { rowsOf, wholeNumbers } from '../../bench/embedded/matrix.js';
import { packageVersions } from '../../bench/embedded/packages.js';
import type { MeasuredStore } from '../../bench/embedded/store.js';
import { embeddedRow, renderRows } from '../../bench/embedded/table.js';

test('latencies: percentiles are right to one percent, from nanoseconds to seconds', () => {
  for (const scaleMs of [1e-5, 1e-3, 1, 30]) {
    const latencies = new Latencies();
    for (let n = 1; n <= 100; n++) latencies.record(n * scaleMs);
    assert.equal(latencies.total, 100);
    for (const share of [0.5, 0.9, 0.99]) {
      const wanted = share * 100 * scaleMs;
      const error = Math.abs(latencies.percentileMs(share) - wanted);
      assert.ok(error <= wanted * 0.01, `${latencies.percentileMs(share)} for ${wanted} ms`);
    }
  }
});

test('latencies: nothing recorded, nothing at all, and too much', () => {
  const latencies = new Latencies();
  assert.ok(Number.isNaN(latencies.percentileMs(0.5)));
  latencies.record(0);
  assert.equal(latencies.percentileMs(0.5), 0);
  latencies.clear();
  latencies.record(60_000);
  assert.ok(latencies.percentileMs(0.5) > 4_200);
  assert.equal(latencies.total, 1);
});

test('gather: callers of one turn are one batch, those who come meanwhile are the next', async () => {
  const batches: number[][] = [];
  const gather = new Gather(async (asked: readonly number[]) => {
    batches.push([...asked]);
    await delay(5);
    return asked.map((number) => number * 10);
  });
  const first = [1, 2, 3].map((number) => gather.ask(number));
  await delay(1);
  const second = [4, 5].map((number) => gather.ask(number));
  assert.deepEqual(await Promise.all([...first, ...second]), [10, 20, 30, 40, 50]);
  assert.deepEqual(batches, [
    [1, 2, 3],
    [4, 5],
  ]);
});

test('gather: a batch that fails fails for its callers alone', async () => {
  let fail = true;
  const gather = new Gather(async (asked: readonly string[]) => {
    if (fail) throw new Error('the disk is gone');
    return asked;
  });
  await assert.rejects(gather.ask('a'), /the disk is gone/);
  fail = false;
  assert.equal(await gather.ask('b'), 'b');
});

test('load: fills every key, keeps so many in flight, and refuses a value that is not the one written', async () => {
  const held = new Map<string, Uint8Array>();
  let pending = 0;
  let pendingMost = 0;
  const store: MeasuredStore = {
    put: async (key, value) => {
      pendingMost = Math.max(pendingMost, ++pending);
      await delay(1);
      pending -= 1;
      held.set(key, value);
    },
    get: (key) => held.get(key),
    close: async () => undefined,
    pids: [],
  };
  const puts = new EmbeddedLoad(store, 'put', 50, 7);
  await puts.fill();
  assert.equal(held.size, 50);
  pendingMost = 0;
  await puts.run(9, 0.02);
  assert.equal(pendingMost, 9);
  assert.ok(puts.latencies.total >= 9);
  const gets = new EmbeddedLoad(store, 'get', 50, 7);
  await gets.run(1, 0.001);
  assert.ok(gets.latencies.total > 0);
  held.clear();
  await assert.rejects(gets.run(1, 0.001), /a value of undefined bytes, not 7/);
});

test('rows: works by sizes by callers; a hot key has one caller', () => {
  const rows = rowsOf(['hot-get', 'put'], [16, 128], [1, 1000]);
  assert.deepEqual(
    rows.map(({ work, valueBytes, inFlight }) => `${work} ${valueBytes} ${inFlight}`),
    ['put 16 1', 'put 16 1000', 'put 128 1', 'put 128 1000', 'hot-get 16 1', 'hot-get 128 1'],
  );
});

test('lists of numbers: bounds and nonsense are refused', () => {
  assert.deepEqual(wholeNumbers(4096)('1, 4096'), [1, 4096]);
  for (const given of ['', '0', '4097', '1,', '1.5', 'x', '-1']) assert.throws(() => wholeNumbers(4096)(given), given);
});

function measuredAt(opsPerSecond: number) {
  const median = { opsPerSecond, p50Micros: 10, p99Micros: 20, cpuMicrosPerOp: 3, gcPercent: 1 };
  return { median, rounds: [median] };
}

test('a row names the fastest of the other stores, and our ratio to it; our own three replicas are none of them', () => {
  const row = embeddedRow(
    { work: 'put', valueBytes: 16, inFlight: 1 },
    { eraft: measuredAt(300), 'eraft-3': measuredAt(250), lmdb: measuredAt(100), rocksdb: measuredAt(200) },
  );
  assert.equal(row.best, 'rocksdb');
  assert.equal(row.ratioToBest, 1.5);
  assert.deepEqual(row.ratios, { 'eraft-3': 1.2, lmdb: 3, rocksdb: 1.5 });
  assert.match(renderRows([row]), /^put +16 B +1 +rocksdb \(best\) +200 .* 1\.50×$/m);
});

test('a row without other stores has no best one', () => {
  const row = embeddedRow({ work: 'get', valueBytes: 16, inFlight: 1 }, { 'eraft-3': measuredAt(250) });
  assert.equal(row.best, undefined);
  assert.equal(row.ratioToBest, undefined);
  assert.match(renderRows([row]), /eraft-3 +250 .* -$/m);
});

test('the packages to compare with are pinned', () => {
  const versions = Object.values(packageVersions());
  assert.equal(versions.length, 3);
  for (const version of versions) assert.match(version, /^\d+\.\d+\.\d+$/);
});

test('bad options end with 2', async (t) => {
  t.mock.method(process.stderr, 'write', () => true);
  for (const bad of [
    ['--values', '0'],
    ['--in-flight', 'x'],
    ['--systems', 'leveldb'],
    ['--only', 'delete'],
  ]) {
    assert.equal(await main(bad), 2, bad.join(' '));
  }
});
