// What a replica with a damaged log does until it is trusted again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Repair } from '../../ts/host/repair.js';
import { PEER_PROTOCOL, type PeerHello } from '../../ts/proto/peer-hello.js';
import type { Append, Message } from '../../ts/raft/messages.js';
import { RaftNode } from '../../ts/raft/raft-node.js';

const DAMAGE = {
  description: 'frame 7 of 0000000000000001.log',
  maybeIndex: 9,
  maybeTerm: 3,
  maybeVote: 0,
  known: false,
  storeAhead: false,
};

function hello(replica: number, term: number, more: Partial<PeerHello> = {}): PeerHello {
  return {
    ...PEER_PROTOCOL,
    cluster: '',
    replica,
    uid: '',
    to: 1,
    clientAddress: '',
    peerAddress: '',
    blank: false,
    knownUid: null,
    refused: '',
    frameBytesMax: 0,
    term,
    damaged: false,
    ...more,
  };
}

/** Replica 1 of three, whose log ends with entry 4 of term 2, committed as far as it knows. */
function damaged(): { node: RaftNode; repair: Repair } {
  const node = new RaftNode(
    {
      id: 1,
      voters: [1, 2, 3],
      electionTicks: 10,
      heartbeatTicks: 1,
      electionJitter: () => 0,
      inflightMessagesMax: 8,
      inflightBytesMax: 1_000,
      appendBytesMax: 1_000,
      uncommittedBytesMax: 1_000,
      catchUpBytesPerTick: 1_000_000,
      catchUpBytesMax: 1_000,
      blankBytes: 10,
    },
    {
      hardState: { term: 2, vote: 0, commit: 4 },
      compactedIndex: 0,
      compactedTerm: 0,
      termRuns: [[1, 2]],
      sizes: [10, 10, 10, 10],
      appliedIndex: 0,
    },
  );
  node.mayCampaign(false);
  return { node, repair: new Repair(DAMAGE, 2, 2) };
}

/** What the leader, replica 2, sends: entries 5 to `last` of `term`, and its commit index. */
function append(term: number, last: number, commit: number): Append {
  const entries = Array.from({ length: last - 4 }, (_, i) => ({ index: 5 + i, term, bytes: 10 }));
  const envelope = { from: 2, to: 1, term, session: 1, commit, truncatable: 0, round: 0 };
  return { type: 'append', ...envelope, index: 4, logTerm: 2, entries, last };
}

/** Steps it, and has the disk take what is asked for. */
function hear(node: RaftNode, repair: Repair, m: Message): void {
  repair.onMessage(m);
  node.step(m);
  settle(node);
}

function settle(node: RaftNode): void {
  while (node.hasReady()) {
    const { persist } = node.ready();
    if (persist !== null) node.onDurable(persist);
  }
}

function vote(node: RaftNode, from: number, term: number): boolean {
  node.step({ type: 'vote', from, to: 1, term, index: 100, logTerm: term });
  const { sendNow, sendWhenDurable } = node.ready();
  return [...sendNow, ...sendWhenDurable].some((m) => m.type === 'voteReply' && m.granted);
}

test('a replica without damage has nothing to ask', () => {
  const { node } = damaged();
  const repair = new Repair(undefined, 2, 2);
  assert.deepEqual([repair.phase, repair.problem, repair.advance(node, true)], ['whole', '', false]);
});

test('it asks as many others as meet every majority that it was part of, and enters the highest term', () => {
  const { node, repair } = damaged();
  repair.onHello(hello(2, 5));
  repair.onHello(hello(2, 6));
  repair.onHello(hello(3, 9, { damaged: true }));
  repair.onHello(hello(3, 9, { blank: true }));
  assert.equal(
    repair.advance(node, true),
    false,
    'one that answers twice is one; the others may have forgotten themselves',
  );
  assert.match(repair.problem, /frame 7 of 0000000000000001\.log.+asks 2 other replicas, of which 1/);
  repair.onHello(hello(3, 4));
  assert.equal(repair.advance(node, true), true);
  assert.deepEqual([repair.phase, node.term], ['filling', 6]);
});

test('a term that only the damaged log shows counts, too', () => {
  const { node, repair } = damaged();
  repair.onHello(hello(2, 1));
  repair.onHello(hello(3, 1));
  repair.advance(node, true);
  assert.equal(node.term, DAMAGE.maybeTerm);
});

test('it is whole when it holds all that a leader has told it is committed, in that term; then it writes that down', () => {
  const { node, repair } = damaged();
  for (const peer of [2, 3]) repair.onHello(hello(peer, 6));
  repair.advance(node, true);
  settle(node);

  hear(node, repair, append(6, 7, 4));
  assert.equal(repair.advance(node, true), false, 'nothing of term 6 is committed: there may be more');
  assert.equal(vote(node, 3, 6), false, 'nobody gets a vote meanwhile');

  hear(node, repair, append(6, 7, 9));
  assert.equal(node.commit, 7);
  assert.equal(repair.advance(node, true), false, 'entries 8 and 9 are committed, and not here');

  hear(node, repair, append(6, 9, 9));
  assert.equal(repair.advance(node, true), true);
  assert.equal(repair.phase, 'noting');
  assert.equal(repair.advance(node, false), false, 'the vote of this term is not on its disk');
  settle(node);
  assert.equal(vote(node, 3, 6), false, 'of this term, the vote is the leader’s');
  assert.equal(repair.advance(node, true), true);
  assert.deepEqual([repair.phase, repair.problem], ['whole', '']);
  for (let i = 0; i < 20; i++) node.tick();
  assert.equal(vote(node, 3, 99), true, 'in another one it votes as anybody');
});

test('what its own disk says is committed proves nothing', () => {
  const { node, repair } = damaged();
  for (const peer of [2, 3]) repair.onHello(hello(peer, 2));
  repair.advance(node, true);
  settle(node);
  // The term and the commit index of its disk are those of the leader, who has committed more with its help.
  const heartbeat = { from: 2, to: 1, term: 3, session: 1, commit: 4, truncatable: 0, round: 0 } as const;
  node.step({ type: 'heartbeat', ...heartbeat });
  assert.deepEqual([node.leader, node.commit, repair.advance(node, true)], [2, 4, false]);
});

test('what an older leader has told does not count in a later term', () => {
  const { node, repair } = damaged();
  for (const peer of [2, 3]) repair.onHello(hello(peer, 6));
  repair.advance(node, true);
  settle(node);
  repair.onMessage(append(6, 6, 6));
  hear(node, repair, append(7, 6, 4));
  assert.equal(repair.advance(node, true), false);
});

test('when it is not known what was lost, all others are asked', () => {
  const asked = (known: boolean): number => {
    const repair = new Repair({ ...DAMAGE, known }, 3, 4);
    for (let peer = 2; ; peer++) {
      repair.onHello(hello(peer, 3));
      if (repair.advance(damaged().node, true)) return peer - 1;
    }
  };
  assert.deepEqual([asked(true), asked(false)], [3, 4]);
});
