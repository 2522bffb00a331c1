// The soak's judgement: what is growth, what is noise. And what it counts as disk.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { main, planOf, seriesOf } from '../../bench/soak/main.js';
import { theilSen } from '../../bench/soak/slope.js';
import type { Period } from '../../bench/soak/soak.js';
import { amountOf, judge, overall, type SeriesVerdict } from '../../bench/soak/verdict.js';
import { diskBytesOf, Watch } from '../../bench/soak/watch.js';
import { seededRandom } from '../../ts/cli/bench/keys.js';

const MIB = 1024 * 1024;

function series(count: number, at: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => at(i));
}

test('Theil–Sen: the slope of a line, whatever a few points do', () => {
  const line = series(15, (i) => 100 + 3 * i);
  const exact = theilSen(line.map((y, x) => ({ x, y })));
  assert.deepEqual([exact.perX, exact.low, exact.high], [3, 3, 3]);
  const spoilt = line.map((y, x) => ({ x, y: x === 4 ? 10_000 : x === 11 ? -5_000 : y }));
  assert.equal(theilSen(spoilt).perX, 3);
  assert.throws(() => theilSen([{ x: 0, y: 1 }]), RangeError);
});

test('Theil–Sen: its bounds hold the true slope, and zero where there is none', () => {
  const random = seededRandom(7);
  let missed = 0;
  for (let run = 0; run < 200; run++) {
    const points = series(20, (i) => 0.5 * i + random() * 10).map((y, x) => ({ x, y }));
    const { low, high } = theilSen(points);
    if (low > 0.5 || high < 0.5) missed += 1;
  }
  assert.ok(missed < 20, `${missed} of 200 missed`);
});

test('memory that grows minute by minute is drift; one that scatters, settles or falls is not', () => {
  const random = seededRandom(1);
  const noise = (): number => (random() - 0.5) * 20 * MIB;
  const verdictOf = (values: readonly number[]): string => judge({ name: 'x', kind: 'rss', values }).verdict;
  assert.equal(verdictOf(series(15, (i) => (400 + 5 * i) * MIB + noise())), 'drift');
  assert.equal(verdictOf(series(15, () => 400 * MIB + noise())), 'steady');
  assert.equal(verdictOf(series(15, (i) => (400 - 5 * i) * MIB + noise())), 'steady');
  assert.equal(verdictOf(series(15, (i) => (i === 7 ? 900 : 400) * MIB + noise())), 'steady');
});

test('growth that is certain and too small to matter is noise', () => {
  const values = series(15, (i) => (400 + 0.5 * i) * MIB);
  const { verdict, slope, slopeLow, growth, tolerance } = judge({ name: 'x', kind: 'rss', values });
  assert.equal(verdict, 'steady');
  assert.deepEqual([slope, slopeLow, growth], [0.5 * MIB, 0.5 * MIB, 7 * MIB]);
  assert.ok(tolerance > 20 * MIB && tolerance < 21 * MIB);
});

test('a log that is filled and cut again is steady; disk that only fills is drift', () => {
  const sawTooth = series(15, (i) => (300 + 64 * (i % 3)) * MIB);
  assert.equal(judge({ name: 'disk', kind: 'disk', values: sawTooth }).verdict, 'steady');
  const filling = series(15, (i) => (300 + 20 * i) * MIB);
  assert.equal(judge({ name: 'disk', kind: 'disk', values: filling }).verdict, 'drift');
});

test('p99 is judged in milliseconds', () => {
  assert.equal(judge({ name: 'p99', kind: 'p99', values: series(10, (i) => 5 + 0.05 * i) }).verdict, 'steady');
  assert.equal(judge({ name: 'p99', kind: 'p99', values: series(10, (i) => 5 + 0.5 * i) }).verdict, 'drift');
});

test('a few points are no judgement', () => {
  const short = judge({ name: 'x', kind: 'rss', values: [1, 2_000 * MIB, 4_000 * MIB, 6_000 * MIB] });
  assert.equal(short.verdict, 'too short');
  assert.equal(judge({ name: 'x', kind: 'rss', values: [] }).verdict, 'too short');
});

