// What the paper demands, section by section (Ongaro and Ousterhout 2014, §5.1 to §5.4). Reads: reads.test.ts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Append, Message } from '../../ts/raft/index.js';
import { Cluster, type ClusterOptions, type Disk, diskWith, type WireMessage } from './harness.js';

const PLAIN = { preVote: false, checkQuorum: false };

function three(options: Partial<ClusterOptions> = {}): Cluster {
  return new Cluster({ voters: [1, 2, 3], ...PLAIN, ...options });
}

const empty = (from: number, to: number, term: number): Message => ({
  type: 'append',
  from,
  to,
  term,
  session: 1,
  commit: 0,
  truncatable: 0,
  round: 0,
  index: 0,
  logTerm: 0,
  entries: [],
  last: 0,
});

function inRole(role: 'follower' | 'candidate' | 'leader'): Cluster {
  const cluster = three();
  if (role !== 'follower') cluster.node(1).campaign();
  if (role === 'leader') cluster.settle();
  cluster.turn(1);
  for (const id of [2, 3]) cluster.take(1, id);
  assert.equal(cluster.node(1).role, role);
  return cluster;
}

describe('§5.1 basics', () => {
  for (const role of ['follower', 'candidate', 'leader'] as const) {
    test(`a ${role} that hears of a higher term enters it as a follower`, () => {
      const cluster = inRole(role);
      cluster.member(1).step(empty(2, 1, 9));
      assert.deepEqual([cluster.node(1).role, cluster.node(1).term, cluster.node(1).leader], ['follower', 9, 2]);
    });
  }

  test('a request of a stale term is rejected, and its sender told the newer one', () => {
    const disks = { 1: diskWith([], { term: 5, vote: 0, commit: 0 }) };
    const cluster = three({ disks });
    cluster.member(1).step({ type: 'vote', from: 2, to: 1, term: 4, index: 9, logTerm: 4 });
    cluster.member(1).step(empty(3, 1, 4));
    cluster.turn(1);
    assert.deepEqual([cluster.node(1).leader, cluster.node(1).lastIndex], [0, 0]);
    for (const m of [...cluster.take(1, 2), ...cluster.take(1, 3)]) {
      assert.deepEqual([m.term, 'granted' in m && m.granted], [5, false]);
    }
  });

  test('a reply of a stale term is ignored', () => {
    const cluster = inRole('leader');
    const { term, lastIndex } = cluster.node(1);
    cluster.member(1).propose('x');
    const late = { from: 2, to: 1, term: term - 1, session: 1, granted: true, index: lastIndex + 1 };
    cluster.member(1).step({ type: 'appendReply', ...late, hintIndex: 0, hintTerm: 0, round: 0 });
    assert.equal(cluster.node(1).commit, lastIndex);
  });
});

