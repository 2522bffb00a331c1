// The micro benches, as far as they are arithmetic: percentiles, samples, what the log's bench prints.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logRow, parseAppends } from '../../bench/micro/log-append.js';
import { measureWork } from '../../bench/micro/measure.js';
import { raft } from '../../bench/micro/raft-subject.js';
import { distributionOf, percentile, sampleAwaited, sampleCalls } from '../../bench/micro/samples.js';

test('percentile: the nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.equal(percentile(hundred, 0.5), 50);
  assert.equal(percentile(hundred, 0.99), 99);
  assert.equal(percentile(hundred, 1), 100);
  assert.equal(percentile(hundred, 0), 1);
  assert.equal(percentile([7], 0.99), 7);
  assert.throws(() => percentile([], 0.5), RangeError);
});

test('a tail that a mean hides is seen', () => {
  const values = [...Array.from({ length: 98 }, () => 1), 500, 500];
  const { mean, p50, p99 } = distributionOf(values);
  assert.ok(mean > 10 && mean < 11);
  assert.deepEqual([p50, p99], [1, 500]);
});

test('samples are of one call, however many are timed together', () => {
  let calls = 0;
  const values = sampleCalls(() => {
    calls += 1;
  }, 0.02);
  assert.ok(values.length > 10 && calls > values.length);
  assert.ok(distributionOf(values).p50 < 10_000);
});

test('awaited calls are timed each for itself', async () => {
  let calls = 0;
  const values = await sampleAwaited(async () => {
    calls += 1;
  }, 0.01);
  assert.equal(values.length, calls);
});

test('a work is told by its units', async () => {
  const sample = async (): Promise<number[]> => [1_000, 2_000, 3_000];
  const figures = await measureWork({ name: 'x', unit: 'command', perCall: 10, sample }, 1);
  assert.deepEqual(figures, {
    perSecond: undefined,
    marginPercent: undefined,
    meanNanos: 200,
    p50Nanos: 200,
    p99Nanos: 300,
  });
});

test('benchmark.js calls what it is given, and its failure is ours', async () => {
  let calls = 0;
  const call = (): number => calls++;
  const figures = await measureWork({ name: 'x', unit: 'call', perCall: 1, call }, 0.1);
  assert.ok((figures.perSecond ?? 0) > 1_000 && calls > 1_000);
  const failing = (): never => {
    throw new Error('broken work');
  };
  await assert.rejects(measureWork({ name: 'x', unit: 'call', perCall: 1, call: failing }, 0.1), /broken work/);
});

test('the steps of the Raft core do what their names say', async () => {
  const { works } = await raft.open('');
  for (const work of works) {
    assert.ok('call' in work);
    const first = work.call();
    for (let i = 0; i < 10_000; i++) work.call();
    assert.notEqual(first, 0, work.name);
  }
});

const line = (system: string, operations: number, p50: number): string =>
  JSON.stringify({ round: 1, system, operations, seconds: 0.5, p50Micros: p50, p99Micros: 2 * p50 });

test('the log and the bare loop are compared by their medians', () => {
  const output = [line('bare', 100, 10), line('log', 90, 11), line('log-lone', 50, 20)];
  const more = [line('bare', 300, 30), line('log', 10, 99), line('log-lone', 50, 20)];
  const last = [line('bare', 200, 20), line('log', 180, 12), line('log-lone', 50, 20)];
  const row = logRow('cached', 4_096, `${[...output, ...more, ...last].join('\n')}\n`);
  assert.deepEqual(row, {
    subject: 'log',
    mode: 'cached',
    recordBytes: 4_096,
    bare: { perSecond: 400, p50Micros: 20, p99Micros: 40 },
    log: { perSecond: 180, p50Micros: 12, p99Micros: 24 },
    logLone: { perSecond: 100, p50Micros: 20, p99Micros: 40 },
    ratio: 0.45,
  });
});

test('what the log bench should not print is refused', () => {
  assert.throws(() => parseAppends('no such disk\n'), /printed "no such disk"/);
  assert.throws(() => parseAppends(line('bare', 0, 1)), /printed/);
  assert.throws(() => logRow('direct', 4_096, [line('bare', 1, 1), line('log', 1, 1)].join('\n')), /bare-fdatasync/);
});
