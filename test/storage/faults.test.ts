// Damaged files, failing disks, lost power: refused or survived, never silently wrong.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetMemory, limitMemory, rotMemory, type Storage, type StorageOptions } from '../../ts/storage/index.js';
import { refused } from './refused.js';
import { folder, GROUP, Held, puts } from './support.js';

const simulated = (
  memory: string,
  seed: number,
): Pick<StorageOptions, 'dir' | 'mode' | 'memory' | 'entropy' | 'segmentBytes'> => ({
  dir: '/data',
  mode: 'stepped',
  memory,
  entropy: (seed + 1).toString(16).padStart(16, '0').repeat(4),
  segmentBytes: 64 * 1024,
});

function settle(storage: Storage): void {
  while (storage.step());
}

async function filled(dir: string): Promise<void> {
  const held = await Held.open({ dir });
  held.storage.setMemberKnown();
  for (let n = 0; n < 20; n++) await held.write(puts({ [`key-${n}`]: `value-${n}` }));
  await held.close();
}

test('a flipped bit in acknowledged entries is damage, named and left alone', async (t) => {
  const dir = folder(t);
  await filled(dir);
  const log = join(dir, 'log');
  const segment = join(
    log,
    readdirSync(log)
      .sort()
      .find((name) => readFileSync(join(log, name)).includes('value-7')) ?? '',
  );
  const before = readFileSync(segment);
  const damaged = Buffer.from(before);
  const at = damaged.indexOf('value-7');
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  writeFileSync(segment, damaged);
  await assert.rejects(Held.open({ dir }), refused('ERAFT_DATA_DAMAGED', /do not delete anything/));
  assert.deepEqual(readFileSync(segment), damaged, 'nothing was repaired behind our back');
  writeFileSync(segment, before);
  const held = await Held.open({ dir });
  assert.equal(held.peek('key-7') ?? 'value-7', 'value-7');
  await held.close();
});

test('a damaged store is refused', async (t) => {
  const dir = folder(t);
  await filled(dir);
  const store = join(dir, 'store');
  const manifest = readdirSync(store).find((name) => name.startsWith('MANIFEST')) ?? '';
  writeFileSync(join(store, manifest), 'no manifest');
  await assert.rejects(Held.open({ dir }), refused('ERAFT_DATA_DAMAGED', /store/));
});

test('an emptied log under a store that has lived is refused', async (t) => {
  const dir = folder(t);
  await filled(dir);
  rmSync(join(dir, 'log'), { recursive: true });
  await assert.rejects(Held.open({ dir }), refused('ERAFT_DATA_DAMAGED', /log is gone/));
});

test('lost power keeps what was reported durable, and only that is promised', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const name = `power-${seed}`;
    const held = await Held.open(simulated(name, seed));
    let durable = 0;
    for (let n = 0; n < seed; n++) {
      held.submit(puts({ [`key-${n}`]: `value-${n}` }));
      if (n % 3 === 0) held.storage.step();
      durable = held.storage.poll().durable; // one ticket an entry
    }
    held.storage.crash(seed);
    assert.equal(held.storage.poll().failed, 12);
    const again = await Held.open(simulated(name, seed + 100));
    assert.ok(again.index >= durable && again.index <= seed, `${durable} <= ${again.index} <= ${seed}, seed ${seed}`);
    again.storage.machine.apply(GROUP, again.index, false);
    settle(again.storage);
    for (let n = 0; n < again.index; n++) assert.equal(again.peek(`key-${n}`), `value-${n}`, `seed ${seed}`);
    await again.close();
    forgetMemory(name);
  }
});

test('a failed write or sync ends the storage, with the reason; it is never retried', async () => {
  const held = await Held.open(simulated('failing', 1));
  held.submit(puts({ a: '1' }));
  settle(held.storage);
  held.submit(puts({ a: '2' }));
  held.storage.failOperation(1, 'error');
  settle(held.storage);
  assert.equal(held.storage.poll().failed, 48);
  assert.equal(held.storage.poll().durable, 1);
  assert.match(held.storage.failure()?.message ?? '', /never retried/);
  assert.throws(() => held.submit(puts({ a: '3' })), refused('ERAFT_FAILED'));
  assert.throws(() => held.storage.machine.apply(GROUP, 1, true), refused('ERAFT_FAILED'));
  held.storage.crash(1);
  const again = await Held.open(simulated('failing', 2));
  assert.ok(again.index >= 1);
  await again.close();
  forgetMemory('failing');
});

