// Point reads: gathered, answered over one snapshot, repeated as often as it takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { FRAME, frameBody, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import { decodeReadHead } from '../../ts/proto/read-batch.js';
import { readResult } from '../proto/answers.js';
import { type Bench, bench, watch } from './fake-link.js';

const UNAVAILABLE = new EraftError('ERAFT_UNAVAILABLE', 'no leader');

async function filled(): Promise<Bench> {
  const b = bench();
  void b.kv.put('a', 'one');
  void b.kv.put('b', 'two');
  void b.kv.put('raw', new Uint8Array([0xff, 0xfe]));
  await b.clock.settle();
  b.link.sent.length = 0;
  return b;
}

test('the reads of one turn are one batch for each way of reading', async () => {
  const { kv, link, clock } = await filled();
  const text = kv.as('utf8', 'utf8');
  const all = Promise.all([
    text.get('a'),
    text.get('none'),
    text.getEntry('b'),
    text.getMany(['b', 'none', 'a']),
    kv.has('a'),
    kv.has('none'),
    text.get('a', { consistency: 'stale' }),
    text.get('a', { minRevision: 3 }),
    text.getMany([]),
  ]);
  await clock.settle();
  const a = { key: 'a', value: 'one', revision: 2 };
  const b = { key: 'b', value: 'two', revision: 3 };
  assert.deepEqual(await all, ['one', undefined, b, [b, undefined, a], true, false, 'one', 'one', []]);
  assert.deepEqual(
    link.sent.map((frame) => decodeReadHead(frameBody(frame))),
    [
      { linearizable: true, noValues: false, minRevision: 0, keys: 6 },
      { linearizable: true, noValues: true, minRevision: 0, keys: 2 },
      { linearizable: false, noValues: false, minRevision: 0, keys: 1 },
      { linearizable: true, noValues: false, minRevision: 3, keys: 1 },
    ],
  );
});

test('values have memory of their own and are plain', async () => {
  const { kv, clock } = await filled();
  const get = kv.get('a');
  await clock.settle();
  const value = await get;
  assert.ok(value);
  assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype);
  assert.equal(value.buffer.byteLength, 3);
});

test('text is decoded strictly: other bytes are a TypeError, and only for their own call', async () => {
  const { kv, clock } = await filled();
  const text = kv.as('utf8', 'utf8');
  const bad = watch(text.getMany(['raw', 'a']));
  const good = watch(text.get('b'));
  const raw = watch(kv.as('utf8', 'bytes').getEntry('raw'));
  await clock.settle();
  assert.ok(bad.error instanceof TypeError);
  assert.equal(good.value, 'two');
  assert.deepEqual(raw.value, { key: 'raw', value: new Uint8Array([0xff, 0xfe]), revision: 4 });
});

test('a byte order mark is part of the text', async () => {
  const { kv, clock } = bench();
  const text = kv.as('utf8', 'utf8');
  void text.put('\ufeffk', '\ufeffv');
  const entry = watch(text.getEntry('\ufeffk'));
  await clock.pass(20);
  const again = watch(text.getEntry('\ufeffk'));
  await clock.settle();
  assert.equal(entry.state, 'fulfilled');
  assert.deepEqual(again.value, { key: '\ufeffk', value: '\ufeffv', revision: 2 });
});

test('a refused read is tried again until it is answered', async () => {
  const { kv, link, clock } = await filled();
  link.fate = (_frame, index) => (index < 3 ? UNAVAILABLE : 'answer');
  const get = watch(kv.as('utf8', 'utf8').get('a'));
  await clock.pass(200);
  assert.equal(get.value, 'one');
  assert.equal(link.sent.length, 4);
});

test('a read whose answer was lost is sent again on the next link', async () => {
  const { kv, link, clock } = await filled();
  link.fate = () => 'lose';
  const get = watch(kv.as('utf8', 'utf8').get('a'));
  await clock.settle();
  link.down(UNAVAILABLE);
  await clock.pass(100);
  assert.equal(get.state, 'pending');
  link.fate = () => 'answer';
  link.up();
  await clock.settle();
  assert.equal(get.value, 'one');
});

test('a read that nobody answers rejects at its deadline, retryable', async () => {
  const { kv, link, clock } = await filled();
  link.fate = () => 'hold';
  const get = watch(kv.get('a', { timeoutMs: 300 }));
  await clock.pass(299);
  assert.equal(get.state, 'pending');
  await clock.pass(1);
  assert.ok(EraftError.is(get.error));
  assert.deepEqual([get.error.code, get.error.retryable, get.error.outcome], ['ERAFT_READ_TIMEOUT', true, undefined]);
});

