// What the write methods put into the log, and what they make of its answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../ts/base/limits.js';
import { COMMAND, decodeBatchHead, decodeCommands } from '../../ts/proto/command-batch.js';
import { FRAME, frameBody } from '../../ts/proto/frame.js';
import { bench, watch } from './fake-link.js';

test('the writes of one turn are one batch, behind the registration of a session', async () => {
  const { kv, link, clock } = bench();
  const puts = [kv.put('a', '1'), kv.put(new Uint8Array([0, 255]), ''), kv.delete('a')];
  assert.equal(link.sent.length, 0, 'nothing leaves before the turn ends');
  await clock.settle();
  assert.deepEqual(
    (await Promise.all(puts)).map((w) => w.revision),
    [2, 3, 4],
  );
  assert.equal(link.sent.length, 2);
  const [register, batch] = link.sent.map((frame) => frameBody(frame));
  assert.ok(register && batch);
  assert.deepEqual(decodeBatchHead(register), { session: 0, sequence: 0, acknowledged: 0, headers: 1 });
  assert.deepEqual(decodeBatchHead(batch), { session: 1, sequence: 1, acknowledged: 0, headers: 3 });
});

test('later batches count on and acknowledge what was answered', async () => {
  const { kv, link, clock } = bench();
  for (let i = 0; i < 3; i++) {
    void kv.put('k', String(i));
    await clock.settle();
  }
  const last = link.sent.at(-1);
  assert.ok(last);
  assert.deepEqual(decodeBatchHead(frameBody(last)), { session: 1, sequence: 3, acknowledged: 2, headers: 1 });
});

test('every kind of write returns what it should', async () => {
  const { kv, clock } = bench();
  const text = kv.as('utf8', 'utf8');
  const all = Promise.all([
    kv.put('k', 'one'),
    text.put('k', 'two', { previous: true }),
    text.put('fresh', 'x', { previous: true }),
    kv.append('k', '!'),
    kv.increment('n', -5),
    kv.increment('n'),
    text.delete('k', { previous: true }),
    text.delete('nothing', { previous: true }),
    kv.deleteRange({ prefix: 'f' }),
  ]);
  await clock.settle();
  assert.deepEqual(await all, [
    { revision: 2 },
    { revision: 3, previous: { key: 'k', value: 'one', revision: 2 } },
    { revision: 4, previous: undefined },
    { revision: 5, length: 4 },
    { revision: 6, value: -5 },
    { revision: 7, value: -4 },
    { revision: 8, previous: { key: 'k', value: 'two!', revision: 5 } },
    { revision: 9, previous: undefined },
    { revision: 10, count: 1 },
  ]);
});

test('a failed condition is an answer that carries the current entry', async () => {
  const { kv, clock } = bench();
  const text = kv.as('utf8', 'utf8');
  void kv.put('k', 'old');
  await clock.settle();
  const all = Promise.all([
    text.compareAndSwap({ key: 'k', value: 'other' }, 'new'),
    text.compareAndSwap({ key: 'k', revision: 2 }, 'new'),
    text.compareAndSwap({ key: 'k', exists: false }, 'newer'),
    text.transact([{ put: 'a', value: '1' }, { increment: 'n', by: 2 }, { append: 'a', value: '2' }, { delete: 'k' }], {
      when: [
        { key: 'k', exists: true },
        { key: 'a', revision: 0 },
      ],
    }),
    text.transact([{ put: 'z', value: '' }], {
      when: [
        { key: 'a', value: '12' },
        { key: 'k', exists: true },
        { key: 'n', value: '3' },
      ],
    }),
  ]);
  await clock.settle();
  assert.deepEqual(await all, [
    { ok: false, failed: [{ index: 0, current: { key: 'k', value: 'old', revision: 2 } }] },
    { ok: true, revision: 4 },
    { ok: false, failed: [{ index: 0, current: { key: 'k', value: 'new', revision: 4 } }] },
    { ok: true, revision: 6 },
    {
      ok: false,
      failed: [
        { index: 1, current: undefined },
        { index: 2, current: { key: 'n', value: '2', revision: 6 } },
      ],
    },
  ]);
});

test('a command that cannot do its work rejects, and its neighbours do not notice', async () => {
  const { kv, clock } = bench();
  void kv.put('k', 'text');
  await clock.settle();
  const bad = watch(kv.increment('k'));
  const worse = watch(
    kv.transact([
      { put: 'a', value: '1' },
      { increment: 'k', by: 1 },
    ]),
  );
  const over = watch(kv.increment('m', Number.MAX_SAFE_INTEGER));
  const good = watch(kv.put('k', 'still'));
  const after = watch(kv.increment('m', 1));
  await clock.settle();
  assert.equal((bad.error as { code: string }).code, 'ERAFT_NOT_A_NUMBER');
  assert.match(String(worse.error), /operation 1 of the transaction/);
  assert.equal((after.error as { code: string }).code, 'ERAFT_OUT_OF_RANGE');
  assert.deepEqual(over.value, { revision: 5, value: Number.MAX_SAFE_INTEGER });
  assert.deepEqual(good.value, { revision: 6 });
});

