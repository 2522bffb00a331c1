// Opening, closing, ending: one opener a folder, and no way to end a process that hangs or crashes it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStorage, STORAGE_DEFAULTS, type Storage } from '../../ts/storage/index.js';
import { refused } from './refused.js';
import { folder, Held, puts, SMALL } from './support.js';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

const open = (dir: string, replica = 1, cluster = ''): Promise<Storage> =>
  openStorage({ dir, replica, cluster, ...SMALL, onProgress: () => undefined });

/** Runs child.js to its end: [exit code, signal, output]. */
async function run(dir: string, how: string): Promise<[number | null, string | null, string]> {
  const child = spawn(process.execPath, [CHILD, dir, how], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [code, signal] = await once(child, 'close');
  return [code, signal, output.trim()];
}

test('the defaults open, and close twice', async (t) => {
  const dir = folder(t);
  const storage = await openStorage({ dir, replica: 1, cluster: '', onProgress: () => undefined });
  assert.deepEqual([storage.identity.blank, storage.identity.replica, storage.groups().length], [true, 1, 0]);
  assert.match(storage.identity.cluster, /^[0-9a-f]{32}$/);
  assert.match(storage.identity.uid, /^[0-9a-f]{16}$/);
  assert.ok(storage.poll().logBytes >= STORAGE_DEFAULTS.segmentBytes);
  await Promise.all([storage.close(), storage.close()]);
  await storage.close();
  assert.equal(storage.poll().failed, 12);
  assert.equal(storage.failure()?.code, 'ERAFT_CLOSED');
  assert.throws(() => storage.machine.applied(1), refused('ERAFT_CLOSED'));
  assert.throws(() => storage.log.submit(new Uint8Array(0), 0, 0, new Float64Array(0), 0), refused('ERAFT_CLOSED'));
  assert.throws(() => storage.stats(), refused('ERAFT_CLOSED'));
});

test('two openers in one process, and two that race', async (t) => {
  const dir = folder(t);
  const first = await open(dir);
  await assert.rejects(open(dir), refused('ERAFT_DATA_LOCKED', new RegExp(`this process \\(pid ${process.pid}\\)`)));
  await first.close();
  const outcomes = await Promise.allSettled([open(dir), open(dir), open(dir)]);
  const opened = outcomes.filter((each) => each.status === 'fulfilled');
  assert.equal(opened.length, 1);
  for (const each of outcomes) if (each.status === 'rejected') assert.ok(refused('ERAFT_DATA_LOCKED')(each.reason));
  await opened[0]?.value.close();
  await (await open(dir)).close();
});

test('two openers in two processes', async (t) => {
  const dir = folder(t);
  const child = spawn(process.execPath, [CHILD, dir, 'hold'], { stdio: ['pipe', 'pipe', 'inherit'] });
  ended(t, child);
  await once(child.stdout, 'data');
  await assert.rejects(
    open(dir),
    refused('ERAFT_DATA_LOCKED', new RegExp(`another eraft holds it \\(pid ${child.pid}\\)`)),
  );
  child.stdin.write('end\n');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  await (await open(dir)).close();
});

test('a folder whose opener was killed opens again', async (t) => {
  const dir = folder(t);
  const child = spawn(process.execPath, [CHILD, dir, 'hold'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await open(dir)).close();
});

test('the folder of another cluster or replica, and of nobody', async (t) => {
  const dir = folder(t);
  const cluster = '00112233445566778899aabbccddeeff';
  await (await open(dir, 1, cluster)).close();
  await assert.rejects(open(dir, 2, cluster), refused('ERAFT_DATA_MISMATCH', /replica 1/));
  await assert.rejects(open(dir, 1, `f${cluster.slice(1)}`), refused('ERAFT_DATA_MISMATCH', new RegExp(cluster)));
  const alone = await open(dir);
  assert.equal(alone.identity.cluster, cluster);
  await alone.close();
  writeFileSync(join(dir, 'a file'), '');
  await assert.rejects(open(join(dir, 'a file')), refused('ERAFT_IO', /why: {2}.*\n {2}do: /));
});

test('options that cannot be are refused with the reason', async (t) => {
  const dir = folder(t);
  const wrong = { dir, replica: 1, cluster: '', ...SMALL, onProgress: () => undefined };
  await assert.rejects(openStorage({ ...wrong, cluster: 'abc' }), refused('ERAFT_CONFIG', /32 hexadecimal/));
  await assert.rejects(openStorage({ ...wrong, replica: 0 }), refused('ERAFT_CONFIG', /replica/));
  await assert.rejects(openStorage({ ...wrong, segmentBytes: 5000 }), refused('ERAFT_CONFIG', /4096/));
  await assert.rejects(openStorage({ ...wrong, entropy: 'x' }), refused('ERAFT_CONFIG', /entropy/));
  await assert.rejects(openStorage({ ...wrong, tailBytes: -1 }), refused('ERAFT_BAD_REQUEST', /tailBytes/));
});

for (const [how, said] of [
  ['exit', 'open'],
  ['exit-opening', 'open'],
  ['exit-closing', 'open'],
  ['idle', 'open'],
  ['worker-exit', 'worker 7'],
  ['worker-terminated', 'reopened true'],
  ['exit-with-worker', 'open'],
] as const) {
  test(`a process ends well with an open storage at work: ${how}`, async (t) => {
    const dir = folder(t);
    assert.deepEqual(await run(dir, how), [0, null, said]);
    if (how === 'worker-exit') return;
    if (how === 'exit-opening') return await (await open(dir)).close();
    const held = await Held.open({ dir });
    assert.ok(held.index > 0, 'what was durable is there');
    await held.write(puts({ after: '1' }));
    await held.close();
  });
}

/** Not left behind by a failed test. */
function ended(t: TestContext, child: ChildProcess): void {
  t.after(() => void child.kill('SIGKILL'));
}
