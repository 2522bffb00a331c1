// Linearizable reads (Ongaro's thesis, §6.4), and the ways in which others got them wrong.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster } from './harness.js';

/** A cluster, and what it has told about reads so far. */
function observed() {
  const reads: (readonly [context: number, index: number])[] = [];
  const lost: number[] = [];
  const cluster = new Cluster({
    voters: [1, 2, 3],
    preVote: false,
    checkQuorum: false,
    onEvent: (e) => {
      if (e.kind !== 'ready') return;
      for (const { context, index } of e.ready.reads) reads.push([context, index]);
      lost.push(...e.ready.readsLost);
    },
  });
  return { reads, lost, cluster };
}

describe('thesis §6.4: reads without log entries', () => {
  test('a leader answers after a majority has confirmed it, with what was committed when it was asked, at least', () => {
    const { cluster, reads } = observed();
    cluster.elect(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    assert.deepEqual(reads, []);
    cluster.deliver(1, 2);
    cluster.deliver(2, 1);
    assert.deepEqual(reads, [[7, 1]]);
  });

  test('it waits until an entry of its own term is committed', () => {
    const { cluster, reads } = observed();
    cluster.node(1).campaign();
    cluster.turn(1);
    cluster.deliver(1, 2);
    cluster.deliver(2, 1);
    assert.equal(cluster.node(1).readIndex(7), true);
    cluster.turn(1);
    assert.equal(
      [...cluster.links.values()].flat().some((m) => 'round' in m && m.round > 0),
      false,
    );
    cluster.settle();
    assert.deepEqual(reads, [[7, 1]]);
  });

  test('all reads of a turn share one round, carried by appends as well as by heartbeats', () => {
    const { cluster, reads } = observed();
    cluster.elect(1);
    for (const context of [7, 8, 9]) cluster.node(1).readIndex(context);
    cluster.member(1).propose('x');
    cluster.turn(1);
    const messages = cluster.take(1, 3).filter((m) => 'round' in m);
    assert.deepEqual(
      messages.map((m) => [m.type, 'round' in m && m.round]),
      [['append', 1]],
    );
    assert.deepEqual(reads, []);
  });

  test('an answer to a round confirms only what was asked before it was sent', () => {
    const { cluster, reads } = observed();
    cluster.elect(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    cluster.deliver(1, 2);
    cluster.node(1).readIndex(8);
    cluster.deliver(2, 1);
    assert.deepEqual(reads, [[7, 1]]);
    cluster.settle();
    assert.deepEqual(reads, [
      [7, 1],
      [8, 1],
    ]);
  });

  test('rounds are not reused by a later leadership: an old answer confirms nothing', () => {
    const { cluster, reads, lost } = observed();
    cluster.elect(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    const [question] = cluster.take(1, 2);
    cluster.take(1, 3);
    cluster.elect(2);
    cluster.elect(1);
    assert.deepEqual([reads, lost], [[], [7]]);
    cluster.node(1).readIndex(8);
    cluster.turn(1);
    const newer = cluster.take(1, 2).find((m) => 'round' in m);
    assert.ok(question && 'round' in question && newer && 'round' in newer && newer.round > question.round);
  });

  test('a follower refuses, and a lost leadership gives its reads up', () => {
    const { cluster, lost } = observed();
    assert.equal(cluster.node(2).readIndex(1), false);
    cluster.elect(1);
    cluster.isolate(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    cluster.node(1).readIndex(8);
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 2, to: 1, term: 9, session: 1, commit: 0, truncatable: 0, round: 0 });
    cluster.turn(1);
    assert.deepEqual(lost, [7, 8]);
  });

  // etcd-io/raft NodeReadIndexToOldLeader; reliability.md 54.
  test('a leader that was deposed without knowing answers nothing', () => {
    const { cluster, reads, lost } = observed();
    cluster.elect(1);
    cluster.isolate(1);
    cluster.elect(2);
    cluster.node(1).readIndex(7);
    cluster.settle();
    cluster.heal();
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual([reads, lost], [[], [7]]);
  });

  // etcd-io/raft PR 397; reliability.md 57.
  test('a context that is asked again is another question', () => {
    const { cluster, reads } = observed();
    cluster.elect(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    cluster.deliver(1, 2);
    const [late] = cluster.take(2, 1);
    cluster.take(1, 3);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    assert.ok(late);
    cluster.member(1).step(late);
    cluster.turn(1);
    assert.deepEqual(reads, [[7, 1]]);
    cluster.settle();
    assert.deepEqual(reads, [
      [7, 1],
      [7, 1],
    ]);
  });

  test('replies of another session confirm nothing', () => {
    const { cluster, reads } = observed();
    cluster.elect(1);
    cluster.node(1).readIndex(7);
    cluster.turn(1);
    cluster.deliver(1, 2);
    const [reply] = cluster.take(2, 1);
    assert.ok(reply && reply.type === 'heartbeatReply');
    cluster.member(1).step({ ...reply, session: reply.session + 100 });
    cluster.turn(1);
    assert.deepEqual(reads, []);
    cluster.member(1).step(reply);
    cluster.turn(1);
    assert.deepEqual(reads, [[7, 1]]);
  });
});
