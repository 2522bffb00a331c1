// Snapshots across the border: made, sent chunk by chunk, installed; restored and inspected; in threads and in steps.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { errorCodeOf } from '../../ts/base/errors.js';
import {
  forgetMemory,
  inspectFiles,
  openStorage,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  restoreFolder,
  type Snapshot,
  type Storage,
} from '../../ts/storage/index.js';
import { refused } from './refused.js';
import { folder, GROUP, Held, puts, SMALL } from './support.js';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const CONF = Uint8Array.from([1, 2, 3, 4]);

const open = (dir: string, replica: number): Promise<Held> => Held.open({ dir, replica, cluster: CLUSTER });

/** The answer under `tag`, which is the only one on its way. */
async function answer(held: Held, tag: number): Promise<Uint8Array> {
  const [found] = await held.nextAnswers();
  assert.ok(found);
  assert.deepEqual([found.tag, found.status], [tag, 0], Buffer.from(found.bytes).toString());
  return found.bytes;
}

async function refusal(held: Held): Promise<string | undefined> {
  const [found] = await held.nextAnswers();
  return errorCodeOf(found?.status ?? 0);
}

const wanted = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

async function create(held: Held): Promise<Snapshot> {
  held.storage.snapshots.create(GROUP, 1);
  assert.equal((await answer(held, 1)).length, 0);
  const latest = held.storage.snapshots.latest(GROUP);
  assert.ok(latest);
  return latest;
}

/** Sends from the chunk on that the receiver asks for, `most` of them. @returns the next one that is wanted */
async function send(from: Held, snapshot: Snapshot, to: Held, most = Number.POSITIVE_INFINITY): Promise<number> {
  to.storage.snapshots.receive(GROUP, snapshot, 2);
  let next = wanted(await answer(to, 2));
  for (let sent = 0; sent < most && next < snapshot.chunks; sent++) {
    from.storage.snapshots.readChunk(snapshot.id, next, 3);
    const chunk = await answer(from, 3);
    const slab = Buffer.concat([Buffer.from('before'), chunk]);
    to.storage.snapshots.receiveChunk(next, slab, 6, slab.length, 4);
    next = wanted(await answer(to, 4));
  }
  return next;
}

/** A replica with `entries` entries, each a value that does not shrink. */
async function filled(dir: string, entries: number): Promise<Held> {
  const held = await open(dir, 1);
  for (let n = 0; n < entries; n++) {
    const noise = Array.from({ length: 40_000 }, (_, at) => String.fromCharCode(33 + ((n * 31 + at * at) % 89)));
    await held.write(puts({ [`key-${n}`]: noise.join('') }));
  }
  const ticket = held.storage.log.saveConf(GROUP, entries, CONF);
  await held.until(() => held.storage.poll().durable >= ticket);
  return held;
}

test('a snapshot is made, sent, interrupted by a restart, and installed', async (t) => {
  const leader = await filled(folder(t), 40);
  const snapshot = await create(leader);
  assert.deepEqual([snapshot.index, snapshot.term, snapshot.confIndex], [40, 1, 40]);
  assert.ok(snapshot.chunks >= 3, `${snapshot.chunks} chunks are no test`);
  assert.equal(snapshot.nextRevision, 41);
  assert.deepEqual(snapshot.conf, CONF);

  const dir = folder(t);
  let follower = await open(dir, 2);
  await follower.write(puts({ old: 'x' }));
  assert.equal(await send(leader, snapshot, follower, 2), 2);
  await follower.close();
  follower = await open(dir, 2);
  assert.equal(await send(leader, snapshot, follower), snapshot.chunks);
  follower.storage.snapshots.install(GROUP, snapshot.index, snapshot.term, 5);
  assert.equal((await answer(follower, 5)).length, 0);
  assert.deepEqual(follower.storage.digest(GROUP), leader.storage.digest(GROUP));
  assert.equal(follower.peek('old'), undefined);
  assert.deepEqual([follower.storage.machine.applied(GROUP), follower.storage.log.compacted(GROUP)], [40, 40]);

  follower.index = 40;
  follower.revision = snapshot.nextRevision;
  await follower.write(puts({ next: 'y' }));
  assert.equal(follower.peek('next'), 'y');
  await follower.close();
  follower = await open(dir, 2);
  const [group] = follower.storage.groups();
  assert.deepEqual([group?.compactedIndex, group?.lastIndex, group?.confIndex], [40, 41, 40]);
  await follower.close();
  await leader.close();
});

