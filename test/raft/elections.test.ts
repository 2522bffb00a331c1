// Cases that others found the hard way: names and situations of etcd-io/raft's, raft-rs' and MIT's tests, as far as they
// concern elections here. Those that read better as stories are in transcripts/.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster, diskWith } from './harness.js';

const roles = (cluster: Cluster) => [...cluster.members.values()].map((m) => m.node.role);
const terms = (cluster: Cluster) => [...cluster.members.values()].map((m) => m.node.term);

/** Followers forget that they heard a leader recently. */
function losePatience(cluster: Cluster, ...ids: number[]): void {
  for (const id of ids) for (let i = 0; i < 10; i++) cluster.node(id).tick();
}

const patient = { electionJitter: () => 9 };

describe('elections', () => {
  test('LeaderElectionOverwriteNewerLogs: a newer term beats a longer log, and replaces it', () => {
    const disk = (log: number[], term: number, vote: number) => diskWith(log, { term, vote, commit: 0 });
    const disks = { 1: disk([1], 1, 1), 2: disk([1], 1, 1), 3: disk([2], 2, 3), 4: disk([], 2, 3), 5: disk([], 2, 3) };
    const cluster = new Cluster({ voters: [1, 2, 3, 4, 5], disks, preVote: false });
    cluster.node(1).campaign();
    cluster.settle();
    assert.equal(cluster.node(1).role, 'follower');
    cluster.elect(1);
    for (const m of cluster.members.values()) {
      assert.deepEqual(
        m.disk.records.map((r) => r.term),
        [1, 3],
      );
    }
  });

  test('CandidateSelfVoteAfterLostElection: the own vote, durable late, does not revive a lost candidacy', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], preVote: false, slowDisks: true });
    cluster.node(1).campaign();
    cluster.member(1).process();
    const beat = {
      type: 'heartbeat',
      from: 2,
      to: 1,
      term: 1,
      session: 1,
      commit: 0,
      truncatable: 0,
      round: 0,
    } as const;
    cluster.member(1).step(beat);
    cluster.complete(1);
    assert.deepEqual([cluster.node(1).role, cluster.node(1).leader], ['follower', 2]);
  });

  test('CandidateDeliversPreCandidateSelfVoteAfterBecomingCandidate: a pre-vote is no vote', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true });
    cluster.node(1).campaign();
    cluster.member(1).step({ type: 'preVoteReply', from: 2, to: 1, term: 1, granted: true });
    cluster.member(1).step({ type: 'preVoteReply', from: 3, to: 1, term: 1, granted: true });
    cluster.member(1).process();
    cluster.complete(1);
    assert.deepEqual([cluster.node(1).role, cluster.node(1).term], ['candidate', 1]);
  });

  test('LeaderMsgAppSelfAckAfterTermChange: what becomes durable after leadership counts for nothing', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], slowDisks: true, preVote: false });
    cluster.elect(1);
    cluster.member(1).propose('x');
    cluster.member(1).process();
    const beat = {
      type: 'heartbeat',
      from: 2,
      to: 1,
      term: 9,
      session: 1,
      commit: 0,
      truncatable: 0,
      round: 0,
    } as const;
    cluster.member(1).step(beat);
    cluster.complete(1);
    assert.deepEqual([cluster.node(1).role, cluster.node(1).commit], ['follower', 1]);
  });

  test('NodeWithSmallerTermCanCompleteElection: a replica two terms behind still helps to elect', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], ...patient });
    cluster.cut(3, 1);
    cluster.cut(3, 2);
    for (const id of [1, 2, 1]) {
      cluster.elect(id);
      cluster.node(id).diskStalled(true);
      cluster.node(id).diskStalled(false);
      losePatience(cluster, 1, 2);
    }
    cluster.heal();
    cluster.isolate(2);
    assert.deepEqual(terms(cluster), [3, 3, 0]);
    cluster.elect(1);
    assert.deepEqual(terms(cluster), [4, 3, 4]);
  });

  test('PreVoteWithSplitVote: two candidates that stop each other do not stop the next election', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], ...patient });
    cluster.elect(1);
    cluster.isolate(1);
    losePatience(cluster, 2, 3);
    cluster.node(2).campaign();
    cluster.node(3).campaign();
    cluster.settle();
    assert.deepEqual(roles(cluster).slice(1), ['candidate', 'candidate']);
    cluster.node(2).campaign();
    cluster.settle();
    assert.equal(cluster.node(2).role, 'leader');
  });

  test('MIT ReElection: no leader without a quorum; one again when it is back; the old one does no harm', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], ...patient });
    cluster.elect(1);
    cluster.isolate(1);
    losePatience(cluster, 2, 3);
    cluster.elect(2);
    cluster.isolate(2);
    cluster.tick(3, 100);
    assert.notEqual(cluster.node(3).role, 'leader');
    cluster.heal();
    for (let i = 0; i < 60; i++) {
      for (const id of [1, 2, 3]) cluster.tick(id);
      cluster.settle();
    }
    assert.equal(roles(cluster).filter((r) => r === 'leader').length, 1);
    assert.equal(new Set(terms(cluster)).size, 1);
  });
});

