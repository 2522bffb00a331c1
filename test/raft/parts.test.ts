// The parts of the core that are worth testing alone: each against a model that is too simple to be wrong.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ByteTotals } from '../../ts/raft/byte-totals.js';
import { Inflights } from '../../ts/raft/inflights.js';
import { Progress } from '../../ts/raft/progress.js';
import { Majority } from '../../ts/raft/quorum.js';
import { RaftLog } from '../../ts/raft/raft-log.js';
import { TermRuns } from '../../ts/raft/term-runs.js';

const seed = Number(process.env.ERAFT_SEED ?? 1);
const check = (property: fc.IProperty<never>) => fc.assert(property as fc.IProperty<unknown>, { seed, numRuns: 300 });

describe('quorum', () => {
  test('reached: the largest value that a majority has, for any values (openraft 1802)', () => {
    const values = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 9 });
    check(
      fc.property(values, (matches) => {
        const majority = new Majority(matches.map((_, i) => i + 1));
        const reached = majority.reached((id) => matches[id - 1] as number);
        const holders = (value: number) => matches.filter((m) => m >= value).length;
        assert.ok(2 * holders(reached) > matches.length);
        assert.ok(2 * holders(reached + 1) <= matches.length);
      }) as never,
    );
  });

  test('verdict: won with a majority, lost when the rest cannot make one', () => {
    const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 1, maxLength: 9 });
    check(
      fc.property(votes, (given) => {
        const majority = new Majority(given.map((_, i) => i + 1));
        const granted = given.filter((v) => v === true).length;
        const open = given.filter((v) => v === undefined).length;
        const won = 2 * granted > given.length;
        const possible = 2 * (granted + open) > given.length;
        assert.equal(
          majority.verdict((id) => given[id - 1]),
          won ? 'won' : possible ? 'pending' : 'lost',
        );
      }) as never,
    );
  });
});

describe('log', () => {
  /** A log as plain arrays. */
  class Model {
    compacted = 0;
    entries: { term: number; bytes: number }[] = []; // from index 1 on, compacted ones too
  }

  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('push' as const),
        by: fc.integer({ min: 0, max: 2 }),
        bytes: fc.integer({ min: 1, max: 50 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('cut' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('compact' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
  );

  test('terms and sizes agree with plain arrays, through growth, truncation and compaction', () => {
    check(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 200 }), (steps, bytesMax) => {
        const model = new Model();
        const terms = new TermRuns(0, 0);
        const totals = new ByteTotals(0);
        for (const s of steps) {
          const retained = model.entries.length - model.compacted;
          if (s.do === 'push') {
            const term = (model.entries.at(-1)?.term ?? 0) + s.by;
            model.entries.push({ term, bytes: s.bytes });
            terms.append(model.entries.length, term);
            totals.push(s.bytes);
          } else if (s.do === 'cut') {
            model.entries.length = model.compacted + Math.floor(s.part * retained);
            terms.truncateAfter(model.entries.length);
            totals.truncateAfter(model.entries.length);
          } else {
            model.compacted += Math.floor(s.part * retained);
            terms.compactTo(model.compacted);
            totals.compactTo(model.compacted);
          }
        }
        compare(model, terms, totals, bytesMax);
      }) as never,
    );
  });

  function compare(model: Model, terms: TermRuns, totals: ByteTotals, bytesMax: number): void {
    const last = model.entries.length;
    const termAt = (index: number) => model.entries[index - 1]?.term ?? 0;
    for (let index = model.compacted; index <= last; index++) {
      assert.equal(terms.at(index), termAt(index));
      if (index > model.compacted) assert.equal(totals.bytesOf(index), model.entries[index - 1]?.bytes);
      for (const term of [0, termAt(index) - 1, termAt(index)]) {
        let expected = index;
        while (expected >= model.compacted && termAt(expected) > term) expected -= 1;
        assert.equal(terms.lastAtMost(index, term), Math.max(expected, model.compacted - 1));
      }
      if (index === last) continue;
      let fit = index + 1;
      while (fit < last && totals.between(index, fit + 1) <= bytesMax) fit += 1;
      assert.equal(totals.fit(index, last, bytesMax), fit);
    }
  }

  test('a log that is opened knows every term and size', () => {
    const log = new RaftLog({
      hardState: { term: 9, vote: 0, commit: 12 },
      compactedIndex: 10,
      compactedTerm: 3,
      termRuns: [
        [11, 3],
        [13, 5],
      ],
      sizes: Uint32Array.of(100, 200, 300, 400),
      appliedIndex: 11,
    });
    assert.deepEqual(
      [10, 11, 12, 13, 14].map((i) => log.termAt(i)),
      [3, 3, 3, 5, 5],
    );
    assert.deepEqual([log.bytesBetween(10, 14), log.bytesBetween(3, 11), log.uncommittedBytes], [1_000, 100, 700]);
    assert.deepEqual(
      [log.holds(9, 3), log.holds(10, 3), log.holds(14, 5), log.holds(15, 5)],
      [false, true, true, false],
    );
    assert.deepEqual([log.commit, log.applicable, log.durable, log.last], [12, 12, 14, 14]);
  });

  test('etcd 76f1249: a compacted entry matches nothing, not even term 0', () => {
    const initial = { hardState: { term: 3, vote: 0, commit: 10 }, compactedIndex: 10, compactedTerm: 3 };
    const log = new RaftLog({ ...initial, termRuns: [], sizes: [], appliedIndex: 10 });
    assert.deepEqual([log.holds(5, 0), log.holds(5, 3), log.holds(11, 0)], [false, false, false]);
  });
});