describe('§5.2 leader election', () => {
  test('replicas begin as followers', () => {
    assert.equal(three().node(1).role, 'follower');
  });

  test('a leader sends heartbeats to all, at each interval', () => {
    const cluster = inRole('leader');
    cluster.tick(1);
    for (const id of [2, 3])
      assert.deepEqual(
        cluster.take(1, id).map((m) => m.type),
        ['heartbeat'],
      );
  });

  for (const role of ['follower', 'candidate'] as const) {
    test(`a ${role} that hears from nobody for an election timeout begins an election in a new term`, () => {
      const cluster = inRole(role);
      const { term } = cluster.node(1);
      cluster.tick(1, 20);
      assert.equal(cluster.node(1).role, 'candidate');
      assert.ok(cluster.node(1).term > term);
      const requests = cluster.take(1, 2);
      assert.ok(requests.length > 0 && requests.every((m) => m.type === 'vote'));
      assert.equal(cluster.member(1).disk.hardState.vote, 1);
    });
  }

  test('a follower that hears from its leader stays one', () => {
    const cluster = inRole('follower');
    for (let tick = 0; tick < 50; tick++) {
      cluster.tick(1);
      if (tick % 5 === 0) cluster.member(1).step(empty(2, 1, 1));
    }
    assert.equal(cluster.node(1).role, 'follower');
  });

  test('election timeouts are spread: each attempt draws its own', () => {
    const seen = new Set<number>();
    for (let jitter = 0; jitter < 10; jitter++) {
      const alone = three({ electionJitter: () => jitter });
      let ticks = 0;
      for (; alone.node(1).role === 'follower'; ticks++) alone.tick(1);
      seen.add(ticks);
    }
    assert.deepEqual([...seen], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  // Every split of the votes, for one to five voters: granted, refused, silent.
  for (const size of [1, 2, 3, 4, 5]) {
    test(`a candidate of ${size} leads with a majority, fails when none is left, and waits otherwise`, () => {
      const voters = Array.from({ length: size }, (_, i) => i + 1);
      for (let split = 0; split < 3 ** (size - 1); split++) {
        const cluster = new Cluster({ voters, ...PLAIN });
        cluster.node(1).campaign();
        cluster.turn(1);
        let granted = 1;
        let refused = 0;
        for (let from = 2, rest = split; from <= size; from++, rest = Math.floor(rest / 3)) {
          if (rest % 3 === 2) continue;
          if (rest % 3 === 0) granted += 1;
          else refused += 1;
          cluster.member(1).step({ type: 'voteReply', from, to: 1, term: 1, granted: rest % 3 === 0 });
          cluster.turn(1);
        }
        const majority = Math.floor(size / 2) + 1;
        const expected = granted >= majority ? 'leader' : refused > size - majority ? 'follower' : 'candidate';
        assert.equal(cluster.node(1).role, expected, `${granted} granted, ${refused} refused of ${size}`);
      }
    });
  }

  test('one vote a term, first come, first served, and the same one again', () => {
    for (const [vote, asks, granted] of [
      [0, 2, true],
      [0, 3, true],
      [2, 2, true],
      [3, 3, true],
      [2, 3, false],
      [3, 2, false],
    ] as const) {
      const cluster = three({ disks: { 1: diskWith([], { term: 1, vote, commit: 0 }) } });
      cluster.member(1).step({ type: 'vote', from: asks, to: 1, term: 1, index: 0, logTerm: 0 });
      cluster.turn(1);
      assert.deepEqual(cluster.take(1, asks), [{ type: 'voteReply', from: 1, to: asks, term: 1, granted }]);
    }
  });

  test('a candidate yields to a leader of its own term, or of a later one', () => {
    for (const term of [1, 2]) {
      const cluster = inRole('candidate');
      cluster.member(1).step(empty(2, 1, term));
      assert.deepEqual([cluster.node(1).role, cluster.node(1).term, cluster.node(1).leader], ['follower', term, 2]);
    }
  });

  test('after a split vote a new election is won', () => {
    const cluster = three();
    cluster.node(1).campaign();
    cluster.node(3).campaign();
    cluster.cut(2, 1);
    cluster.cut(2, 3);
    cluster.settle();
    assert.deepEqual([cluster.node(1).role, cluster.node(3).role], ['candidate', 'candidate']);
    cluster.heal();
    cluster.elect(3);
    assert.equal(cluster.node(3).term, 2);
  });
});

describe('§5.3 log replication', () => {
  test('a proposal is appended at the leader, and sent to all at once', () => {
    const cluster = inRole('leader');
    const { lastIndex, term } = cluster.node(1);
    assert.equal(cluster.member(1).propose('x'), lastIndex + 1);
    cluster.turn(1);
    for (const id of [2, 3]) {
      const [m] = cluster.take(1, id) as [Append & WireMessage];
      assert.deepEqual([m.type, m.index, m.logTerm, m.last], ['append', lastIndex, term, lastIndex + 1]);
      assert.deepEqual(
        m.records?.map((r) => r.text),
        ['x'],
      );
    }
  });

  test('an entry is committed when a majority holds it, and not before', () => {
    for (const [size, ackers, commits] of [
      [1, 0, true],
      [3, 0, false],
      [3, 1, true],
      [3, 2, true],
      [5, 0, false],
      [5, 1, false],
      [5, 2, true],
      [5, 3, true],
    ] as const) {
      const voters = Array.from({ length: size }, (_, i) => i + 1);
      const cluster = new Cluster({ voters, ...PLAIN });
      cluster.elect(1);
      cluster.member(1).propose('x');
      cluster.turn(1);
      for (let id = 2; id < 2 + ackers; id++) {
        cluster.deliver(1, id);
        cluster.deliver(id, 1);
      }
      assert.equal(cluster.node(1).commit, commits ? 2 : 1, `${ackers} of ${size}`);
    }
  });

  test('a follower applies what the leader says is committed, in log order', () => {
    const cluster = inRole('leader');
    for (const text of ['a', 'b', 'c']) cluster.member(1).propose(text);
    cluster.settle();
    for (const member of cluster.members.values()) {
      assert.deepEqual([member.applied, member.disk.records.map((r) => r.text)], [4, ['blank', 'a', 'b', 'c']]);
    }
  });

  test('committing an entry commits all before it, of earlier leaders too', () => {
    for (const terms of [[], [2], [1, 2], [1]]) {
      const cluster = three({ disks: { 1: diskWith(terms, { term: 2, vote: 0, commit: 0 }) } });
      cluster.elect(1);
      assert.equal(cluster.node(1).commit, terms.length + 1);
      assert.equal(cluster.member(3).applied, terms.length + 1);
    }
  });

  test('a follower refuses an append that follows an entry which it does not hold', () => {
    for (const [index, logTerm, granted] of [
      [0, 0, true],
      [1, 1, true],
      [2, 2, true],
      [1, 2, false],
      [2, 1, false],
      [3, 3, false],
    ] as const) {
      const cluster = three({ disks: { 1: diskWith([1, 2], { term: 2, vote: 0, commit: 0 }) } });
      cluster.member(1).step({ ...(empty(2, 1, 2) as Append), index, logTerm, last: index });
      cluster.turn(1);
      const [reply] = cluster.take(1, 2);
      assert.equal(reply?.type === 'appendReply' && reply.granted, granted, `${logTerm}/${index}`);
    }
  });

  test('a conflicting entry is replaced, with all that follow it; an agreeing one never is', () => {
    const cases = [
      { index: 2, logTerm: 2, terms: [3], log: [1, 2, 3] },
      { index: 1, logTerm: 1, terms: [3, 4], log: [1, 3, 4] },
      { index: 0, logTerm: 0, terms: [1], log: [1, 2] },
      { index: 0, logTerm: 0, terms: [3], log: [3] },
      { index: 0, logTerm: 0, terms: [], log: [1, 2] },
      { index: 1, logTerm: 1, terms: [2], log: [1, 2] },
    ];
    for (const { index, logTerm, terms, log } of cases) {
      const cluster = three({ disks: { 1: diskWith([1, 2], { term: 2, vote: 0, commit: 0 }) } });
      const records = terms.map((term, i) => ({ index: index + 1 + i, term, bytes: 100, text: '' }));
      cluster
        .member(1)
        .step({ ...(empty(2, 1, 4) as Append), index, logTerm, last: index + terms.length, records } as WireMessage);
      cluster.turn(1);
      assert.deepEqual(
        cluster.member(1).disk.records.map((r) => r.term),
        log,
      );
    }
  });

  test('a leader brings every log of figure 7 in line with its own', () => {
    const lead = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const followers = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for (const terms of followers) {
      const disk = (t: number[]): Disk => diskWith(t, { term: 7, vote: 0, commit: 0 });
      const cluster = three({ disks: { 1: disk(lead), 2: disk(terms), 3: disk(lead) } });
      cluster.elect(1);
      assert.deepEqual(
        cluster.member(2).disk.records.map((r) => r.term),
        [...lead, 8],
      );
    }
  });
});

describe('§5.4 safety', () => {
  test("a vote goes to a log that is as complete as the voter's, and to no other", () => {
    const cases = [
      { log: [1], index: 1, logTerm: 1, granted: true },
      { log: [1], index: 2, logTerm: 1, granted: true },
      { log: [1, 1], index: 1, logTerm: 1, granted: false },
      { log: [1], index: 1, logTerm: 2, granted: true },
      { log: [1, 1], index: 1, logTerm: 2, granted: true },
      { log: [2], index: 1, logTerm: 1, granted: false },
      { log: [2], index: 2, logTerm: 1, granted: false },
      { log: [2, 1 + 1], index: 1, logTerm: 2, granted: false },
    ];
    for (const type of ['vote', 'preVote'] as const) {
      for (const { log, index, logTerm, granted } of cases) {
        const cluster = three({ disks: { 1: diskWith(log, { term: 2, vote: 0, commit: 0 }) } });
        cluster.member(1).step({ type, from: 2, to: 1, term: 3, index, logTerm });
        cluster.turn(1);
        const [reply] = cluster.take(1, 2);
        assert.equal(
          reply !== undefined && 'granted' in reply && reply.granted,
          granted,
          `${log} asked by ${logTerm}/${index}`,
        );
      }
    }
  });

  test("only entries of the leader's own term are committed by counting", () => {
    const disks = { 1: diskWith([1, 2], { term: 2, vote: 0, commit: 0 }) };
    const cluster = three({ disks });
    cluster.node(1).campaign();
    cluster.turn(1);
    cluster.deliver(1, 2);
    cluster.deliver(2, 1);
    const ack = {
      type: 'appendReply',
      from: 2,
      to: 1,
      term: 3,
      session: 1,
      granted: true,
      hintIndex: 0,
      hintTerm: 0,
      round: 0,
    } as const;
    cluster.member(1).step({ ...ack, index: 1 });
    cluster.member(1).step({ ...ack, index: 2 });
    assert.equal(cluster.node(1).commit, 0);
    cluster.member(1).step({ ...ack, index: 3 });
    assert.equal(cluster.node(1).commit, 3);
  });

  test('a leader never overwrites or removes entries of its own log', () => {
    const cluster = inRole('leader');
    cluster.member(1).propose('x');
    cluster.turn(1);
    const { epoch, lastIndex } = cluster.node(1);
    cluster.member(1).step({ ...(empty(2, 1, 0) as Append), index: 0, last: 0 });
    cluster.settle();
    assert.deepEqual([cluster.node(1).epoch, cluster.node(1).lastIndex], [epoch, lastIndex]);
  });
});
