// Deadlines, signals, refusals and lost sessions: what a caller is told is so.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { decodeBatchHead, decodeCommands } from '../../ts/proto/command-batch.js';
import { frameBody } from '../../ts/proto/frame.js';
import { watch } from './fake-link.js';
import { ready, told } from './outcome.js';

const NOT_LEADER = new EraftError('ERAFT_NOT_LEADER', 'ask 2', { leader: { id: 2, address: '127.0.0.1:2461' } });
const UNAVAILABLE = new EraftError('ERAFT_UNAVAILABLE', 'no leader');
const DISK_FULL = new EraftError('ERAFT_DISK_FULL', 'the disk of the leader is full');
const IN_DOUBT = new EraftError('ERAFT_OUTCOME_UNKNOWN', 'the leader was lost');

test('a write that was sent and not answered in time has an unknown outcome', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => 'hold';
  const put = watch(kv.put('k', 'v', { timeoutMs: 100 }));
  await clock.pass(100);
  assert.deepEqual(told(put), ['ERAFT_TIMEOUT', 'unknown', false]);
});

test('a write that was never sent was not applied', async () => {
  const { kv, link, clock } = await ready();
  link.down(UNAVAILABLE);
  const put = watch(kv.put('k', 'v'));
  await clock.pass(4_999);
  assert.equal(put.state, 'pending');
  await clock.pass(1);
  assert.deepEqual(told(put), ['ERAFT_UNAVAILABLE', 'not-applied', true]);
  link.up();
  await clock.pass(10_000);
  assert.equal(link.sent.length, 0, 'and is not sent afterwards');
});

test('a batch that was refused for certain is not applied after its callers were told so', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = () => UNAVAILABLE;
  const short = watch(kv.put('short', 'v', { timeoutMs: 50 }));
  const long = watch(kv.put('long', 'v'));
  await clock.pass(60);
  assert.deepEqual(told(short), ['ERAFT_UNAVAILABLE', 'not-applied', true]);
  assert.equal(long.state, 'pending');
  link.fate = () => 'answer';
  await clock.pass(2_000);
  assert.equal(long.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['long'],
  );
});

test('the writes behind a hole in the session move to another session and are applied once', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = (_f, index) => (index === 0 ? UNAVAILABLE : 'hold');
  const first = watch(kv.put('a', '1', { timeoutMs: 5 }));
  await clock.endTurn();
  const second = watch(kv.put('b', '2'));
  await clock.endTurn();
  assert.equal(link.sent.length, 2, 'both are on their way');
  const [, late] = link.sent;
  await clock.pass(5);
  assert.deepEqual(told(first), ['ERAFT_UNAVAILABLE', 'not-applied', true]);
  link.fate = () => 'answer';
  await clock.pass(100);
  assert.equal(second.state, 'fulfilled');
  assert.ok(late);
  model.handle(late); // the copy of the old session arrives after all
  assert.deepEqual(
    model.applied.map((a) => [a.key, a.value]),
    [['b', '2']],
  );
});

test('a full disk is told by name, when the time is up', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => DISK_FULL;
  const put = watch(kv.put('k', 'v', { timeoutMs: 500 }));
  await clock.pass(500);
  assert.deepEqual(told(put), ['ERAFT_DISK_FULL', 'not-applied', true]);
});

test('a copy in doubt keeps the outcome unknown, whatever is refused later', async () => {
  const { kv, link, clock } = await ready();
  link.fate = (_f, index) => (index === 0 ? IN_DOUBT : UNAVAILABLE);
  const put = watch(kv.put('k', 'v', { timeoutMs: 500 }));
  await clock.pass(500);
  assert.ok(link.sent.length > 2);
  assert.deepEqual(told(put), ['ERAFT_TIMEOUT', 'unknown', false]);
});

