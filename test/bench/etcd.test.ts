// bench:etcd, as far as it needs neither etcd nor a cluster.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseToolOutput, toolArguments } from '../../bench/etcd/etcd-tool.js';
import { grpcMessage } from '../../bench/etcd/grpc-caller.js';
import { main } from '../../bench/etcd/main.js';
import { etcdRow, renderIdle, renderRows } from '../../bench/etcd/table.js';
import { type Row, rowsOf, WORKS } from '../../bench/etcd/works.js';
import { BenchError, UsageError } from '../../bench/lib/errors.js';

const OUTPUT = `bench with linearizable range

Summary:
  Total:\t2.5 secs.
  Slowest:\t0.0213 secs.
  Fastest:\t8.1e-05 secs.
  Average:\t0.0012 secs.
  Stddev:\t0.001 secs.
  Requests/sec:\t33238.25

Response time histogram:
  0.0001 [1]\t|
  0.0022 [81000]\t|∎∎∎∎∎∎∎∎

Latency distribution:
  10% in 0.0005 secs.
  50% in 9.5e-05 secs.
  99% in 0.0632 secs.
  99.9% in 0.0801 secs.
`;

test('reads what the load tool of etcd prints', () => {
  assert.deepEqual(parseToolOutput(OUTPUT), { opsPerSecond: 33238.25, seconds: 2.5, p50Ms: 0.095, p99Ms: 63.2 });
});

test('errors among the answers, and output of another form, are no figures', () => {
  const failed = `${OUTPUT}\nError distribution:\n  [12]\tetcdserver: request timed out\n`;
  assert.throws(() => parseToolOutput(failed), /request timed out/);
  assert.throws(() => parseToolOutput(OUTPUT.replace('Requests/sec', 'Ops/sec')), BenchError);
  assert.throws(() => parseToolOutput(''), BenchError);
});

test('the rows: every work in its counts, the large store last', () => {
  const names = rowsOf(WORKS).map(({ work, inFlight, connections }) => `${work} ${inFlight}/${connections}`);
  assert.deepEqual(names, [
    'put 1/1',
    'put 50/50',
    'put 64/64',
    'put 1000/100',
    'get-linearizable 1/1',
    'get-linearizable 64/64',
    'get-linearizable 1000/100',
    'get-stale 1/1',
    'get-stale 1000/100',
    'get-linearizable-1m 1000/100',
  ]);
  assert.deepEqual(
    rowsOf(['put'], [50]).map(({ inFlight }) => inFlight),
    [50],
  );
  assert.throws(() => rowsOf(['get-stale'], [50]), UsageError);
});

const ROW: Row = { work: 'put', inFlight: 1000, connections: 100, keys: 100_000 };

test('what the tool of etcd is asked for', () => {
  assert.deepEqual(toolArguments(ROW), ['put', '--key-size=8', '--val-size=256', '--key-space-size=100000']);
  assert.equal(toolArguments({ ...ROW, work: 'get-stale' }).at(-1), '--consistency=s');
  assert.equal(toolArguments({ ...ROW, work: 'get-linearizable-1m' }).at(-1), '--consistency=l');
});

const figures = (opsPerSecond: number) => ({ opsPerSecond, p50Ms: 8, p99Ms: 20, cpuMicrosPerOp: 10 });
const measured = (opsPerSecond: number) => ({ median: figures(opsPerSecond), rounds: [figures(opsPerSecond)] });

test('a row has the figures of both systems, and ours over theirs', () => {
  const row = etcdRow(ROW, { eraft: measured(120_000), etcd: measured(15_000) });
  assert.equal(row.ratios.opsPerSecond, 8);
  assert.equal(row.eraft.opsPerSecond, 120_000);
  assert.ok(!('eraftOnUws' in row));
  assert.match(renderRows([row], 'uws'), /^ {17}eraft \/ etcd {4}8\.00× {3}1\.00× /m);
});

test('on the fallback server, a row compares it with uWebSockets.js, too', () => {
  const row = etcdRow(ROW, { eraft: measured(90_000), eraftOnUws: measured(120_000), etcd: measured(15_000) });
  assert.equal(row.ratiosToUws?.opsPerSecond, 0.75);
  const text = renderRows([row], 'ws');
  for (const name of ['eraft on ws', 'eraft on uws', 'ws / uws', 'eraft / etcd'])
    assert.ok(text.includes(name), `${name} in\n${text}`);
});

test('idle processes: megabytes of each, processor share of all', () => {
  const text = renderIdle({ eraft: { rssBytes: [81_420_288, 77_651_968], cpuShare: 0.044 } });
  assert.match(text, /eraft: 81, 78 MB, 4\.4 % of a core for all/);
});

test('a call of gRPC: header, then fields by number, long ones with a length of several bytes', () => {
  const message = grpcMessage(
    [
      [1, Buffer.from('key')],
      [2, Buffer.alloc(300, 7)],
    ],
    [7],
  );
  assert.equal(message.readUInt8(0), 0);
  assert.equal(message.readUInt32BE(1), message.length - 5);
  assert.deepEqual([...message.subarray(5, 14)], [0x0a, 3, ...Buffer.from('key'), 0x12, 0xac, 0x02, 7]);
  assert.deepEqual([...message.subarray(-2)], [0x38, 1]);
});

test('wrong options end with 2, before anything is started', async () => {
  const silent = process.stderr.write;
  process.stderr.write = () => true;
  try {
    for (const argv of [
      ['--server', 'http'],
      ['--in-flight', '7'],
      ['--etcd', 'x'],
      ['--only', 'puts'],
      ['--rounds', '-1'],
    ])
      assert.equal(await main(argv), 2, argv.join(' '));
  } finally {
    process.stderr.write = silent;
  }
});