test('bytes are copied before the call returns', async () => {
  const { kv, clock, model } = bench();
  const key = new Uint8Array([107]);
  const value = new Uint8Array([1, 2, 3]);
  const put = kv.put(key, value);
  key.fill(0);
  value.fill(0);
  await clock.settle();
  await put;
  key.fill(107);
  const read = kv.getEntry(key);
  key.fill(0);
  await clock.settle();
  assert.deepEqual(
    model.applied.map((a) => [a.key, a.value]),
    [['k', '\x01\x02\x03']],
  );
  const entry = await read;
  assert.equal(entry?.key[0], 107);
});

test('a turn that is too much for one batch makes several, in order', async () => {
  const { kv, link, clock, model } = bench();
  const value = new Uint8Array(900_000);
  const puts = Array.from({ length: 5 }, (_, i) => kv.put(`k${i}`, value));
  await clock.settle();
  await Promise.all(puts);
  assert.deepEqual(
    link.sent.slice(1).map((frame) => decodeCommands(frameBody(frame)).length),
    [2, 2, 1],
  );
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['k0', 'k1', 'k2', 'k3', 'k4'],
  );
  for (const frame of link.sent) assert.ok(frame.length <= LIMITS.batchBytesMax + 16);
});

test('a batch holds no more commands than the other side takes', async () => {
  const { kv, link, clock } = bench();
  link.up({ ...link.limits, batchCommandsMax: 3 });
  const puts = Array.from({ length: 7 }, (_, i) => kv.put(`k${i}`, ''));
  const tooMany = watch(kv.transact([{ delete: 'a' }, { delete: 'b' }, { delete: 'c' }]));
  await clock.settle();
  await Promise.all(puts);
  assert.deepEqual(
    link.sent.slice(1).map((frame) => decodeBatchHead(frameBody(frame)).headers),
    [3, 3, 1],
  );
  assert.equal((tooMany.error as { code: string }).code, 'ERAFT_BATCH_TOO_LARGE');
});

test('a batch deletes no more ranges than one may', async () => {
  const { kv, clock, link } = bench();
  const all = Promise.all(Array.from({ length: 40 }, (_, i) => kv.deleteRange({ prefix: `p${i}-` })));
  await clock.settle();
  assert.equal((await all).length, 40);
  const heads = link.sent.slice(1).map((frame) => decodeBatchHead(frameBody(frame)).headers);
  assert.deepEqual(heads, [16, 16, 8]);
});

test('while the window is full, calls gather', async () => {
  const { kv, link, clock, model } = bench();
  void kv.put('first', '');
  await clock.settle();
  link.fate = () => 'hold';
  const puts = [];
  for (let i = 0; i < 20; i++) {
    puts.push(kv.put(`k${i}`, ''));
    await clock.settle();
  }
  assert.equal(link.sent.length, 2 + 8, 'eight in flight');
  link.fate = () => 'answer';
  for (const frame of link.sent.slice(2)) link.answerSoon(frame);
  await clock.settle();
  await Promise.all(puts);
  const last = link.sent.at(-1);
  assert.ok(last);
  assert.equal(decodeCommands(frameBody(last)).length, 12, 'the rest in one batch');
  assert.equal(model.applied.length, 21);
});

test('the bytes in flight are bounded too', async () => {
  const { kv, model, link, clock } = bench();
  link.up({ ...link.limits, inflightBatchesMax: 256 });
  void kv.put('first', '');
  await clock.settle();
  link.fate = () => 'hold';
  const puts = Array.from({ length: 50 }, (_, i) => kv.put(`k${i}`, new Uint8Array(1_000_000)));
  await clock.settle();
  const held = link.sent.slice(2);
  const bytes = held.reduce((sum, frame) => sum + frame.length, 0);
  assert.ok(bytes >= 16 * 1024 * 1024 && bytes < 19 * 1024 * 1024, `${bytes}`);
  link.fate = () => 'answer';
  for (const frame of held) link.answerSoon(frame);
  await clock.settle();
  await Promise.all(puts);
  assert.equal(model.applied.length, 51);
});

test('numbers cross as two halves, also negative and beyond 2^32', async () => {
  const { kv, link, clock } = bench();
  const numbers = [0, 1, -1, 2 ** 32, -(2 ** 32) - 7, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
  for (const by of numbers) void watch(kv.increment(`n${by}`, by));
  await clock.settle();
  const frame = link.sent[1];
  assert.ok(frame);
  assert.equal(frame[0], FRAME.write);
  const commands = decodeCommands(frameBody(frame));
  assert.deepEqual(
    commands.map((c) => [c.kind, c.number]),
    numbers.map((n) => [COMMAND.increment, n]),
  );
});

test('a range to delete is sent as first and end', async () => {
  const { kv, link, clock } = bench();
  void kv.deleteRange({ gt: 'a', lte: 'b', limit: 3, reverse: true });
  void kv.deleteRange({});
  void kv.deleteRange({ lt: '' });
  await clock.settle();
  const frame = link.sent[1];
  assert.ok(frame);
  assert.deepEqual(
    decodeCommands(frameBody(frame)).map((c) => [
      c.flags,
      c.number,
      Buffer.from(c.key).toString(),
      Buffer.from(c.value).toString(),
    ]),
    [
      [2, 3, 'a\0', 'b\0'],
      [0, -1, '', ''],
      [0, -1, '\0', '\0'],
    ],
  );
});
