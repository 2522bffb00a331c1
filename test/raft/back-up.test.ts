// FastLogRejection (etcd-io/raft): how many questions a new leader needs to find where a follower's log agrees with its own.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster, diskWith } from './harness.js';

/** Every log up to this length and term that could be: terms never fall. */
function logs(length: number, term: number): number[][] {
  const found: number[][] = [[]];
  for (const log of found) {
    if (log.length === length) continue;
    for (let next = log.at(-1) ?? 1; next <= term; next++) found.push([...log, next]);
  }
  return found;
}

/** Could both have come from one history? What has the same index and term follows the same entries (Log Matching). */
function couldCoexist(a: readonly number[], b: readonly number[]): boolean {
  return a.every((term, i) => term !== b[i] || a.slice(0, i).every((earlier, at) => earlier === b[at]));
}

/** Replica 1 leads with `mine`, and brings replica 2 in line. Returns how often 2 refused. */
function refusals(mine: readonly number[], theirs: readonly number[]): number {
  const term = Math.max(...mine, ...theirs, 1);
  const hardState = { term, vote: 0, commit: 0 };
  const disks = { 1: diskWith(mine, hardState), 2: diskWith(theirs, hardState), 3: diskWith(mine, hardState) };
  const cluster = new Cluster({ voters: [1, 2, 3], disks, preVote: false });
  cluster.cut(1, 2);
  cluster.elect(1);
  cluster.heal();
  let refused = 0;
  for (let rounds = 0; cluster.node(1).progress()[1]?.match !== cluster.node(1).lastIndex; rounds++) {
    assert.ok(rounds < 50, 'it never ends');
    cluster.tick(1); // the first question was lost: the answer to a heartbeat brings the next
    while (cluster.deliver(1, 2) > 0) {
      const replies = cluster.take(2, 1);
      refused += replies.filter((m) => m.type === 'appendReply' && !m.granted).length;
      for (const reply of replies) cluster.member(1).step(reply);
      cluster.turn(1);
    }
  }
  assert.deepEqual(
    cluster.member(2).records.map((r) => r.term),
    cluster.member(1).records.map((r) => r.term),
  );
  return refused;
}

describe('fast back-up', () => {
  test('a refusal skips a whole term: there are no more of them than terms that the follower has and the leader has not, and one', () => {
    const all = logs(4, 4);
    let pairs = 0;
    for (const mine of all) {
      for (const theirs of all) {
        if (!couldCoexist(mine, theirs) || (theirs.at(-1) ?? 0) > (mine.at(-1) ?? 0) + 4) continue;
        pairs++;
        const agree = theirs.findIndex((term, i) => term !== mine[i]);
        const beyond = agree < 0 ? [] : theirs.slice(agree);
        const most = new Set(beyond).size + 1;
        const refused = refusals(mine, theirs);
        assert.ok(refused <= most, `[${mine}] over [${theirs}]: ${refused} refusals, at most ${most}`);
      }
    }
    assert.ok(pairs > 1_000, `${pairs}`);
  });

  test('two logs that differ for a hundred entries of one term each agree after two questions', () => {
    const common = [1, 1, 1];
    const mine = [...common, ...new Array<number>(100).fill(3)];
    const theirs = [...common, ...new Array<number>(100).fill(2)];
    assert.ok(refusals(mine, theirs) <= 2);
  });
});