describe('check-quorum and pre-vote', () => {
  test('LeaderSupersedingWithCheckQuorum: a follower of a live leader does not even answer', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], preVote: false, ...patient });
    cluster.elect(1);
    cluster.node(3).campaign();
    cluster.settle();
    assert.deepEqual([cluster.node(3).role, cluster.node(2).term], ['candidate', 1]);
    losePatience(cluster, 2);
    cluster.isolate(1);
    cluster.node(3).campaign();
    cluster.settle();
    assert.equal(cluster.node(3).role, 'leader');
  });

  test('FreeStuckCandidateWithCheckQuorum: a candidate in a higher term frees itself through the leader', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], preVote: false });
    cluster.elect(1);
    cluster.isolate(1);
    losePatience(cluster, 1);
    cluster.node(3).campaign();
    cluster.settle();
    cluster.heal();
    const leader = cluster.node(1);
    assert.equal(leader.role, 'leader');
    // The heartbeat of the old term is answered with the new one, and the leader makes room.
    cluster.tick(1);
    cluster.settle();
    assert.deepEqual([leader.role, leader.term], ['follower', cluster.node(3).term]);
    cluster.elect(3);
  });

  test('PreVoteWithCheckQuorum: once a leader is gone, shielding it does not lock the others out', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], ...patient });
    cluster.elect(1);
    cluster.isolate(1);
    cluster.node(2).campaign();
    cluster.settle();
    assert.equal(cluster.node(2).role, 'preCandidate');
    losePatience(cluster, 3);
    cluster.elect(2);
  });

  test('etcd 8243: a replica with a higher term and a shorter log does not block elections', () => {
    const disks = {
      3: diskWith([], { term: 7, vote: 3, commit: 0 }),
      1: diskWith([1, 1], { term: 1, vote: 1, commit: 2 }),
    };
    const cluster = new Cluster({ voters: [1, 2, 3], disks, ...patient });
    cluster.isolate(2);
    cluster.node(1).campaign();
    cluster.settle();
    assert.equal(cluster.node(1).term, 7);
    cluster.elect(1);
  });

  test('a late grant of an earlier pre-vote does not start an election', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.node(1).campaign();
    const grant = { type: 'preVoteReply', from: 2, to: 1, term: 1, granted: true } as const;
    cluster
      .member(1)
      .step({ type: 'heartbeat', from: 3, to: 1, term: 4, session: 1, commit: 0, truncatable: 0, round: 0 });
    cluster.node(1).campaign();
    cluster.member(1).step(grant);
    assert.deepEqual([cluster.node(1).role, cluster.node(1).term], ['preCandidate', 4]);
  });
});
