// The parts of the load tool that need no cluster.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { Histogram } from '../../ts/cli/bench/histogram.js';
import { KeyBytes, keyAt, keyIndexes, seededRandom } from '../../ts/cli/bench/keys.js';
import { Load } from '../../ts/cli/bench/load.js';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import { Recorder } from '../../ts/cli/bench/recorder.js';
import { renderResult, resultOf, startInterval } from '../../ts/cli/bench/report.js';
import type { KeyValue } from '../../ts/client/key-value.js';

const PLAN: BenchPlan = {
  workload: 'put',
  endpoints: [],
  timeoutMs: 1_000,
  connections: 1,
  inFlight: 1,
  rate: 0,
  seconds: 1,
  warmupSeconds: 0,
  keys: 100,
  keyBytes: 16,
  valueBytes: 10,
  distribution: 'uniform',
  readPercent: 50,
  consistency: 'linearizable',
  fill: false,
  seed: 1,
};

test('keys: within bounds, the same for the same seed, of the asked length', () => {
  for (const distribution of ['uniform', 'zipf', 'sequential'] as const) {
    const draw = (): number[] => {
      const next = keyIndexes(distribution, 50, seededRandom(9));
      return Array.from({ length: 1_000 }, next);
    };
    const drawn = draw();
    assert.ok(
      drawn.every((index) => Number.isInteger(index) && index >= 0 && index < 50),
      distribution,
    );
    assert.deepEqual(draw(), drawn);
    assert.ok(new Set(drawn).size > 25, `${distribution} reaches many keys`);
  }
  const one = keyIndexes('zipf', 1, seededRandom(1));
  assert.ok(Array.from({ length: 100 }, one).every((index) => index === 0));
  assert.equal(keyAt(42, 16), '0000000000000042');
});

