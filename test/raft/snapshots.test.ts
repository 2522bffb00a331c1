// Snapshots, as far as they are the core's: what a leader asks for, and what becomes of a follower's log and promises. Cases
// of etcd-io/raft's raft_snap_test.go and raft_test.go (Restore…), raft-rs and openraft that need a close look; those that
// read better as stories are in transcripts/snapshot-*.txt.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InvariantError, type SnapshotMessage } from '../../ts/raft/index.js';
import { Cluster, type ClusterOptions, diskWith } from './harness.js';

const state = (cluster: Cluster, id: number) =>
  cluster
    .node(1)
    .progress()
    .find((p) => p.id === id)?.state;

/** 1 leads, 3 was away, and what it needs is gone: 3 is known to be alive again, and waits for a snapshot. */
function lacking(options: Partial<ClusterOptions> = {}): Cluster {
  const cluster = new Cluster({ voters: [1, 2, 3], catchUpBytesMax: 100, ...options });
  cluster.elect(1);
  cluster.isolate(3);
  for (const text of ['a', 'b', 'c']) cluster.member(1).propose(text);
  cluster.settle();
  cluster.member(1).compact(4);
  cluster.heal();
  cluster.node(1).onUnreachable(3);
  cluster.tick(1);
  cluster.settle();
  assert.deepEqual([...cluster.member(1).needs], [3]);
  return cluster;
}

/** As a leader of `term` would say it to replica 1. */
function snapshot(o: { from: number; term: number; index: number; logTerm: number; round?: number }): SnapshotMessage {
  return { type: 'snapshot', to: 1, session: 1, commit: o.index, truncatable: 0, round: 0, ...o };
}

describe('a leader whose log does not reach back', () => {
  test('asks once, sends no entries meanwhile, and goes on with entries afterwards (SendingSnapshotSetPendingSnapshot)', () => {
    const cluster = lacking();
    cluster.member(1).needs.clear();
    cluster.member(1).propose('d');
    cluster.tick(1, 3);
    assert.deepEqual([...new Set(cluster.take(1, 3).map((m) => m.type))], ['heartbeat']);
    assert.deepEqual([...cluster.member(1).needs], []);
    assert.ok(cluster.member(1).offer(3));
    cluster.settle();
    assert.equal(state(cluster, 3), 'replicate');
    assert.equal(cluster.member(3).applied, 5);
    cluster.member(1).propose('e');
    cluster.settle();
    assert.equal(cluster.member(3).applied, 6);
  });

  test('asks again when nothing came of it, and not before the follower has answered (SnapshotFailure, SnapshotAbort)', () => {
    const cluster = lacking();
    cluster.member(1).needs.clear();
    cluster.node(1).snapshotFailed(3);
    cluster.turn(1);
    assert.deepEqual([...cluster.member(1).needs], []);
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual([...cluster.member(1).needs], [3]);
  });

  test('a fully compacted leader still helps a follower that has nothing (openraft#1828)', () => {
    const disks = {
      1: diskWith([1, 1, 1], { term: 1, vote: 1, commit: 3 }),
      2: diskWith([1, 1, 1], { term: 1, vote: 1, commit: 3 }),
    };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, catchUpBytesMax: 0 });
    cluster.isolate(3);
    cluster.elect(1);
    cluster.member(1).compact(cluster.node(1).lastIndex);
    cluster.heal();
    cluster.tick(1);
    cluster.settle();
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual([...cluster.member(1).needs], [3]);
    cluster.member(1).offer(3);
    cluster.settle();
    assert.equal(cluster.member(3).applied, 4);
  });

  test('an acknowledgement of an earlier leadership never counts', () => {
    const cluster = lacking({ preVote: false, checkQuorum: false });
    cluster.member(1).offer(3);
    cluster.turn(1);
    cluster.deliver(1, 3);
    const acks = cluster.take(3, 1);
    assert.ok(acks.some((m) => m.type === 'appendReply' && m.granted && m.index === 4));
    cluster.isolate(3); // with an empty disk in its place, say
    cluster.node(1).diskStalled(true);
    cluster.node(1).diskStalled(false);
    cluster.elect(1);
    for (const m of acks) cluster.member(1).step(m);
    cluster.turn(1);
    assert.equal(
      cluster
        .node(1)
        .progress()
        .find((p) => p.id === 3)?.match,
      0,
    );
  });

  test('a session that was not given is not listened to', () => {
    const cluster = lacking();
    const reply = { type: 'appendReply', from: 3, to: 1, term: 1, session: 7, granted: true, index: 4 } as const;
    cluster.member(1).step({ ...reply, hintIndex: 0, hintTerm: 0, round: 0 });
    assert.equal(state(cluster, 3), 'snapshot');
  });

  test('what it cuts is held by those for whom it is kept, also by one that a snapshot has just helped', () => {
    const cluster = lacking();
    for (let i = 0; i < 3; i++) cluster.member(1).propose(`${i}`, 20);
    cluster.turn(1);
    cluster.deliver(1, 2);
    cluster.deliver(2, 1);
    assert.equal(cluster.node(1).truncatable, 7, 'nothing is kept for one that needs a snapshot anyhow');
    cluster.member(1).offer(3, 4);
    cluster.turn(1);
    cluster.deliver(1, 3);
    cluster.deliver(3, 1, 1);
    assert.equal(cluster.node(1).truncatable, 4, '5 to 7 are on their way');
    cluster.settle();
    assert.equal(cluster.node(1).truncatable, 7);
  });
});