test('every copy has the same body', async () => {
  const { kv, link, clock } = await ready();
  link.fate = (_f, index) =>
    index < 4 ? ([NOT_LEADER, IN_DOUBT, UNAVAILABLE, 'lose answer' as const][index] ?? 'lose') : 'answer';
  const put = watch(kv.increment('k'));
  await clock.pass(300);
  link.down(UNAVAILABLE);
  link.up();
  await clock.settle();
  assert.equal(put.value?.value, 1);
  assert.equal(link.sent.length, 5);
  const bodies = new Set(link.sent.map((frame) => Buffer.from(frameBody(frame)).toString('hex')));
  assert.equal(bodies.size, 1);
  assert.deepEqual(link.followed[0], { id: 2, address: '127.0.0.1:2461' });
});

test('a batch whose callers gave up is finished in the background, so that those behind it are applied', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = () => 'lose';
  const lost = watch(kv.put('a', '1', { timeoutMs: 100 }));
  await clock.pass(150);
  assert.deepEqual(told(lost), ['ERAFT_TIMEOUT', 'unknown', false]);
  const next = watch(kv.put('b', '2'));
  await clock.settle();
  link.fate = () => 'answer';
  link.down(UNAVAILABLE);
  link.up();
  await clock.settle();
  assert.equal(next.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['a', 'b'],
  );
});

test('a gap is filled before what is behind it is sent again', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = (_f, index) => (index === 0 ? UNAVAILABLE : 'answer');
  const calls = [];
  for (const key of ['a', 'b', 'c']) {
    calls.push(watch(kv.put(key, '')));
    await clock.endTurn();
  }
  await clock.pass(200);
  assert.ok(calls.every((call) => call.state === 'fulfilled'));
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['a', 'b', 'c'],
  );
  const sequences = link.sent.map((frame) => decodeBatchHead(frameBody(frame)).sequence);
  assert.deepEqual(sequences, [2, 3, 4, 2, 3, 4]);
});

test('a batch acknowledges only what was answered: a lost result is still there when it is asked for again', async () => {
  const { kv, link, clock } = await ready();
  link.fate = (_f, index) => (index === 0 ? 'lose answer' : 'answer');
  const first = watch(kv.increment('n', 5));
  await clock.endTurn();
  const second = watch(kv.increment('n', 1));
  await clock.settle();
  assert.equal(second.value?.value, 6);
  link.down(UNAVAILABLE);
  link.up();
  await clock.settle();
  assert.equal(first.value?.value, 5);
});

test('a session that was forgotten: what cannot have been applied goes on in a new one', async () => {
  const { kv, model, clock } = await ready();
  model.sessions.clear();
  const put = watch(kv.put('k', 'v'));
  await clock.settle();
  assert.equal(put.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['k'],
  );
});

test('a session that was forgotten: what may have been applied is told to be in doubt', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = () => 'lose answer';
  const first = watch(kv.put('a', ''));
  const never = () => watch(kv.put('b', ''));
  await clock.settle();
  link.down(UNAVAILABLE);
  const second = never();
  model.sessions.clear();
  link.fate = () => 'answer';
  link.up();
  await clock.settle();
  assert.deepEqual(told(first), ['ERAFT_SESSION_EXPIRED', 'unknown', false]);
  assert.equal(second.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['a', 'b'],
  );
});

test('results that are no longer stored: puts know theirs from the revision, others are in doubt', async () => {
  const { kv, link, clock } = await ready();
  link.fate = () => 'hold';
  const put = watch(kv.put('a', ''));
  const increment = watch(kv.increment('n'));
  await clock.settle();
  const { resultBatch } = await import('../proto/answers.js');
  const { FRAME, frameOf, readFrameHeader } = await import('../../ts/proto/frame.js');
  const request = readFrameHeader(link.sent[0] ?? Buffer.alloc(16)).request;
  link.deliver(
    frameOf(FRAME.written, 1, request, 0, resultBatch({ status: 3, firstRevision: 40, count: 2, lastSequence: 2 })),
  );
  await clock.settle();
  assert.deepEqual(put.value, { revision: 40 });
  assert.deepEqual(told(increment), ['ERAFT_OUTCOME_UNKNOWN', 'unknown', false]);
  assert.match(String(increment.error), /revision 41/);
});

