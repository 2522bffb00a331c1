// The rules that keep it safe, as far as they are the core's: 1, 2, 3, 4, 5 and 8. Each test fails when its rule is broken.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AppendReply, InvariantError, RaftNode } from '../../ts/raft/index.js';
import { Cluster, CONFIG_DEFAULT, diskWith, initialOf } from './harness.js';

const slow = (voters: number[]) => new Cluster({ voters, slowDisks: true, preVote: false });

/** An append from `from` to replica 1. */
function append(o: { from: number; term: number; index: number; logTerm: number; terms: number[]; commit?: number }) {
  const records = o.terms.map((term, i) => ({ index: o.index + 1 + i, term, bytes: 100, text: '' }));
  const { from, term, index, logTerm, commit = 0 } = o;
  const envelope = { from, to: 1, term, session: 1, commit, truncatable: 0, round: 0 };
  return { type: 'append', ...envelope, index, logTerm, entries: [], records, last: index + o.terms.length } as const;
}

const acks = (cluster: Cluster, to: number) =>
  cluster.take(1, to).filter((m): m is AppendReply => m.type === 'appendReply' && m.granted);

describe('rule 1: a term is asserted only when it is durable', () => {
  test('no request leaves, and no vote is counted, before the candidate has its term on disk', () => {
    const cluster = slow([1, 2, 3]);
    cluster.node(1).campaign();
    cluster.member(1).process();
    assert.equal(cluster.links.size, 0);
    // Grants that could only come of an earlier life are not enough, though they are all it needs.
    for (const from of [2, 3]) {
      cluster.member(1).step({ type: 'voteReply', from, to: 1, term: 1, granted: true });
    }
    cluster.member(1).process();
    assert.equal(cluster.node(1).role, 'candidate');
    assert.equal(cluster.links.size, 0);
    cluster.complete(1);
    assert.equal(cluster.node(1).role, 'leader');
  });

  test('the report of an earlier term does not make a candidate durable', () => {
    const cluster = slow([1, 2, 3]);
    cluster.node(1).campaign();
    cluster.member(1).process();
    cluster.node(1).campaign();
    cluster.member(1).process();
    cluster.complete(1, 1);
    for (const from of [2, 3]) cluster.member(1).step({ type: 'voteReply', from, to: 1, term: 2, granted: true });
    assert.equal(cluster.node(1).role, 'candidate');
    cluster.complete(1);
    assert.equal(cluster.node(1).role, 'leader');
  });

  test('the report of a term does not make the vote durable that was given later in it', () => {
    const disks = { 1: diskWith([1], { term: 1, vote: 0, commit: 0 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, slowDisks: true });
    // A candidate that is refused brings the term; a better one of the same term gets the vote.
    cluster.member(1).step({ type: 'vote', from: 2, to: 1, term: 2, index: 0, logTerm: 0 });
    cluster.member(1).process();
    cluster.member(1).step({ type: 'vote', from: 3, to: 1, term: 2, index: 1, logTerm: 1 });
    cluster.member(1).process();
    cluster.complete(1, 1);
    // It asks again: the promise is made, and must not be repeated before the disk knows of it.
    cluster.member(1).step({ type: 'vote', from: 3, to: 1, term: 2, index: 1, logTerm: 1 });
    cluster.member(1).process();
    const granted = () => cluster.take(1, 3).filter((m) => m.type === 'voteReply' && m.granted).length;
    assert.equal(granted(), 0);
    cluster.complete(1);
    assert.equal(granted(), 2);
  });

  test('a vote leaves when it is durable, and survives a crash', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step({ type: 'vote', from: 2, to: 1, term: 1, index: 0, logTerm: 0 });
    cluster.member(1).process();
    assert.deepEqual(cluster.take(1, 2), []);
    cluster.complete(1);
    assert.deepEqual(cluster.take(1, 2), [{ type: 'voteReply', from: 1, to: 2, term: 1, granted: true }]);
    cluster.member(1).crash();
    cluster.member(1).restart();
    cluster.member(1).step({ type: 'vote', from: 3, to: 1, term: 1, index: 5, logTerm: 1 });
    cluster.member(1).process();
    assert.deepEqual(cluster.take(1, 3), [{ type: 'voteReply', from: 1, to: 3, term: 1, granted: false }]);
  });

  test('a term that was left before its Ready takes its requests along', () => {
    const cluster = slow([1, 2, 3]);
    cluster.node(1).campaign();
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 2, to: 1, term: 7, session: 1, commit: 0, truncatable: 0, round: 0 });
    cluster.member(1).process();
    cluster.complete(1);
    assert.equal(
      [...cluster.links.values()].flat().some((m) => m.type === 'vote'),
      false,
    );
  });
});