describe('a follower that gets one', () => {
  test('applies nothing more until it is installed, however far the commit index gets', () => {
    const disks = { 1: diskWith([1, 1, 1], { term: 1, vote: 0, commit: 1 }) };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, slowDisks: true });
    const one = cluster.member(1);
    const told = { from: 2, to: 1, term: 1, session: 1, truncatable: 0, round: 0 } as const;
    one.step({ type: 'append', ...told, commit: 1, index: 3, logTerm: 1, entries: [], last: 3 });
    one.process();
    assert.equal(one.applied, 1);
    one.step(snapshot({ from: 2, term: 1, index: 9, logTerm: 1 }));
    one.step({ type: 'heartbeat', ...told, commit: 3 });
    one.process();
    assert.equal(one.node.commit, 3);
    assert.equal(one.applied, 1, 'the store is being replaced');
    one.failInstall();
    one.process();
    assert.equal(one.applied, 3);
    one.step(snapshot({ from: 2, term: 1, index: 9, logTerm: 1 }));
    one.process();
    cluster.complete(1);
    assert.deepEqual([one.node.commit, one.node.durableIndex, one.node.lastIndex, one.applied], [9, 9, 9, 9]);
    assert.deepEqual([one.node.firstIndex, one.node.termAt(9), one.node.logBytes], [10, 1, 0]);
  });

  test('reports about the log that it replaced say nothing of the new one', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true });
    const one = cluster.member(1);
    const records = [1, 2, 3].map((index) => ({ index, term: 1, bytes: 100, text: '' }));
    const told = { from: 2, to: 1, term: 1, session: 1, commit: 0, truncatable: 0, round: 0 } as const;
    one.step({ type: 'append', ...told, index: 0, logTerm: 0, entries: [], last: 3, records });
    one.process();
    cluster.complete(1, 1);
    one.step({
      type: 'append',
      ...told,
      index: 3,
      logTerm: 1,
      entries: [],
      last: 4,
      records: [{ ...records[0], index: 4 } as never],
    });
    one.process();
    one.step(snapshot({ from: 2, term: 1, index: 6, logTerm: 1 }));
    one.process();
    one.complete();
    one.reports.reverse();
    one.report();
    one.process();
    assert.deepEqual([one.node.durableIndex, one.node.lastIndex], [6, 6]);
    one.step({
      type: 'append',
      ...told,
      index: 6,
      logTerm: 1,
      entries: [],
      last: 7,
      records: [{ ...records[0], index: 7 } as never],
    });
    one.process();
    assert.equal(one.node.durableIndex, 6, 'not before its own report');
    cluster.complete(1);
    assert.equal(one.node.durableIndex, 7);
  });

  test('keeps its vote and term, and writes no hard state for it', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true, preVote: false, checkQuorum: false });
    const one = cluster.member(1);
    one.step({ type: 'vote', from: 3, to: 1, term: 5, index: 0, logTerm: 0 });
    one.process();
    cluster.complete(1);
    one.step(snapshot({ from: 3, term: 5, index: 6, logTerm: 5 }));
    one.process();
    cluster.complete(1);
    assert.deepEqual(one.disk.hardState, { term: 5, vote: 3, commit: 0 });
    one.crash();
    one.restart();
    assert.deepEqual([one.node.term, one.node.commit, one.node.lastIndex], [5, 6, 6]);
    one.step({ type: 'vote', from: 2, to: 1, term: 5, index: 99, logTerm: 5 });
    one.process();
    assert.deepEqual(cluster.take(1, 2), [{ type: 'voteReply', from: 1, to: 2, term: 5, granted: false }]);
  });

  test('takes one at a time: another one that comes meanwhile is not begun (raft-rs#417)', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true });
    const one = cluster.member(1);
    for (const index of [6, 8]) {
      one.step(snapshot({ from: 2, term: 1, index, logTerm: 1 }));
      one.process();
      cluster.complete(1, 1);
    }
    assert.equal(one.node.lastIndex, 6);
    one.step(snapshot({ from: 2, term: 1, index: 8, logTerm: 1 }));
    one.process();
    cluster.complete(1);
    assert.equal(one.node.lastIndex, 8);
  });

  test('repeats read rounds while it installs', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true });
    const one = cluster.member(1);
    one.step(snapshot({ from: 2, term: 1, index: 6, logTerm: 1, round: 3 }));
    one.process();
    cluster.complete(1, 1);
    const rounds = () => cluster.take(1, 2).flatMap((m) => ('round' in m ? [m.round] : []));
    assert.deepEqual(rounds(), [3]);
    const told = { from: 2, to: 1, term: 1, session: 1, commit: 0, truncatable: 0 } as const;
    one.step({ type: 'append', ...told, round: 4, index: 6, logTerm: 1, entries: [], last: 6 });
    one.process();
    assert.deepEqual(rounds(), [4]);
    assert.equal(one.node.installing, true);
  });

  test('its host reports what was asked, and nothing else', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true });
    assert.throws(() => cluster.node(1).onInstalled(6), InvariantError);
    cluster.member(1).step(snapshot({ from: 2, term: 1, index: 6, logTerm: 1 }));
    cluster.member(1).process();
    cluster.complete(1, 1);
    assert.throws(() => cluster.node(1).onInstalled(5), InvariantError);
  });
});
