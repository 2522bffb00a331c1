// What cannot be, if everybody keeps to Raft: the core stops instead of guessing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Append, InvariantError, type Message, RaftNode } from '../../ts/raft/index.js';
import { CONFIG_DEFAULT, diskWith, initialOf, type WireMessage } from './harness.js';

describe('what cannot be', () => {
  const append = (o: Partial<Append>): Message => ({
    ...{ type: 'append', from: 2, to: 1, term: 2, session: 1, commit: 0, truncatable: 0, round: 0 },
    ...{ index: 0, logTerm: 0, entries: [], last: 0, ...o },
  });
  const node = () => {
    const disk = diskWith([1, 1], { term: 2, vote: 0, commit: 2 });
    return new RaftNode({ ...CONFIG_DEFAULT, id: 1, voters: [1, 2, 3] }, initialOf(disk));
  };

  test('two leaders of a term', () => {
    const replica = node();
    replica.step(append({}));
    assert.throws(() => replica.step(append({ from: 3 })), InvariantError);
  });

  test('a leader that contradicts what is committed', () => {
    const entries = [{ index: 2, term: 2, bytes: 100 }];
    assert.throws(() => node().step(append({ index: 1, logTerm: 1, entries, last: 2 })), InvariantError);
  });

  test('an append with gaps, or that does not carry what it says', () => {
    const gap = [{ index: 5, term: 2, bytes: 100 }];
    assert.throws(() => node().step(append({ index: 2, logTerm: 1, entries: gap, last: 3 })), InvariantError);
    assert.throws(() => node().step(append({ index: 2, logTerm: 1, last: 3 })), InvariantError);
  });

  test('a message for somebody else', () => {
    const stray: WireMessage = { type: 'vote', from: 2, to: 3, term: 1, index: 0, logTerm: 0 };
    assert.throws(() => node().step(stray), InvariantError);
  });

  test('a configuration that contradicts itself', () => {
    const disk = initialOf(diskWith([], { term: 0, vote: 0, commit: 0 }));
    const config = { ...CONFIG_DEFAULT, id: 1, voters: [1, 2, 3] };
    for (const wrong of [
      { id: 0 },
      { voters: [] },
      { voters: [1, 1] },
      { electionTicks: 1 },
      { inflightMessagesMax: 0 },
    ]) {
      assert.throws(() => new RaftNode({ ...config, ...wrong }, disk), InvariantError);
    }
  });

  test('a disk that contradicts itself', () => {
    const config = { ...CONFIG_DEFAULT, id: 1, voters: [1] };
    const good = initialOf(diskWith([1, 2], { term: 2, vote: 0, commit: 1 }));
    for (const wrong of [
      { hardState: { term: 1, vote: 0, commit: 1 } }, // an entry of a term never seen
      { hardState: { term: 2, vote: 0, commit: 3 } }, // committed, and gone
      { termRuns: [] },
      { termRuns: [[2, 1]] as const },
    ]) {
      assert.throws(() => new RaftNode(config, { ...good, ...wrong }), InvariantError);
    }
  });
});
