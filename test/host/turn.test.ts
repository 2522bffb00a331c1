// The parts of a turn, each by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { LIMITS } from '../../ts/base/limits.js';
import { Applier } from '../../ts/host/applier.js';
import { checkHostOptions, checkLogSizes, HOST_TIMES, REPLICA_LIMITS } from '../../ts/host/options.js';
import { Proposals } from '../../ts/host/proposals.js';
import { Slab, Stage } from '../../ts/host/stage.js';
import { Tags } from '../../ts/host/tags.js';
import { Deadlines, Pending } from '../../ts/kv/pending.js';
import type { StateMachine } from '../../ts/storage/index.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

test('batches of a turn are joined behind room for one header, padded, up to the largest entry', () => {
  const proposals = new Proposals<string>();
  proposals.add(Buffer.from('..abc..'), 2, 5, 1, 'a');
  proposals.add(Buffer.from('defghijkl'), 0, 9, 4, 'b');
  const [record, more] = proposals.drain();
  assert.equal(more, undefined);
  assert.deepEqual([record?.start, record?.end, record?.commands, record?.waiters], [0, 56 + 16 + 24, 5, ['a', 'b']]);
  const payload = Buffer.from(record?.slab.bytes.subarray(56, record.end) ?? []);
  assert.equal(payload.toString('latin1'), '\x03\0\0\0\0\0\0\0abc\0\0\0\0\0\x09\0\0\0\0\0\0\0defghijkl\0\0\0\0\0\0\0');
  proposals.clear();
  const big = new Uint8Array(LIMITS.batchBytesMax);
  for (let i = 0; i < 5; i++) proposals.add(big, 0, big.length, 1, `${i}`);
  const records = proposals.drain();
  assert.deepEqual(
    records.map((r) => r.waiters.length),
    [1, 1, 1, 1, 1],
  );
  for (const r of records) assert.ok(r.end - r.start <= LIMITS.entryBytesMax);
});

test('what is gathered while a turn is under way belongs to the next, and is not written over', () => {
  const proposals = new Proposals<number>();
  proposals.add(Buffer.from('first'), 0, 5, 1, 1);
  const [first] = proposals.drain();
  proposals.add(Buffer.from('second'), 0, 6, 1, 2);
  assert.equal(Buffer.from(first?.slab.bytes.subarray(64, 69) ?? []).toString(), 'first');
  assert.throws(() => proposals.drain(), /drained before/);
  proposals.clear();
  const [second] = proposals.drain();
  assert.equal(Buffer.from(second?.slab.bytes.subarray(64, 70) ?? []).toString(), 'second');
});

test('an entry finds its own bytes, whatever else came for its index in the turn', () => {
  const stage = new Stage();
  const slab = new Slab(8);
  const add = (index: number, term: number, start: number): void =>
    stage.add({
      entry: { index, term, bytes: 8 },
      slab,
      start,
      end: start + 8,
      kind: 2,
      time: 0,
      nextRevision: 0,
      from: 2,
    });
  add(10, 5, 0);
  add(10, 3, 8); // another leader's, of an older term: not newer for having come later
  add(11, 5, 16);
  assert.equal(stage.find({ index: 10, term: 5, bytes: 8 })?.start, 0);
  assert.equal(stage.find({ index: 10, term: 3, bytes: 8 })?.start, 8);
  assert.equal(stage.find({ index: 10, term: 4, bytes: 8 }), undefined);
});

test('a follower applies late and in bulk: by bytes, by time, or when somebody waits; never beyond what is allowed', () => {
  const time = new VirtualTime();
  const runs: [number, boolean][] = [];
  const evaluated: number[] = [];
  let done = 0;
  let inline = true;
  const machine = {
    evaluate: (_: number, to: number) => evaluated.push(to) > 0,
    apply: (_: number, to: number, results: boolean) => {
      runs.push([to, results]);
      if (inline) done = to;
      return inline;
    },
    applied: () => done,
  } as unknown as StateMachine;
  let woken = 0;
  const limits = { ...REPLICA_LIMITS, applyLagBytesMax: 100, applyIdleMs: 50 };
  const applier = new Applier(machine, 1, 0, limits, new ProcessClock(time), () => woken++);
  const nobody = (): boolean => false;

  applier.allow(3, 60);
  assert.equal(applier.run(nobody), false);
  time.runTo(49);
  assert.equal(woken, 0);
  time.runTo(51);
  assert.deepEqual([woken, applier.run(nobody), runs], [1, true, [[3, false]]]);

  applier.allow(5, 100);
  assert.ok(applier.run(nobody), 'by bytes');
  applier.allow(6, 1);
  applier.demand();
  assert.ok(applier.run(nobody), 'a read');
  applier.allow(7, 1);
  applier.demand();
  assert.ok(
    applier.run((from, to) => from === 6 && to === 7),
    'a writer, and a read',
  );
  assert.deepEqual(runs.slice(1), [[5, false], [6, false], [7, true]]); // biome-ignore format: one line
  assert.deepEqual(evaluated, []);
  assert.equal(
    applier.run(() => true),
    false,
    'nothing more is allowed',
  );

  inline = false;
  for (const to of [8, 9, 10]) {
    applier.allow(to, 1);
    applier.demand();
    assert.equal(
      applier.run(() => true),
      false,
    );
  }
  assert.equal(runs.at(-1)?.[0], 9, 'two runs at the thread, the rest waits for one of them');
  assert.deepEqual(evaluated, [10], 'results do not wait for a run');
  assert.equal(applier.applied, 7, 'handed over is not applied');
  done = 9;
  assert.ok(applier.progress());
  assert.equal(applier.applied, 9);
  applier.run(() => true);
  assert.equal(runs.at(-1)?.[0], 10);
});