test('what cannot be is refused, and nothing happens', async (t) => {
  const leader = await filled(folder(t), 2);
  const snapshot = await create(leader);
  const { snapshots } = leader.storage;
  const bad = refused('ERAFT_BAD_REQUEST');
  assert.throws(() => snapshots.readChunk('no id', 0, 1), bad);
  assert.throws(() => snapshots.hold(`${snapshot.id}0`), bad);
  assert.throws(() => snapshots.receive(GROUP, { ...snapshot, index: -1 }, 1), bad);
  assert.throws(() => snapshots.receiveChunk(0, new Uint8Array(8), 0, 9, 1), bad);
  snapshots.readChunk('f'.repeat(32), 0, 1);
  assert.equal(await refusal(leader), 'ERAFT_SNAPSHOT_LOST');
  snapshots.readChunk(snapshot.id, snapshot.chunks, 1);
  assert.equal(await refusal(leader), 'ERAFT_BAD_REQUEST');
  snapshots.install(GROUP, snapshot.index, snapshot.term, 1);
  assert.equal(await refusal(leader), 'ERAFT_BAD_REQUEST');
  const empty = await open(folder(t), 2);
  assert.equal(empty.storage.snapshots.latest(GROUP), null);
  empty.storage.snapshots.create(GROUP, 1);
  assert.equal(await refusal(empty), 'ERAFT_BAD_REQUEST');
  await send(leader, snapshot, empty, 1);
  leader.storage.snapshots.readChunk(snapshot.id, 1, 3);
  const chunk = Uint8Array.from(await answer(leader, 3));
  chunk[chunk.length >> 1] = (chunk[chunk.length >> 1] ?? 0) ^ 1;
  empty.storage.snapshots.receiveChunk(1, chunk, 0, chunk.length, 4);
  assert.equal(await refusal(empty), 'ERAFT_DATA_DAMAGED');
  assert.equal(await send(leader, snapshot, empty), snapshot.chunks);
  await empty.close();
  await leader.close();
});

test('a held snapshot outlives newer ones', async (t) => {
  const dir = folder(t);
  const held = await filled(dir, 2);
  const first = await create(held);
  assert.equal(held.storage.snapshots.hold(first.id), true);
  await held.write(puts({ a: '1' }));
  await create(held);
  const files = (): string[] => readdirSync(join(dir, 'snapshots'));
  assert.equal(files().length, 2);
  held.storage.snapshots.release(first.id);
  await create(held); // done in the order in which it was asked for
  assert.deepEqual(files(), ['0000000000000003-0000000000000001.snap']);
  assert.equal(held.storage.snapshots.hold(first.id), false);
  await held.close();
});

/** The chunks of a snapshot, one behind the other, in a file. */
async function backup(t: TestContext, held: Held): Promise<string> {
  const snapshot = await create(held);
  const chunks: Uint8Array[] = [];
  for (let n = 0; n < snapshot.chunks; n++) {
    held.storage.snapshots.readChunk(snapshot.id, n, 9);
    chunks.push(await answer(held, 9));
  }
  const bytes = Buffer.concat(chunks);
  assert.equal(bytes.length, snapshot.bytes);
  const file = join(folder(t), 'backup');
  writeFileSync(file, bytes);
  return file;
}

