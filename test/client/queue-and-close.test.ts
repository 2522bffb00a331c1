// Bounded queues, closing, and the end of a link.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { bench, watch } from './fake-link.js';
import { ready, told } from './outcome.js';

const UNAVAILABLE = new EraftError('ERAFT_UNAVAILABLE', 'no leader');

test('a queue that is full refuses at the door', async () => {
  const { kv, link, clock } = bench({ queueCommandsMax: 3 });
  link.down(UNAVAILABLE);
  const kept = [1, 2, 3].map((n) => watch(kv.put(`k${n}`, '')));
  const refused = watch(kv.put('k4', ''));
  await clock.settle();
  assert.deepEqual(told(refused), ['ERAFT_OVERLOADED', 'not-applied', true]);
  link.up();
  await clock.settle();
  assert.ok(kept.every((call) => call.state === 'fulfilled'));
  const again = watch(kv.put('k4', ''));
  await clock.settle();
  assert.equal(again.state, 'fulfilled');
});

test('a queue is bounded in bytes too, and what was given up makes room', async () => {
  const { kv, link, clock } = bench({ queueBytesMax: 1_000 });
  link.down(UNAVAILABLE);
  const controller = new AbortController();
  const first = watch(kv.put('k', new Uint8Array(2_000), { signal: controller.signal }));
  const refused = watch(kv.put('k', ''));
  await clock.settle();
  assert.deepEqual(told(refused), ['ERAFT_OVERLOADED', 'not-applied', true]);
  controller.abort();
  const second = watch(kv.put('k', ''));
  link.up();
  await clock.settle();
  assert.equal(first.state, 'rejected');
  assert.equal(second.state, 'fulfilled');
});

test('reads are bounded likewise', async () => {
  const { kv, link, clock } = bench({ queueCommandsMax: 2 });
  link.down(UNAVAILABLE);
  const kept = watch(kv.getMany(['a', 'b']));
  const refused = watch(kv.get('c'));
  await clock.settle();
  assert.equal(told(refused)[0], 'ERAFT_OVERLOADED');
  link.up();
  await clock.settle();
  assert.equal(kept.state, 'fulfilled');
});

test('close waits for what is pending, and takes nothing more', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => 'hold';
  const put = watch(kv.put('k', ''));
  await clock.settle();
  const closed = watch(kv.close());
  const twice = watch(kv.close());
  const late = watch(kv.put('late', ''));
  const lateRead = watch(kv.get('late'));
  const lateStatus = watch(kv.status());
  await clock.settle();
  assert.equal(closed.state, 'pending');
  for (const call of [late, lateRead, lateStatus]) assert.equal(told(call)[0], 'ERAFT_CLOSED');
  for (const frame of link.sent) link.answerSoon(frame);
  await clock.settle();
  assert.equal(put.state, 'fulfilled');
  assert.equal(closed.state, 'fulfilled');
  assert.equal(twice.state, 'fulfilled');
  assert.equal(link.closed, true);
});

test('close rejects what is left with an honest outcome', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => 'hold';
  const sent = watch(kv.put('sent', ''));
  const read = watch(kv.get('sent'));
  await clock.settle();
  for (let i = 0; i < 8; i++) {
    void watch(kv.put('more', ''));
    await clock.settle();
  }
  const queued = watch(kv.put('queued', ''));
  const closed = watch(kv.close({ timeoutMs: 50 }));
  await clock.pass(49);
  assert.equal(closed.state, 'pending');
  await clock.pass(1);
  assert.equal(closed.state, 'fulfilled');
  assert.deepEqual(told(sent), ['ERAFT_CLOSED', 'unknown', false]);
  assert.deepEqual(told(queued), ['ERAFT_CLOSED', 'not-applied', false]);
  assert.deepEqual(told(read), ['ERAFT_CLOSED', undefined, false]);
  assert.equal(clock.alarms, 0, 'no timer is left');
});

test('await using closes', async () => {
  const b = await ready();
  {
    await using kv = b.kv;
    void kv.put('k', '');
    await b.clock.settle();
  }
  assert.equal(b.link.closed, true);
});

test('an idle store has no timer that keeps the process alive', async () => {
  const { kv, clock } = await ready();
  assert.equal(clock.alarms, 0);
  void kv.put('k', '');
  assert.equal(clock.alarms, 1);
  await clock.settle();
  assert.equal(clock.alarms, 0);
});

test('a link that has ended rejects everything, now and later', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => 'hold';
  const sent = watch(kv.put('sent', ''));
  await clock.settle();
  link.ended(new EraftError('ERAFT_FAILED', 'the disk failed', { outcome: 'not-applied' }));
  await clock.settle();
  assert.deepEqual(told(sent), ['ERAFT_FAILED', 'unknown', false]);
  const later = watch(kv.put('later', ''));
  const read = watch(kv.get('later'));
  await clock.settle();
  assert.deepEqual(told(later), ['ERAFT_FAILED', 'not-applied', false]);
  assert.equal(told(read)[0], 'ERAFT_FAILED');
  await kv.close();
});
