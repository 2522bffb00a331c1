// What all benches share, as far as it needs no server.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { benchCommand, chosenOf, runBench } from '../../bench/lib/command.js';
import { madeOnce } from '../../bench/lib/competitors.js';
import { UsageError } from '../../bench/lib/errors.js';
import { fileSystemIn } from '../../bench/lib/machine.js';
import { CpuMeter, cpuMicrosOf, rssBytesOf } from '../../bench/lib/processes.js';
import { figure, ratio, table, times } from '../../bench/lib/report.js';
import { measureInTurns, median, medianOfEach } from '../../bench/lib/rounds.js';
import { Workplace } from '../../bench/lib/workplace.js';

test('median: the middle one, or the mean of the middle two', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
});

test('medians are taken of each figure by itself; what a system does not have stays away', () => {
  const rounds = [
    { perSecond: 10, p99Ms: 3, cpu: undefined },
    { perSecond: 30, p99Ms: 1, cpu: undefined },
    { perSecond: 20, p99Ms: 2, cpu: undefined },
  ];
  assert.deepEqual(medianOfEach(rounds), { perSecond: 20, p99Ms: 2, cpu: undefined });
});

test('systems take turns, and every round begins with another one', async () => {
  const order: string[] = [];
  const system = (name: string, figures: number[]) => ({
    name,
    measure: async () => {
      order.push(name);
      return { perSecond: figures.shift() ?? 0 };
    },
  });
  const seen: string[] = [];
  const measured = await measureInTurns([system('a', [1, 5, 3]), system('b', [2, 2, 8])], 3, (name, round, figures) =>
    seen.push(`${name}${round}:${figures.perSecond}`),
  );
  assert.deepEqual(order, ['a', 'b', 'b', 'a', 'a', 'b']);
  assert.deepEqual(seen, ['a1:1', 'b1:2', 'b2:2', 'a2:5', 'a3:3', 'b3:8']);
  assert.equal(measured.a?.median.perSecond, 3);
  assert.deepEqual(measured.b?.rounds, [{ perSecond: 2 }, { perSecond: 2 }, { perSecond: 8 }]);
});

test('the file system of a folder is that of the longest mount point above it, the later one of two', () => {
  const mounts = [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '30 22 0:28 / /tmp rw,nosuid - tmpfs tmpfs rw',
    '31 22 0:29 / /tmp/disk rw - ext4 /dev/vdb rw',
    '32 22 0:30 / /tmp/disk rw - xfs /dev/vdc rw',
  ].join('\n');
  assert.equal(fileSystemIn(mounts, '/home/me'), 'ext4');
  assert.equal(fileSystemIn(mounts, '/tmp'), 'tmpfs');
  assert.equal(fileSystemIn(mounts, '/tmpfile'), 'ext4');
  assert.equal(fileSystemIn(mounts, '/tmp/disk/a'), 'xfs');
});

test('processor time is told for any interval that was watched', (t) => {
  t.mock.timers.enable({ apis: ['Date', 'setInterval'], now: 1_000_000 });
  let micros = 0;
  const meter = new CpuMeter(() => micros);
  t.mock.timers.tick(20);
  micros = 10_000;
  meter.stop();
  assert.equal(meter.between(999_000, 1_001_000), 10_000);
  assert.equal(meter.between(1_000_000, 1_000_010), 5_000);
});

test('a meter tells of a process that ended while it was measured', () => {
  const meter = new CpuMeter(() => {
    throw new Error('gone');
  });
  meter.stop();
  assert.throws(() => meter.between(0, 1), /gone/);
});

test('our own processor time and memory can be read', () => {
  assert.ok(cpuMicrosOf([process.pid]) > 0);
  assert.ok(rssBytesOf(process.pid) > 10_000_000);
});

test('tables: numbers to the right, names to the left', () => {
  const text = table(
    ['work', 'in flight', 'ops/s'],
    [
      ['put', '1', '2,400'],
      ['get-stale', '1000', '-'],
    ],
  );
  assert.equal(
    text,
    'work       in flight  ops/s\n---------  ---------  -----\nput                1  2,400\nget-stale       1000      -\n',
  );
});

test('figures have the digits that count', () => {
  assert.deepEqual([14_900.4, 63.94, 7.123, 0.3456, 0, undefined].map(figure), [
    '14,900',
    '63.9',
    '7.12',
    '0.346',
    '0',
    '-',
  ]);
  assert.equal(times(ratio(120_000, 15_000)), '8.00×');
  assert.equal(ratio(1, 0), undefined);
});

test('--only: in the order of the table; unknown names are refused', () => {
  assert.deepEqual(chosenOf(['put', 'get', 'scan'], ['get', 'put']), ['put', 'get']);
  assert.deepEqual(chosenOf(['put', 'get'], undefined), ['put', 'get']);
  assert.throws(() => chosenOf(['put', 'get'], ['putt']), UsageError);
  assert.throws(() => chosenOf(['put', 'get'], []), UsageError);
});

test('a wrong command line ends with 2 and does no work', async () => {
  const wrong = [['--rounds', '0'], ['--seconds', 'x'], ['--nope'], ['stray'], ['--json', '/no/such/folder/x.json']];
  for (const argv of wrong) {
    const command = benchCommand('test', 'a test', ['put'], { rounds: 3, seconds: 5 });
    command.configureOutput({ writeErr: () => undefined });
    assert.equal(await runBench(command, argv, () => assert.fail('it worked')), 2, argv.join(' '));
  }
});

test('what is made once is complete, and made once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eraft-bench-'));
  const before = process.env.ERAFT_CACHE;
  process.env.ERAFT_CACHE = folder;
  try {
    const failing = madeOnce('thing', '1', async (into) => {
      writeFileSync(join(into, 'half'), '');
      throw new Error('no network');
    });
    await assert.rejects(failing, /no network/);
    let made = 0;
    const make = async (into: string): Promise<void> => {
      made += 1;
      writeFileSync(join(into, 'whole'), '');
    };
    const first = await madeOnce('thing', '1', make);
    assert.equal(await madeOnce('thing', '1', make), first);
    assert.ok(existsSync(join(first, 'whole')) && !existsSync(join(first, 'half')));
    assert.equal(made, 1);
  } finally {
    if (before === undefined) delete process.env.ERAFT_CACHE;
    else process.env.ERAFT_CACHE = before;
    rmSync(folder, { recursive: true });
  }
});

test('a workplace takes its children and its folder along', async () => {
  const parent = mkdtempSync(join(homedir(), '.eraft-bench-test-'));
  try {
    const place = new Workplace('test', parent);
    const sleeper = place.start('sleep', ['60']);
    const { stdout, cpuMicros } = await place.run(process.execPath, ['-e', 'console.log(1)']);
    assert.equal(stdout, '1\n');
    assert.ok(cpuMicros > 0);
    await assert.rejects(place.run(process.execPath, ['-e', 'console.error("why"); process.exit(3)']), /exit 3.*why/s);
    assert.ok(sleeper.running && existsSync(place.folder));
    await place.close();
    assert.ok(!sleeper.running && !existsSync(place.folder));
  } finally {
    rmSync(parent, { recursive: true });
  }
});