test('a request that the cluster refuses for good rejects its own turn, and the next turns go on', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = (_f, index) => (index === 0 ? new EraftError('ERAFT_BAD_REQUEST', 'unknown kind') : 'answer');
  const bad = watch(kv.put('bad', ''));
  await clock.endTurn();
  const good = watch(kv.put('good', ''));
  await clock.pass(100);
  assert.deepEqual(told(bad), ['ERAFT_BAD_REQUEST', 'not-applied', false]);
  assert.equal(good.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['good'],
  );
});

test('an aborted write: still queued, it is not applied; sent, it is unknown', async () => {
  const { kv, model, link, clock } = await ready();
  link.fate = () => 'hold';
  const controller = new AbortController();
  const sent = watch(kv.put('sent', '', { signal: controller.signal }));
  await clock.settle();
  const queued = watch(kv.put('queued', '', { signal: controller.signal }));
  const neighbour = watch(kv.put('neighbour', ''));
  controller.abort(new Error('enough'));
  await clock.settle();
  assert.deepEqual(told(sent), ['ERAFT_ABORTED', 'unknown', false]);
  assert.deepEqual(told(queued), ['ERAFT_ABORTED', 'not-applied', false]);
  assert.equal((queued.error as Error).name, 'AbortError');
  assert.equal(((queued.error as Error).cause as Error).message, 'enough');
  link.fate = () => 'answer';
  for (const frame of link.sent) link.answerSoon(frame);
  await clock.settle();
  assert.equal(neighbour.state, 'fulfilled');
  assert.deepEqual(
    model.applied.map((a) => a.key),
    ['sent', 'neighbour'],
  );
  const late = watch(kv.put('late', '', { signal: controller.signal }));
  const read = watch(kv.get('late', { signal: controller.signal }));
  await clock.settle();
  assert.deepEqual(told(late), ['ERAFT_ABORTED', 'not-applied', false]);
  assert.equal((read.error as Error).name, 'AbortError');
});

test('a signal is let go of when the call is settled', async () => {
  const { kv, clock } = await ready();
  const controller = new AbortController();
  const put = kv.put('k', '', { signal: controller.signal });
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
  await clock.settle();
  await put;
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
});

test('a transaction whose entries did not fit the answer changed nothing and is tried in a batch of its own', async () => {
  const { kv, link, clock } = await ready();
  const { resultBatch } = await import('../proto/answers.js');
  const { FRAME, frameOf, readFrameHeader } = await import('../../ts/proto/frame.js');
  link.fate = (_f, index) => (index === 0 ? 'hold' : 'answer');
  const put = watch(kv.put('a', '1'));
  const swap = watch(kv.as('utf8', 'utf8').compareAndSwap({ key: 'k', revision: 7 }, 'v'));
  await clock.settle();
  const request = readFrameHeader(link.sent[0] ?? Buffer.alloc(16)).request;
  const results = [{}, { status: 1, count: 1 }, { status: 1, flags: 1 | 2 | 4, valueLength: 1 << 20, revision: 3 }];
  link.deliver(
    frameOf(FRAME.written, 1, request, 0, resultBatch({ firstRevision: 9, count: 2, lastSequence: 2, results })),
  );
  await clock.settle();
  assert.deepEqual(put.value, { revision: 9 });
  const again = link.sent[1];
  assert.ok(again);
  assert.deepEqual(
    decodeCommands(frameBody(again)).map((c) => [c.kind, c.number]),
    [
      [6, 0],
      [16, 7],
      [1, 0],
    ],
  );
  assert.equal(swap.state, 'pending', 'the model answers it with a gap: it never saw the first copy');
});