test('without a link a read says why', async () => {
  const { kv, link, clock } = await filled();
  link.down(new EraftError('ERAFT_UNAVAILABLE', 'ECONNREFUSED'));
  const get = watch(kv.get('a'));
  await clock.pass(5_000);
  assert.ok(EraftError.is(get.error));
  assert.equal(get.error.code, 'ERAFT_UNAVAILABLE');
  assert.match(get.error.message, /ECONNREFUSED/);
});

test('values that did not fit the answer are asked for again, in smaller batches', async () => {
  const { kv, model, link, clock } = bench();
  for (let i = 0; i < 9; i++) void kv.put(`k${i}`, new Uint8Array(700_000).fill(i));
  await clock.settle();
  model.answerBytesMax = 2_000_000;
  link.up({ ...link.limits, frameBytesMax: 2_000_000 });
  const gets = Array.from({ length: 9 }, (_, i) => watch(kv.get(`k${i}`)));
  await clock.settle();
  for (const [i, get] of gets.entries()) assert.equal(get.value?.[699_999], i);
});

test('getMany is of one moment, so what does not fit one answer is an error', async () => {
  const { kv, model, clock } = bench();
  for (let i = 0; i < 4; i++) void kv.put(`k${i}`, new Uint8Array(700_000));
  await clock.settle();
  model.answerBytesMax = 2_000_000;
  const many = watch(kv.getMany(['k0', 'k1', 'k2', 'k3']));
  const other = watch(kv.get('k0'));
  await clock.settle();
  assert.ok(EraftError.is(many.error));
  assert.deepEqual([many.error.code, many.error.bytes], ['ERAFT_FRAME_TOO_LARGE', 2_800_000]);
  assert.equal(other.value?.length, 700_000);
});

test('an answer that does not match its question fails the link, and the read goes on elsewhere', async () => {
  const { kv, link, clock } = await filled();
  link.fate = () => 'hold';
  const get = watch(kv.as('utf8', 'utf8').get('a'));
  await clock.settle();
  const request = readFrameHeader(link.sent[0] ?? Buffer.alloc(16)).request;
  link.deliver(frameOf(FRAME.values, 1, request, 0, readResult(9, [{ present: false }, { present: false }])));
  assert.equal(link.failures[0]?.code, 'ERAFT_BAD_REQUEST');
  assert.equal(get.state, 'pending');
  link.fate = () => 'answer';
  link.up();
  await clock.settle();
  assert.equal(get.value, 'one');
});

test('reads wait while as many as allowed are in flight, and gather', async () => {
  const { kv, link, clock } = await filled();
  link.fate = () => 'hold';
  const gets = [];
  for (let i = 0; i < 30; i++) {
    gets.push(watch(kv.get('a')));
    await clock.settle();
  }
  assert.equal(link.sent.length, 8);
  link.fate = () => 'answer';
  for (const frame of link.sent.slice(0, 8)) link.answerSoon(frame);
  await clock.settle();
  assert.ok(gets.every((get) => get.state === 'fulfilled'));
  assert.equal(link.sent.length, 9);
});

test('the status comes as documented', async () => {
  const { kv, clock } = bench();
  const status = watch(kv.status());
  await clock.settle();
  assert.equal(status.value?.leader, 1);
  assert.equal(status.value?.replicas[0]?.role, 'leader');
});

test('calls that follow each other share a timer, and an idle store has none', async () => {
  const { kv, clock } = await filled();
  assert.equal(clock.alarms, 0);
  let armed = 0;
  const { after } = clock;
  clock.after = (ms, run) => {
    armed += 1;
    return after.call(clock, ms, run);
  };
  for (let i = 0; i < 10; i++) {
    const get = kv.get('a');
    const done = get.then(() => (i === 9 ? undefined : kv.get('b'))); // before its turn ends
    await clock.settle();
    await done;
  }
  assert.ok(armed <= 10, `${armed} timers for 19 calls`);
  assert.equal(clock.alarms, 0, 'nothing keeps the process alive');
  const late = watch(kv.get('a', { timeoutMs: 50 }));
  const lost = watch(kv.get('a', { timeoutMs: 20 }));
  assert.equal(clock.alarms, 1);
  await clock.settle();
  assert.ok(late.value && lost.value);
  assert.equal(clock.alarms, 0);
});