/** What a simulated life looks like from outside, step by step. */
async function trace(seed: number): Promise<string> {
  const name = `trace-${seed}`;
  const lines: string[] = [];
  for (let life = 0; life < 3; life++) {
    const held = await Held.open(simulated(name, seed));
    lines.push(JSON.stringify([held.storage.identity, held.storage.groups()]));
    for (let n = 0; n < 30; n++) {
      held.submit(puts({ [`key-${(n * seed) % 7}`]: `${life}-${n}` }));
      if ((n * seed) % 3 === 0) lines.push(`step ${held.storage.step()}`);
      if (n % 5 === 0) held.storage.machine.apply(GROUP, held.storage.poll().durable, true);
      if (n % 11 === 0) held.storage.machine.flush();
      lines.push(JSON.stringify([held.storage.poll(), held.storage.machine.applied(GROUP), held.results().length]));
      if (held.storage.poll().failed !== 0) break;
      if (n === 20 && life === 1) held.storage.failOperation(2, 'power-loss');
    }
    held.storage.crash(seed + life);
  }
  forgetMemory(name);
  return lines.join('\n');
}

test('the same seed gives the same trace', async () => {
  for (const seed of [1, 5, 8]) assert.equal(await trace(seed), await trace(seed), `seed ${seed}`);
  assert.ok((await trace(1)) !== (await trace(5)), 'the trace shows the seed');
});

test('the controls of a disk in memory: size, rot, what is durable, and a digest', async () => {
  const held = await Held.open(simulated('controls', 1));
  const { storage } = held;
  for (let n = 0; n < 5; n++) held.submit(puts({ [`key-${n}`]: 'value' }));
  assert.deepEqual(storage.durable(GROUP), { term: 0, vote: 0, commit: 0, first: 1, last: 0, lastTerm: 0 });
  settle(storage);
  assert.equal(storage.durable(GROUP).last, 5);
  storage.machine.apply(GROUP, 4, false);
  const before = storage.digest(GROUP);
  assert.equal(before.applied, 4);
  assert.match(before.digest, /^[0-9a-f]{24}$/);
  storage.machine.apply(GROUP, 5, false);
  assert.notEqual(storage.digest(GROUP).digest, before.digest);

  storage.setCapacity(0);
  storage.machine.flush();
  settle(storage);
  assert.equal(storage.poll().diskFull, true);
  limitMemory('controls', -1);
  storage.machine.flush();
  settle(storage);
  assert.equal(storage.machine.flushed(GROUP), 5);

  assert.throws(() => rotMemory('controls', 1), refused('ERAFT_DATA_LOCKED', /open/));
  await held.close();
  assert.match(rotMemory('controls', 1), /\/data\/log\/0000000000000001\.log/);
  await assert.rejects(Held.open(simulated('controls', 2)), refused('ERAFT_DATA_DAMAGED', /do not delete/));
  forgetMemory('controls');
  assert.equal(rotMemory('controls', 1), '');
});

test('a damaged log opens for repair, and stays damaged until it is said to be whole', async (t) => {
  const dir = folder(t);
  await filled(dir);
  const log = join(dir, 'log');
  const name =
    readdirSync(log)
      .sort()
      .find((each) => readFileSync(join(log, each)).includes('value-7')) ?? '';
  const damaged = readFileSync(join(log, name));
  const at = damaged.indexOf('value-7');
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  writeFileSync(join(log, name), damaged);
  for (const repair of [true, false]) {
    const held = await Held.open({ dir, repair });
    const [group] = held.storage.groups();
    assert.ok(group?.damaged);
    const { description, ...told } = group.damaged;
    assert.match(description, new RegExp(`${name}.* does not verify`));
    assert.deepEqual(told, { maybeIndex: 20, maybeTerm: 0, maybeVote: 0, known: true, storeAhead: repair });
    assert.deepEqual([group.lastIndex, group.compactedIndex, group.appliedIndex], [20, 20, 20]);
    if (!repair) held.storage.setRepaired(GROUP);
    await held.close();
  }
  const aside = readdirSync(log).find((each) => each.startsWith(name.slice(0, 16)) && each.endsWith('.damaged'));
  assert.deepEqual(readFileSync(join(log, aside ?? '')), damaged, 'kept for inspection');
  const held = await Held.open({ dir });
  assert.equal(held.storage.groups()[0]?.damaged, undefined);
  await held.write(puts({ more: 'value' }));
  await held.close();
});