test('zipf prefers the first keys', () => {
  const next = keyIndexes('zipf', 1_000, seededRandom(3));
  const counts = new Map<number, number>();
  for (let i = 0; i < 20_000; i++) {
    const index = next();
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  const [top] = [...counts].sort((a, b) => b[1] - a[1]);
  assert.equal(top?.[0], 0);
  assert.ok((top?.[1] ?? 0) > 20 * ((counts.get(500) ?? 0) + 1));
});

/** A store whose every answer waits until the test gives it. */
function heldStore(): {
  readonly store: KeyValue;
  readonly waiting: (() => void)[];
  readonly begun: () => Promise<void>;
} {
  const waiting: (() => void)[] = [];
  let wake: () => void = () => undefined;
  const put = (): Promise<{ revision: number }> =>
    new Promise((resolve) => {
      waiting.push(() => resolve({ revision: 1 }));
      wake();
    });
  const begun = (): Promise<void> =>
    waiting.length > 0 ? Promise.resolve() : new Promise((resolve) => (wake = resolve));
  return { store: { put } as unknown as KeyValue, waiting, begun };
}

test('open loop: an operation that was due during a stall is measured from when it was due', async () => {
  const { store, waiting, begun } = heldStore();
  const recorder = new Recorder();
  const load = new Load({ ...PLAN, rate: 1_000 }, [store], recorder);
  const running = load.run();
  await begun();
  const stalled = process.hrtime.bigint();
  // One operation may be in flight, and it is not answered: the schedule runs on behind it.
  while (load.behindMax < 50) await new Promise((resolve) => setImmediate(resolve));
  const stallUs = Number(process.hrtime.bigint() - stalled) / 1_000;
  for (let i = 0; i < 20; i++) {
    await begun();
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  load.stop();
  while (waiting.length > 0) waiting.shift()?.();
  await running;
  const latency = recorder.summary(1).kinds.put?.latency;
  assert.ok(latency, 'something was recorded');
  // The second operation was due a millisecond after the first; with omission it would look instantaneous.
  assert.ok(
    (latency.percentilesUs.p50 ?? 0) > stallUs / 4,
    `p50 ${latency.percentilesUs.p50} of a stall of ${stallUs}`,
  );
});

test('closed loop: no more in flight than asked for', async () => {
  const { store, waiting, begun } = heldStore();
  const load = new Load({ ...PLAN, inFlight: 3 }, [store], new Recorder());
  const running = load.run();
  await begun();
  assert.equal(waiting.length, 3);
  load.stop();
  while (waiting.length > 0) waiting.shift()?.();
  await running;
});

test('an interval tells the processor time of the process, and when it was', () => {
  const end = startInterval();
  const until = process.hrtime.bigint() + 50_000_000n;
  while (process.hrtime.bigint() < until);
  const { seconds, startedAt, endedAt, cpuMicros } = end();
  assert.ok(seconds >= 0.05 && cpuMicros > 1_000, `${seconds} s, ${cpuMicros} µs`);
  assert.ok(Date.parse(endedAt) - Date.parse(startedAt) >= 49, `${startedAt} to ${endedAt}`);
});

test('errors are counted by code and are not latencies', () => {
  const recorder = new Recorder();
  recorder.done('put', 2_000_000);
  recorder.done('get', 1_000_000);
  recorder.failed(new EraftError('ERAFT_OVERLOADED', 'full'));
  recorder.failed(new EraftError('ERAFT_OVERLOADED', 'full'));
  const interval = { seconds: 2, startedAt: '', endedAt: '', cpuMicros: 7 };
  const result = resultOf({ ...PLAN, workload: 'mixed' }, recorder, interval, 0);
  assert.deepEqual([result.operations, result.perSecond, result.errors], [2, 1, { ERAFT_OVERLOADED: 2 }]);
  assert.equal(result.kinds.put?.operations, 1);
  const text = renderResult(result);
  assert.match(text, /errors: ERAFT_OVERLOADED 2/);
  assert.match(text, /p99\.9 2\.00 ms/);
});

test('keys as bytes are the keys as text', () => {
  const bytes = new KeyBytes(8);
  for (const index of [0, 7, 99_999_999, 10, 123, 5, 1_000_000, 0]) {
    assert.equal(Buffer.from(bytes.of(index)).toString(), keyAt(index, 8));
  }
});

test('the histogram: percentiles of what was recorded, a thousandth off at most', () => {
  const histogram = new Histogram();
  assert.equal(histogram.percentile(50), 0);
  const random = seededRandom(5);
  const values = Array.from({ length: 20_000 }, () => Math.floor(10 ** (random() * 12)));
  for (const value of values) histogram.record(value);
  values.sort((a, b) => a - b);
  assert.equal(histogram.count, values.length);
  assert.equal(histogram.min, values[0]);
  assert.equal(histogram.max, values.at(-1));
  assert.ok(Math.abs(histogram.mean / (values.reduce((a, b) => a + b) / values.length) - 1) < 1e-9);
  for (const percent of [0.01, 1, 50, 90, 99, 99.9, 100]) {
    const exact = values[Math.ceil((values.length * percent) / 100) - 1] ?? Number.NaN;
    const told = histogram.percentile(percent);
    assert.ok(told >= exact && told <= exact * 1.001, `p${percent}: ${told} for ${exact}`);
  }
});

test('the histogram at its ends', () => {
  for (const value of [0, 1, 1_023, 1_024, 2_047, 2_048, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 42 - 1]) {
    const histogram = new Histogram();
    histogram.record(value);
    assert.deepEqual([histogram.min, histogram.percentile(100), histogram.percentile(0.1)], [value, value, value]);
  }
  const histogram = new Histogram();
  histogram.record(-5);
  histogram.record(0.4);
  histogram.record(1e15);
  assert.deepEqual([histogram.min, histogram.percentile(50), histogram.max], [0, 0, 2 ** 42 - 1]);
});

test('open loop: it is never ahead of the schedule, and sleeps in between', async () => {
  const turns = (): number => performance.nodeTiming.uvMetricsInfo.loopCount;
  for (const rate of [200, 5_000]) {
    let begun = 0;
    let done = (): void => {};
    const enough = new Promise<void>((resolve) => {
      done = resolve;
    });
    const put = async () => {
      if (++begun === rate / 4) done();
      return { revision: begun };
    };
    const recorder = new Recorder();
    const load = new Load({ ...PLAN, rate, inFlight: 100 }, [{ put } as unknown as KeyValue], recorder);
    const [started, turnsBefore] = [performance.now(), turns()];
    const running = load.run();
    await enough;
    const due = ((performance.now() - started) / 1_000 + 0.001) * rate + 1;
    const begunThen = begun;
    load.stop();
    await running;
    assert.ok(begunThen <= due, `${begunThen} of ${due}`);
    assert.equal(recorder.operations, begun);
    const taken = turns() - turnsBefore;
    assert.ok(taken < 10 * begun, `${taken} turns of the event loop for ${begun} operations`);
  }
});
