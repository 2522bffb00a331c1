// Cases that others found the hard way: names and situations of etcd-io/raft's, raft-rs' and MIT's tests, as far as they
// concern replication here. Those that read better as stories are in transcripts/.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster } from './harness.js';

describe('replication', () => {
  test('UncommittedEntryLimit: a limit in bytes, which one entry may pass, and which commits free', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], uncommittedBytesMax: 1_000 });
    cluster.elect(1);
    cluster.isolate(1);
    assert.ok(cluster.member(1).propose('larger than the limit', 5_000) > 0);
    assert.deepEqual(cluster.node(1).propose(1), { refused: 'uncommitted-limit' });
    cluster.heal();
    cluster.turn(1);
    for (const id of [2, 3]) cluster.node(1).onUnreachable(id);
    cluster.settle();
    assert.ok(cluster.member(1).propose('fits', 1_000) > 0);
  });

  test('raft-rs 5512: what an earlier leadership could not commit does not count against the limit of the next', () => {
    const loose = { preVote: false, checkQuorum: false };
    const cluster = new Cluster({ voters: [1, 2, 3], uncommittedBytesMax: 1_000, ...loose });
    cluster.elect(1);
    cluster.isolate(1);
    assert.ok(cluster.member(1).propose('lost', 1_000) > 0);
    assert.deepEqual(cluster.node(1).propose(1), { refused: 'uncommitted-limit' });
    cluster.turn(1);
    cluster.elect(2);
    cluster.heal();
    for (let i = 0; i < 3; i++) {
      cluster.tick(2);
      cluster.settle();
    }
    assert.equal(cluster.node(1).commit, cluster.node(2).commit);
    cluster.elect(1);
    assert.ok(cluster.member(1).propose('fits', 1_000) > 0);
  });

  test('proposals to anybody but the leader are refused (NodeProposeWaitDropped)', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    assert.deepEqual(cluster.node(1).propose(100), { refused: 'not-leader' });
    cluster.elect(1);
    assert.deepEqual(cluster.node(2).propose(100), { refused: 'not-leader' });
  });

  test('MsgAppRespWaitReset: a probe is answered once, and then entries flow', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], preVote: false });
    cluster.elect(1);
    cluster.node(1).onUnreachable(2);
    cluster.turn(1);
    assert.equal(cluster.take(1, 2).length, 1);
    cluster.member(1).propose('x');
    cluster.turn(1);
    assert.equal(cluster.take(1, 2).length, 0);
    const m = { type: 'appendReply', from: 2, to: 1, term: 1, session: 1, granted: true, index: 1 } as const;
    cluster.member(1).step({ ...m, hintIndex: 0, hintTerm: 0, round: 0 });
    cluster.turn(1);
    assert.deepEqual(
      cluster.take(1, 2).map((a) => a.type === 'append' && a.last),
      [2],
    );
  });

  test('LogReplicationWithReorderedMessage: a refusal overtaken by an acknowledgement moves nothing back', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    for (const text of ['a', 'b', 'c']) {
      cluster.member(1).propose(text);
      cluster.turn(1);
    }
    const appends = cluster.take(1, 2);
    for (const m of [...appends].reverse()) {
      cluster.member(2).step(m);
      cluster.turn(2);
    }
    const replies = cluster.take(2, 1);
    for (const m of [...replies, ...replies]) {
      cluster.member(1).step(m);
      cluster.turn(1);
    }
    const [, two] = cluster.node(1).progress();
    assert.ok(two && two.match === 2 && two.next > two.match);
    cluster.settle();
    assert.equal(cluster.member(2).applied, 4);
  });

  test('an acknowledgement that comes twice, or late, is harmless: match never goes back', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.member(1).propose('a');
    cluster.turn(1);
    cluster.deliver(1, 2);
    const early = cluster.take(2, 1);
    cluster.member(1).propose('b');
    cluster.settle();
    for (const m of [...early, ...early]) cluster.member(1).step(m);
    cluster.settle();
    assert.deepEqual(
      cluster
        .node(1)
        .progress()
        .map((p) => p.match),
      [3, 3, 3],
    );
  });

  test('raft 349: a reply to an earlier relation with this replica is not taken for one to this', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.isolate(2);
    cluster.member(1).propose('x');
    cluster.settle();
    const late = { type: 'appendReply', from: 2, to: 1, term: 1, session: 77, granted: true, index: 2 } as const;
    cluster.member(1).step({ ...late, hintIndex: 0, hintTerm: 0, round: 0 });
    assert.equal(cluster.node(1).progress()[1]?.match, 1);
  });

  test('replies from strangers are ignored', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    cluster.member(1).propose('x');
    const ack = {
      type: 'appendReply',
      to: 1,
      term: 1,
      granted: true,
      index: 2,
      hintIndex: 0,
      hintTerm: 0,
      round: 0,
    } as const;
    for (const session of [0, 1, 2, 3]) cluster.member(1).step({ ...ack, from: 9, session });
    assert.equal(cluster.node(1).commit, 1);
  });

  test('appends below what a follower has compacted are acknowledged, not refused (openraft 71a290cd)', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    for (const text of ['a', 'b', 'c']) cluster.member(1).propose(text);
    cluster.turn(1);
    const [old] = cluster.take(1, 2);
    assert.ok(old);
    cluster.member(2).step(old);
    cluster.settle();
    cluster.tick(1);
    cluster.settle();
    cluster.member(2).compact(3);
    cluster.member(2).step(old);
    cluster.turn(2);
    assert.deepEqual(
      cluster.take(2, 1).map((m) => m.type === 'appendReply' && [m.granted, m.index]),
      [[true, 4]],
    );
    assert.deepEqual([cluster.node(2).epoch, cluster.node(2).lastIndex, cluster.node(2).termAt(1)], [0, 4, 0]);
  });

  test('SlowFollowerAfterCompaction: a follower whose entries are gone is told so, and gets heartbeats only', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], catchUpBytesMax: 100 });
    cluster.elect(1);
    cluster.isolate(3);
    for (const text of ['a', 'b', 'c']) cluster.member(1).propose(text);
    cluster.settle();
    cluster.member(1).compact(4);
    cluster.heal();
    cluster.node(1).onUnreachable(3);
    cluster.turn(1);
    assert.equal(cluster.node(1).progress()[2]?.state, 'snapshot');
    cluster.member(1).propose('d');
    cluster.tick(1);
    const types = cluster.take(1, 3).map((m) => m.type);
    assert.deepEqual([...new Set(types)], ['heartbeat']);
  });

  test('an entry larger than an append, or than the window, still travels', () => {
    const cluster = new Cluster({ voters: [1, 2], appendBytesMax: 100, inflightBytesMax: 50, inflightMessagesMax: 1 });
    cluster.elect(1);
    for (let i = 0; i < 5; i++) cluster.member(1).propose(`${i}`, 1_000);
    cluster.settle();
    assert.equal(cluster.member(2).applied, 6);
  });

  test('BoundedLogGrowthWithPartition: a leader cut off stops growing its log', () => {
    const cluster = new Cluster({ voters: [1, 2, 3], uncommittedBytesMax: 1_600, checkQuorum: false });
    cluster.elect(1);
    cluster.isolate(1);
    for (let i = 0; i < 1_000; i++) cluster.member(1).propose(`${i}`);
    assert.equal(cluster.node(1).lastIndex, 1 + 16);
  });

  test('MIT Count: an idle second costs two messages per follower and heartbeat', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    let messages = 0;
    for (let i = 0; i < 10; i++) {
      cluster.tick(1);
      for (const id of [2, 3]) messages += cluster.deliver(1, id) + cluster.deliver(id, 1);
    }
    assert.equal(messages, 10 * 2 * 2);
  });

  test('MIT RPCBytes: a payload travels to each follower once', () => {
    let bytes = 0;
    const cluster = new Cluster({
      voters: [1, 2, 3],
      onEvent: (e) => {
        if (e.kind === 'send') for (const r of e.message.records ?? []) bytes += r.bytes;
      },
    });
    cluster.elect(1);
    bytes = 0;
    for (let i = 0; i < 10; i++) {
      cluster.member(1).propose('x', 5_000);
      cluster.settle();
    }
    assert.equal(bytes, 2 * 10 * 5_000);
  });
});