describe('inflights', () => {
  test('bounded in messages and bytes, freed in order, through growth', () => {
    const window = new Inflights(100, 1_000);
    for (let i = 1; i <= 100; i++) window.add(i, 1);
    assert.deepEqual([window.full, window.count, window.bytes], [true, 100, 100]);
    window.free(60);
    for (let i = 101; i <= 120; i++) window.add(i, 10);
    assert.deepEqual([window.full, window.count, window.bytes], [false, 60, 240]);
    window.add(121, 5_000);
    assert.equal(window.full, true);
    assert.throws(() => window.add(122, 1));
    window.free(121);
    assert.deepEqual([window.full, window.count, window.bytes], [false, 0, 0]);
  });
});

describe('progress', () => {
  const fresh = (next: number) => new Progress(2, 1, next, new Inflights(4, 1_000));

  test('a refusal is followed only if it is about the probe that is out', () => {
    const p = fresh(10);
    p.sent(12, 300);
    assert.equal(p.refuse(4, 3), false);
    assert.equal(p.refuse(9, 6), true);
    assert.deepEqual([p.state, p.next, p.asksOnly], ['probe', 7, true]);
  });

  test('a refusal of what has been acknowledged since is stale', () => {
    const p = fresh(10);
    p.sent(12, 300);
    p.acknowledge(12);
    p.appendGranted();
    assert.equal(p.state, 'replicate');
    assert.deepEqual([p.refuse(12, 3), p.refuse(9, 3)], [false, false]);
    assert.deepEqual([p.state, p.next], ['replicate', 13]);
    assert.equal(p.refuse(13, 12), true);
    assert.deepEqual([p.state, p.next, p.asksOnly], ['probe', 13, false]);
  });

  test('each refusal takes a probe back, so that probing ends', () => {
    for (let rejected = 9; rejected > 0; rejected = fresh(rejected + 1).next - 2) {
      const p = fresh(rejected + 1);
      p.sent(rejected, 0);
      p.refuse(rejected, rejected + 5);
      assert.ok(p.next <= rejected);
    }
  });

  test('what travelled with a probe that matched is not sent again', () => {
    const p = fresh(10);
    p.sent(12, 300);
    p.acknowledge(9);
    p.appendGranted();
    assert.deepEqual([p.state, p.next, p.inflights.count, p.inflights.bytes], ['replicate', 13, 1, 300]);
  });

  test('a heartbeat asks again for what made no progress since the one before', () => {
    const p = fresh(10);
    p.sent(9, 0);
    p.acknowledge(9);
    p.appendGranted();
    p.sent(10, 100);
    p.heartbeatLeft();
    p.heartbeatAnswered();
    assert.equal(p.wants(10), false);
    p.heartbeatLeft();
    p.heartbeatAnswered();
    assert.equal(p.wants(10), true);
    p.sent(10, 0);
    assert.equal(p.wants(10), false);
  });

  test('a commit index is news as far as it concerns what the follower holds', () => {
    const p = fresh(10);
    p.sent(9, 0);
    p.acknowledge(9);
    p.appendGranted();
    assert.equal(p.missesCommit(9), true);
    p.toldCommit(9);
    assert.deepEqual([p.missesCommit(9), p.missesCommit(20)], [false, false]);
    p.sent(15, 100);
    assert.equal(p.missesCommit(20), false);
    p.acknowledge(15);
    assert.equal(p.missesCommit(20), true);
  });
});
