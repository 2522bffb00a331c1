import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogClock } from '../../ts/host/log-clock.js';
import { Pulse } from '../../ts/host/pulse.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

test('one tick per timer call; after a gap what has arrived comes first, and the tick says that it comes after a pause', () => {
  const time = new VirtualTime();
  const clock = new ProcessClock(time);
  const seen: string[] = [];
  const pulse = new Pulse(clock, 50, 200, (_, afterPause) => seen.push(afterPause ? 'after a pause' : 'tick'));
  pulse.start();
  time.runTo(210);
  assert.deepEqual(seen, ['tick', 'tick', 'tick', 'tick']);
  clock.pause();
  time.runTo(5_000);
  clock.endOfTurn(() => seen.push('a message'));
  clock.resume();
  time.runTo(5_049);
  clock.endOfTurn(() => seen.push('another'));
  time.runTo(5_060);
  assert.deepEqual(seen.slice(4), ['a message', 'after a pause', 'another', 'tick']);
  pulse.stop();
  time.runTo(9_000);
  assert.equal(seen.length, 8);
});

test('log time goes on with the record before it, by what has passed here, at most a minute', () => {
  const time = new VirtualTime();
  const log = new LogClock(new ProcessClock(time));
  time.runTo(500);
  log.start();
  assert.equal(log.next(10_000), 10_000);
  time.runTo(500.6);
  assert.equal(log.next(10_000), 10_000);
  time.runTo(501.2);
  assert.equal(log.next(10_000), 10_001, 'parts of milliseconds add up');
  time.runTo(1_000_000);
  assert.equal(log.next(10_001), 70_001);
});