describe('rule 2: a success ack carries min(own durable, highest index proven to match this leader in this term)', () => {
  test('not what is only proven', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1, 1] }));
    cluster.member(1).process();
    assert.deepEqual(acks(cluster, 2), []);
    cluster.complete(1);
    assert.deepEqual(
      acks(cluster, 2).map((m) => m.index),
      [0, 2],
    );
  });

  test('not what is only durable', () => {
    const disks = { 1: diskWith([1, 1, 1, 1, 1], { term: 1, vote: 0, commit: 0 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks });
    // The old suffix 3..5 is on disk, and nobody knows yet whether it is this leader's.
    cluster.member(1).step(append({ from: 2, term: 2, index: 2, logTerm: 1, terms: [] }));
    cluster.turn(1);
    assert.deepEqual(
      acks(cluster, 2).map((m) => m.index),
      [2],
    );
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 2, to: 1, term: 2, session: 1, commit: 5, truncatable: 0, round: 0 });
    cluster.turn(1);
    assert.deepEqual(
      cluster.take(1, 2).map((m) => 'index' in m && m.index),
      [2],
    );
    assert.equal(cluster.node(1).commit, 2);
  });

  test('what matched the leader of an earlier term says nothing about this one', () => {
    const disks = { 1: diskWith([1, 1], { term: 1, vote: 0, commit: 0 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks });
    cluster.member(1).step(append({ from: 2, term: 2, index: 2, logTerm: 1, terms: [2, 2] }));
    cluster.turn(1);
    assert.equal(acks(cluster, 2).at(-1)?.index, 4);
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 3, to: 1, term: 3, session: 1, commit: 4, truncatable: 0, round: 0 });
    cluster.turn(1);
    assert.deepEqual(
      cluster.take(1, 3).map((m) => 'index' in m && m.index),
      [0],
    );
    assert.equal(cluster.node(1).commit, 0);
  });
});

describe('rule 3: a durable completion names (log epoch, group, term, index)', () => {
  test('a report of an earlier epoch is ignored, be it of the same term', () => {
    const disks = { 1: diskWith([1, 1, 1, 1, 1], { term: 1, vote: 0, commit: 0 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, slowDisks: true });
    // Term 2 is asked to be written over the old log of 5; then entries 4 and 5 are replaced, in term 2 still.
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 2, to: 1, term: 2, session: 1, commit: 0, truncatable: 0, round: 0 });
    cluster.member(1).process();
    cluster.member(1).step(append({ from: 2, term: 2, index: 3, logTerm: 1, terms: [2, 2] }));
    cluster.member(1).process();
    cluster.complete(1, 1);
    assert.deepEqual(acks(cluster, 2), []);
    cluster.complete(1);
    assert.equal(acks(cluster, 2).at(-1)?.index, 5);
  });

  test('a report of an earlier term is ignored; the one that entering the new term asks for covers the log', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1, 1], commit: 2 }));
    cluster.member(1).process();
    cluster.member(1).step(append({ from: 3, term: 2, index: 2, logTerm: 1, terms: [] }));
    cluster.member(1).process();
    cluster.complete(1, 1);
    assert.deepEqual([acks(cluster, 3), cluster.member(1).applied], [[], 0]);
    cluster.complete(1);
    assert.deepEqual([acks(cluster, 3).at(-1)?.index, cluster.member(1).applied], [2, 2]);
  });

  test('reports may come late, out of order, or not at all if a later one does', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1] }));
    cluster.member(1).process();
    cluster.member(1).step(append({ from: 2, term: 1, index: 1, logTerm: 1, terms: [1] }));
    cluster.member(1).process();
    cluster.member(1).complete();
    cluster.member(1).reports.reverse();
    cluster.member(1).report(1);
    cluster.turn(1);
    assert.equal(acks(cluster, 2).at(-1)?.index, 2);
    cluster.member(1).report(1);
    cluster.turn(1);
    assert.deepEqual(acks(cluster, 2), []);
  });
});

