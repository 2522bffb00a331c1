// What waiters are told, matched by index and term.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slab } from '../../ts/host/stage.js';
import type { KvContext } from '../../ts/kv/context.js';
import { Counters } from '../../ts/kv/metrics.js';
import { Pending } from '../../ts/kv/pending.js';
import { Writes } from '../../ts/kv/writes.js';
import { FRAME } from '../../ts/proto/frame.js';
import { codeOf, readAnswer } from './frames.js';

/** Results as the storage writes them: one record at (index, term) with one opaque batch. */
function results(index: number, term: number, batch: Uint8Array): Buffer {
  const padded = Math.ceil(batch.length / 8) * 8;
  const bytes = Buffer.alloc(32 + 8 + padded);
  bytes.writeBigUInt64LE(BigInt(index), 0);
  bytes.writeBigUInt64LE(BigInt(term), 8);
  bytes.writeUInt32LE(1, 16);
  bytes.writeUInt32LE(8 + padded, 20);
  bytes.writeUInt32LE(batch.length, 32);
  bytes.set(batch, 40);
  return bytes;
}

function setUp(): {
  writes: Writes;
  answers: string[];
  apply: (bytes: Buffer) => void;
  propose: (index: number, term: number) => void;
} {
  const answers: string[] = [];
  let queue: Buffer[] = [];
  const context = {
    machine: {
      results: (out: Uint8Array) => {
        const next = queue.shift();
        if (next === undefined) return 0;
        out.set(next);
        return next.length;
      },
    },
    clock: { now: () => 0 },
    counters: new Counters(),
    limits: { proposalFramesMax: 10, proposalBytesMax: 1000 },
    reject: (pending: Pending, error: Parameters<Pending['fail']>[0]) => pending.fail(error),
  } as unknown as KvContext;
  const writes = new Writes(context);
  const reply = (frame: Uint8Array): void => {
    const body = Buffer.from(frame.subarray(16)).toString();
    answers.push(frame[0] === FRAME.written ? body : codeOf(readAnswer(frame)));
  };
  const propose = (index: number, term: number): void => {
    const waiter = new Pending({ alive: true, reply }, FRAME.write, 1, index, 1_000);
    writes.onProposed(index, term, { slab: new Slab(8), start: 0, end: 8, commands: 1, waiters: [waiter] });
  };
  const apply = (bytes: Buffer): void => {
    queue = [bytes];
    writes.drain();
  };
  return { writes, answers, apply, propose };
}

test('a result goes to whom its index and term belong to', () => {
  const { answers, apply, propose } = setUp();
  propose(5, 2);
  propose(6, 2);
  apply(results(4, 2, Buffer.from('not ours')));
  apply(results(5, 2, Buffer.from('five')));
  apply(results(6, 2, Buffer.from('six')));
  assert.deepEqual(answers, ['five', 'six']);
});

test("another term at the same index is somebody else's entry: its result is nobody's here", () => {
  const { answers, apply, propose } = setUp();
  propose(5, 2);
  propose(6, 2);
  apply(results(5, 3, Buffer.from('of another client')));
  assert.deepEqual(answers, ['ERAFT_OUTCOME_UNKNOWN']);
});

test('leadership is lost: what was proposed under it is in doubt; what the same term still leads is kept', () => {
  const { writes, answers, apply, propose } = setUp();
  propose(5, 2);
  propose(6, 3);
  writes.lose(true, 3);
  assert.deepEqual(answers, ['ERAFT_OUTCOME_UNKNOWN']);
  apply(results(6, 3, Buffer.from('six')));
  writes.lose(false, 4);
  assert.deepEqual(answers, ['ERAFT_OUTCOME_UNKNOWN', 'six']);
  assert.equal(writes.waits, false);
});

test('results are asked for behind a run that the apply thread still works on, and only where somebody waits', () => {
  const { writes, propose } = setUp();
  assert.equal(writes.wantsResults(3, 9), false);
  propose(5, 2);
  propose(8, 2);
  assert.equal(writes.wantsResults(3, 5), true); // handed over, and not answered while this is asked:
  assert.equal(writes.wantsResults(5, 7), false);
  assert.equal(writes.wantsResults(7, 9), true);
  assert.equal(writes.wantsResults(8, 12), false);
});