test('the chunks are a backup, told of, and restored into another cluster', async (t) => {
  const held = await filled(folder(t), 3);
  const file = await backup(t, held);
  const told = await inspectFiles(file);
  assert.ok(told.kind === 'snapshot');
  assert.deepEqual(
    [told.cluster, told.index, told.keys, told.sessions, told.nextRevision, told.conf],
    [CLUSTER, 3, 3, 0, 4, '01020304'],
  );
  const dir = join(folder(t), 'restored');
  const conf = Uint8Array.from([9, 9]);
  const options = { dir, replica: 5, cluster: 'f'.repeat(32), ...SMALL };
  await restoreFolder(file, conf, options);
  await assert.rejects(restoreFolder(file, conf, options), refused('ERAFT_CONFIG'));
  const folderTold = await inspectFiles(dir);
  assert.ok(folderTold.kind === 'data');
  assert.deepEqual([folderTold.backup, folderTold.replica, folderTold.installing], [told.id, 5, null]);
  assert.ok(![CLUSTER, options.cluster].includes(folderTold.cluster), 'a cluster of its own');
  assert.deepEqual(
    [folderTold.store?.[0]?.index, folderTold.log?.groups[0]?.compactedIndex, folderTold.log?.groups[0]?.conf],
    [3, 3, '0909'],
  );
  assert.equal((await inspectFiles(join(dir, 'log'))).kind, 'log');
  const restored = await Held.open(options);
  assert.deepEqual(restored.storage.digest(GROUP), held.storage.digest(GROUP));
  assert.deepEqual([restored.index, restored.revision], [3, 4]);
  await restored.write(puts({ more: '1' }));
  await restored.close();
  await held.close();
});

test('a damaged backup is refused, and no folder is made', async (t) => {
  const held = await filled(folder(t), 1);
  const file = await backup(t, held);
  writeFileSync(`${file}.cut`, (await import('node:fs')).readFileSync(file).subarray(0, -8));
  const dir = join(folder(t), 'restored');
  const options = { dir, replica: 5, cluster: 'f'.repeat(32), ...SMALL };
  await assert.rejects(restoreFolder(`${file}.cut`, CONF, options), refused('ERAFT_DATA_DAMAGED'));
  await assert.rejects(inspectFiles(`${file}.cut`), refused('ERAFT_DATA_DAMAGED'));
  await assert.rejects(restoreFolder(`${file}.none`, CONF, options), refused('ERAFT_IO'));
  assert.equal(existsSync(dir), false);
  await held.close();
});

/** A stepped storage in memory with `entries` blank entries and what a run of it answers, step by step. */
async function stepped(name: string, entries: number): Promise<Storage> {
  const entropy = '5a'.repeat(32);
  const options = { dir: '/data', replica: 1, cluster: CLUSTER, memory: name, mode: 'stepped', entropy } as const;
  const storage = await openStorage({ ...SMALL, ...options, onProgress: () => assert.fail('called in stepped mode') });
  const slab = new Uint8Array(RECORD_HEADER_BYTES);
  for (let index = 1; index <= entries; index++) {
    storage.log.seal(slab, 0, slab.length, RECORD_KINDS.blank, GROUP, index, 1, index * 10, 1, 0);
    storage.log.submit(slab, 0, slab.length, new Float64Array(0), 0);
  }
  while (storage.step());
  storage.machine.apply(GROUP, entries, false);
  while (storage.step());
  return storage;
}

test('stepped, the same calls give the same snapshot, in as many steps', async (t) => {
  const runs: unknown[] = [];
  for (const name of ['steps-a', 'steps-b']) {
    const storage = await stepped(name, 5);
    storage.snapshots.create(GROUP, 1);
    const out = new Uint8Array(4096);
    let steps = 0;
    while (storage.answers(out, 0) === 0) {
      assert.equal(storage.step(), true);
      steps++;
    }
    runs.push([steps, storage.snapshots.latest(GROUP)]);
    await storage.close();
    t.after(() => forgetMemory(name));
  }
  assert.deepEqual(runs[0], runs[1]);
  assert.equal((runs[0] as [number, Snapshot])[1].time, 50);
});