test('the verdict of a run: drift before all else, and a load that was not held proves nothing', () => {
  const of = (...verdicts: SeriesVerdict['verdict'][]): SeriesVerdict[] =>
    verdicts.map((verdict) => ({ ...judge({ name: 'x', kind: 'p99', values: [1, 1, 1, 1, 1] }), verdict }));
  const held = { perSecond: [1_000, 990], asked: 1_000, errors: 0 };
  assert.equal(overall(of('steady', 'steady'), held), 'steady');
  assert.equal(overall(of('steady', 'drift'), { ...held, errors: 1 }), 'drift');
  assert.equal(overall(of('steady', 'too short'), held), 'too short');
  assert.equal(overall(of('steady'), { ...held, errors: 1 }), 'not held');
  assert.equal(overall(of('steady'), { ...held, perSecond: [1_000, 900] }), 'not held');
});

test('only warm periods are judged', () => {
  const period = (n: number, warm: boolean): Period => ({
    ...{ period: n, warm, perSecond: 1, p50Ms: 1, p99Ms: n, errors: 0 },
    ...{ rssBytes: { 'replica 1': n, load: 10 * n }, diskBytes: 100 * n },
  });
  const found = seriesOf([period(1, false), period(2, true), period(3, true)]);
  assert.deepEqual(
    found.map(({ name, values }) => [name, values]),
    [
      ['RSS, replica 1', [2, 3]],
      ['RSS, load', [20, 30]],
      ['disk, all folders', [200, 300]],
      ['p99', [2, 3]],
    ],
  );
});

test('disk is what is allocated, in every folder below', () => {
  const folder = mkdtempSync(join(tmpdir(), 'eraft-soak-'));
  try {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    assert.equal(diskBytesOf(folder), 0);
    writeFileSync(join(folder, 'a/one'), new Uint8Array(100_000).fill(1));
    writeFileSync(join(folder, 'a/b/two'), new Uint8Array(100_000).fill(1));
    const bytes = diskBytesOf(folder);
    assert.ok(bytes >= 200_000 && bytes < 300_000, `${bytes}`);
    const watch = new Watch({ us: process.pid }, folder);
    const { rssBytes, diskBytes } = watch.take();
    watch.stop();
    assert.ok((rssBytes.us ?? 0) > 10 * MIB);
    assert.equal(diskBytes, bytes);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a process that is gone is told by its name', () => {
  const watch = new Watch({ 'replica 2': 2 ** 22 + 1 }, tmpdir());
  watch.stop();
  assert.throws(() => watch.take(), /replica 2 \(process 4194305\) has ended/);
});

const OPTIONS = {
  ...{ minutes: 20, period: 60, load: 70, calibrateSeconds: 20, rate: 0, keys: 100_000, valueBytes: 256 },
  ...{ readPercent: 50, connections: 16 },
};

test('a quarter is warm-up, unless it is told otherwise', () => {
  assert.equal(planOf(OPTIONS).warmupPeriods, 5);
  assert.equal(planOf({ ...OPTIONS, minutes: 2, period: 10 }).warmupPeriods, 3);
  assert.equal(planOf({ ...OPTIONS, warmup: 0 }).warmupPeriods, 0);
  assert.throws(() => planOf({ ...OPTIONS, warmup: 20 }), /leaves none of 20/);
  assert.throws(() => planOf({ ...OPTIONS, minutes: 1, period: 600 }), /longer than --minutes/);
});

test('a wrong command line ends with 2', async () => {
  assert.equal(await main(['--minutes', '0']), 2);
  assert.equal(await main(['--load', '101']), 2);
});

test('amounts are readable', () => {
  assert.equal(amountOf('rss', 300 * MIB), '300.0 MiB');
  assert.equal(amountOf('p99', 1.234), '1.23 ms');
  assert.equal(amountOf('disk', Number.NaN), '-');
});