describe('rule 4: apply <= min(commit, own durable)', () => {
  test('an entry that the others committed waits for our disk', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1, 1], commit: 2 }));
    cluster.member(1).process();
    assert.equal(cluster.node(1).commit, 2);
    assert.equal(cluster.member(1).applied, 0);
    cluster.complete(1);
    assert.equal(cluster.member(1).applied, 2);
  });

  test('the core refuses to hear of more', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1], commit: 1 }));
    cluster.member(1).process();
    assert.throws(() => cluster.node(1).onApplied(1), InvariantError);
  });

  test('the commit index on disk never covers entries that are not', () => {
    const disks = { 1: diskWith([1, 1, 1], { term: 1, vote: 0, commit: 1 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, slowDisks: true });
    cluster.member(1).step(append({ from: 2, term: 2, index: 1, logTerm: 1, terms: [2, 2], commit: 3 }));
    cluster.member(1).process();
    // The hard state makes it to the disk and the entries that replace 2 and 3 do not.
    cluster.member(1).crash('after its hard state');
    cluster.member(1).restart();
    assert.deepEqual([cluster.node(1).term, cluster.node(1).commit], [2, 1]);
  });

  test('a store ahead of its log is refused', () => {
    const disk = diskWith([1, 1], { term: 1, vote: 0, commit: 2 });
    const config = { ...CONFIG_DEFAULT, id: 1, voters: [1] };
    assert.throws(() => new RaftNode(config, { ...initialOf(disk), appliedIndex: 3 }), InvariantError);
  });
});

describe('rule 5: the log is never truncated past what anybody needs', () => {
  test('the least durable match of all members holds it, on the leader and on those it tells', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.tick(1);
    cluster.settle();
    assert.equal(cluster.node(1).truncatable, 1);
    cluster.isolate(3);
    cluster.member(1).propose('x');
    cluster.settle();
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual([cluster.node(1).commit, cluster.node(1).truncatable, cluster.node(2).truncatable], [2, 1, 1]);
    cluster.heal();
    cluster.node(1).onUnreachable(3);
    cluster.settle();
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual(
      [1, 2, 3].map((id) => cluster.node(id).truncatable),
      [2, 2, 2],
    );
  });

  test('a follower frees no more than it knows to be committed', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 2, to: 1, term: 1, session: 1, commit: 9, truncatable: 9, round: 0 });
    assert.equal(cluster.node(1).truncatable, 0);
  });

  test('an acknowledgement that is not durable does not free it: the leader waits for its own disk too', () => {
    const cluster = slow([1, 2, 3]);
    cluster.elect(1);
    cluster.member(1).propose('x');
    cluster.member(1).process();
    for (const id of [2, 3]) {
      cluster.deliver(1, id);
      cluster.complete(id);
      cluster.deliver(id, 1);
    }
    assert.deepEqual([cluster.node(1).commit, cluster.node(1).truncatable], [2, 1]);
  });

  test('nothing is compacted that was not applied', () => {
    const cluster = slow([1, 2, 3]);
    cluster.member(1).step(append({ from: 2, term: 1, index: 0, logTerm: 0, terms: [1], commit: 0 }));
    cluster.member(1).process();
    cluster.complete(1);
    assert.throws(() => cluster.node(1).onCompacted(1), InvariantError);
  });
});

describe('rule 8: a pause is not evidence', () => {
  test('a follower does not campaign in the tick after a pause', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    for (let i = 0; i < 100; i++) cluster.node(1).tick(true);
    assert.equal(cluster.node(1).role, 'follower');
    cluster.node(1).tick();
    assert.equal(cluster.node(1).role, 'preCandidate');
  });

  test('a leader does not judge its quorum in the tick after a pause, and gives it a whole window', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], electionTicks: 4 });
    cluster.elect(1);
    cluster.tick(1, 4 + 3);
    cluster.node(1).tick(true);
    cluster.tick(1, 3);
    assert.equal(cluster.node(1).role, 'leader');
    cluster.tick(1);
    assert.equal(cluster.node(1).role, 'follower');
  });

  test('a leader whose sync hangs steps down, and does not campaign while it does', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.node(1).diskStalled(true);
    assert.equal(cluster.node(1).role, 'follower');
    cluster.tick(1, 100);
    cluster.node(1).campaign();
    assert.equal(cluster.node(1).role, 'follower');
    cluster.node(1).diskStalled(false);
    cluster.tick(1);
    assert.equal(cluster.node(1).role, 'preCandidate');
  });

  test('a candidate whose sync hangs is none', () => {
    const cluster = slow([1, 2, 3]);
    cluster.node(1).campaign();
    cluster.member(1).process();
    cluster.node(1).diskStalled(true);
    for (const from of [2, 3]) cluster.member(1).step({ type: 'voteReply', from, to: 1, term: 1, granted: true });
    cluster.complete(1);
    assert.equal(cluster.node(1).role, 'follower');
  });
});