test('a leader has results made at once, each once, and what they come from written late and in bulk', () => {
  const time = new VirtualTime();
  const calls: [string, number, boolean?][] = [];
  const machine = {
    evaluate: (_: number, to: number) => calls.push(['evaluate', to]) > 0,
    apply: (_: number, to: number, results: boolean) => calls.push(['apply', to, results]) > 0,
    applied: () => 0,
  } as unknown as StateMachine;
  let woken = 0;
  const limits = { ...REPLICA_LIMITS, applyLagBytesMax: 100, applyIdleMs: 50 };
  const applier = new Applier(machine, 1, 0, limits, new ProcessClock(time), () => woken++);
  const waitsFor = (index: number) => (from: number, to: number) => from < index && index <= to;
  for (const to of [1, 2]) {
    applier.allow(to, 10);
    assert.equal(applier.run(waitsFor(to)), false);
    assert.equal(applier.run(waitsFor(to)), false, 'nobody waits any more');
    assert.equal(applier.applied, 0, 'evaluated is not applied');
    time.runTo(20 * to);
  }
  assert.deepEqual(calls, [['evaluate', 1], ['evaluate', 2]]); // biome-ignore format: one line
  time.runTo(51);
  assert.equal(woken, 1);
  applier.allow(3, 10);
  assert.ok(applier.run(waitsFor(3)), 'by time');
  applier.allow(4, 100);
  assert.ok(applier.run(waitsFor(0)), 'by bytes');
  assert.deepEqual(calls.slice(2), [['apply', 3, true], ['apply', 4, false]]); // biome-ignore format: one line
  assert.equal(applier.applied, 4);
});

test('tags: none is given twice while it is under way, and none is left without an answer', () => {
  const tags = new Tags();
  const seen: number[] = [];
  const first = tags.take(() => seen.push(1));
  const second = tags.take((status) => seen.push(status));
  assert.notEqual(first, second);
  tags.release(first)?.(0, new Uint8Array(0), 0, 0);
  assert.equal(tags.release(first), undefined);
  tags.abandon(12, 'closed');
  assert.deepEqual([seen, tags.count], [[1, 12], 0]);
});

test('deadlines: each is told once, not before its time, at most a tick after it', () => {
  const late: number[] = [];
  const deadlines = new Deadlines(1_000);
  const from = { alive: true, reply: () => undefined };
  const times = [1_000, 1_001, 1_033, 1_500, 9_000, 9_300, 60_000, 600_000];
  for (const at of times) deadlines.add(new Pending(from, 3, 1, 1, at));
  for (let now = 1_000; now <= 700_000; now += 50) {
    deadlines.advance(now, (pending) => {
      assert.ok(pending.deadline <= now && now - pending.deadline <= 50 + 64, `${pending.deadline} at ${now}`);
      late.push(pending.deadline);
      pending.expire();
    });
  }
  assert.deepEqual(late, times);
});

test('options that contradict each other are refused, not repaired', () => {
  const bad = [
    () => checkHostOptions({ ...REPLICA_LIMITS, inflightMessagesMax: 0 }, HOST_TIMES),
    () => checkHostOptions({ ...REPLICA_LIMITS, maxLogBytes: -2 }, HOST_TIMES),
    () => checkHostOptions({ ...REPLICA_LIMITS, proposalBytesMax: 1000 }, HOST_TIMES),
    () => checkHostOptions({ ...REPLICA_LIMITS, appendBytesMax: LIMITS.peerFrameBytesMax }, HOST_TIMES),
    () => checkHostOptions(REPLICA_LIMITS, { electionTimeoutMs: 100, heartbeatIntervalMs: 50 }),
    () => checkHostOptions(REPLICA_LIMITS, { electionTimeoutMs: 100, heartbeatIntervalMs: 0 }),
    () => checkLogSizes(2 * LIMITS.entryBytesMax, -1),
    () => checkLogSizes(64 * 1024 * 1024, 255 * 1024 * 1024),
  ];
  for (const check of bad) assert.throws(check, (e) => EraftError.is(e) && e.code === 'ERAFT_CONFIG');
  checkHostOptions(REPLICA_LIMITS, HOST_TIMES);
});
