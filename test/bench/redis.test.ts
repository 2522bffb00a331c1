// The pure parts of bench:redis; no Redis is needed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BenchError } from '../../bench/lib/errors.js';
import { main } from '../../bench/redis/main.js';
import { parseRedisBenchmark } from '../../bench/redis/redis-tool.js';
import { redisRow, renderRows } from '../../bench/redis/table.js';

const CSV = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"SET","112359.55","0.372","0.080","0.359","0.527","0.839","3.111"
`;

test('reads what redis-benchmark prints, by the names of its columns', () => {
  assert.deepEqual(parseRedisBenchmark(CSV), { opsPerSecond: 112359.55, p50Ms: 0.359, p99Ms: 0.839 });
  assert.deepEqual(parseRedisBenchmark(`WARNING: could not fetch server CONFIG\n${CSV}`).p50Ms, 0.359);
});

test('refuses what is no such table', () => {
  for (const csv of ['', '"test","rps"\n', CSV.replace('p99_latency_ms', 'p98_latency_ms')]) {
    assert.throws(() => parseRedisBenchmark(csv), BenchError);
  }
});

test('a row tells one replica and three over redis', () => {
  const at = (opsPerSecond: number) => {
    const median = { opsPerSecond, p50Ms: 1, p99Ms: 2, cpuMicrosPerOp: 4 };
    return { median, rounds: [median] };
  };
  const measured = { eraft: at(300), 'eraft-3': at(150), redis: at(200) };
  const row = redisRow({ work: 'put', pipeline: 16, keys: 10 }, 50, measured);
  assert.equal(row.ratios.eraft.opsPerSecond, 1.5);
  assert.equal(row.ratios['eraft-3'].opsPerSecond, 0.75);
  assert.match(renderRows([row]), /^put +50 × 16 +redis +200 /m);
  assert.match(renderRows([row]), /eraft-3 \/ redis +0\.750×/);
});

test('bad options end with 2', async (t) => {
  t.mock.method(process.stderr, 'write', () => true);
  for (const bad of [
    ['--only', 'incr'],
    ['--keys', '0'],
    ['--pipeline', '2'],
  ]) {
    assert.equal(await main(bad), 2, bad.join(' '));
  }
});
