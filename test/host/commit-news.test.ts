import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommitNews } from '../../ts/host/commit-news.js';
import type { Heartbeat, Message } from '../../ts/raft/messages.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

const heartbeat = (to: number, commit: number, round = 0, term = 3): Heartbeat => ({
  type: 'heartbeat',
  from: 1,
  to,
  term,
  session: 1,
  commit,
  truncatable: 0,
  round,
});
const append = (to: number, commit: number): Message => ({
  ...heartbeat(to, commit),
  type: 'append',
  index: commit,
  logTerm: 3,
  entries: [],
  last: commit + 1,
});
const told = (messages: readonly Message[]): string[] =>
  messages.map((m) => `${m.type} to ${m.to}: ${'commit' in m ? m.commit : '-'}`);

function bench() {
  const time = new VirtualTime();
  let woken = 0;
  const news = new CommitNews(new ProcessClock(time), () => woken++);
  return { time, news, woken: () => woken };
}

test('a commit index alone waits for the next append, which says it too', () => {
  const { time, news, woken } = bench();
  assert.deepEqual(told(news.pass([append(2, 0), append(3, 0)])), ['append to 2: 0', 'append to 3: 0']);
  assert.deepEqual(news.pass([heartbeat(2, 1), heartbeat(3, 1)]), []);
  assert.deepEqual(told(news.pass([append(2, 1)])), ['append to 2: 1']);
  assert.deepEqual(news.takeDue(), [], 'nothing has waited long');
  time.runTo(100);
  assert.equal(woken(), 1, 'one timer for all');
  assert.deepEqual(told(news.takeDue()), ['heartbeat to 3: 1'], 'the other has heard it from its append');
  assert.deepEqual(news.takeDue(), []);
});

test('the last of several is the one that leaves, and a next one gets a timer of its own', () => {
  const { time, news, woken } = bench();
  news.pass([append(2, 0)]);
  for (const commit of [1, 2, 3]) news.pass([heartbeat(2, commit)]);
  time.runTo(50);
  assert.deepEqual(told(news.takeDue()), ['heartbeat to 2: 3']);
  news.pass([heartbeat(2, 4)]);
  time.runTo(100);
  assert.deepEqual(told(news.takeDue()), ['heartbeat to 2: 4']);
  assert.equal(woken(), 2);
});

test('what somebody waits for never waits: the first word of a term, and the round of a read', () => {
  const { news } = bench();
  assert.deepEqual(told(news.pass([heartbeat(2, 1)])), ['heartbeat to 2: 1']);
  assert.deepEqual(told(news.pass([heartbeat(2, 1, 1)])), ['heartbeat to 2: 1']);
  assert.deepEqual(told(news.pass([heartbeat(2, 1, 2)])), ['heartbeat to 2: 1']);
  assert.deepEqual(news.pass([heartbeat(2, 2, 2)]), []);
  assert.deepEqual(told(news.pass([heartbeat(2, 2, 2, 4)])), ['heartbeat to 2: 2'], 'another term, the same round');
});

test('a stopped replica says nothing more', () => {
  const { time, news, woken } = bench();
  news.pass([append(2, 0)]);
  news.pass([heartbeat(2, 1)]);
  news.stop();
  time.runTo(100);
  assert.equal(woken(), 0);
});
