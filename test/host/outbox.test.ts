import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AppendSource, Outbox } from '../../ts/host/outbox.js';
import { Tags } from '../../ts/host/tags.js';
import { decodeRaftFrame, PEER_PREFIX_BYTES } from '../../ts/proto/peer-frames.js';
import type { Append, Message } from '../../ts/raft/messages.js';
import type { LogStore } from '../../ts/storage/index.js';
import type { Network } from '../../ts/transport/network.js';

const ENTRY_BYTES = 64;

/** A log of which entries from `memoryFrom` on are in memory, and a network that notes what it is given. */
class Bench {
  readonly sent: { to: number; messages: string[]; tail: string }[] = [];
  readonly lost: number[] = [];
  /** The tails as they were given, and who is to be told that they have left. */
  readonly tails: { part: Uint8Array; gone: (() => void) | undefined }[] = [];
  readonly tags = new Tags();
  readonly fetched: { from: number; to: number; tag: number }[] = [];
  readonly outbox: Outbox;
  memoryFrom = 1;
  mayStillSend = true;
  /** The follower has said that it has everything up to here. */
  held = 0;
  reads = 0;
  up = true;

  constructor() {
    const network = {
      send: (to: number, frame: Uint8Array, tail: Uint8Array[], gone?: () => void) => {
        for (const part of tail) this.tails.push({ part, gone });
        return this.#send(to, frame, tail);
      },
    };
    const log = {
      readTail: (_: number, from: number, to: number, __: number, out: Uint8Array, at: number) => {
        if (from < this.memoryFrom) return 0;
        const bytes = this.bytes(from, to);
        if (out.length - at < bytes.length) return -bytes.length;
        this.reads++;
        out.set(bytes, at);
        return bytes.length;
      },
      fetch: (_: number, from: number, to: number, __: number, tag: number) => this.fetched.push({ from, to, tag }),
    };
    this.outbox = new Outbox(network as unknown as Network, log as unknown as LogStore, this.tags);
  }

  readonly source: AppendSource = {
    group: 1,
    epoch: 3,
    mayStillSend: (_: Append, epoch: number) => this.mayStillSend && epoch === 3,
    isHeld: ({ last }: Append) => last <= this.held,
    onLost: (to: number) => this.lost.push(to),
  };

  bytes(from: number, to: number): Uint8Array {
    const out = Buffer.alloc((to - from + 1) * ENTRY_BYTES);
    for (let i = from; i <= to; i++) out.write(`<${i}>`, (i - from) * ENTRY_BYTES);
    return out;
  }

  answer(status = 0): void {
    const { from, to, tag } = this.fetched.shift() ?? { from: 0, to: 0, tag: 0 };
    const bytes = this.bytes(from, to);
    this.tags.release(tag)?.(status, bytes, 0, bytes.length);
  }

  #send(to: number, frame: Uint8Array, tail: Uint8Array[]): boolean {
    const bytes = Buffer.concat(tail);
    const messages = decodeRaftFrame(frame.subarray(PEER_PREFIX_BYTES), bytes.length).map(({ message: m }) =>
      m.type === 'append' ? `append ${m.index + 1}-${m.last}` : m.type,
    );
    if (this.up) this.sent.push({ to, messages, tail: bytes.toString('latin1').replaceAll('\0', '') });
    return this.up;
  }
}

const leader = { from: 1, term: 4, session: 1, commit: 0, truncatable: 0, round: 0 };
const append = (to: number, first: number, last: number): Message => {
  return { type: 'append', ...leader, to, index: first - 1, logTerm: 1, entries: [], last };
};
const heartbeat = (to: number): Message => ({ type: 'heartbeat', ...leader, to });

test('a turn is one frame for each peer, with the records of its appends; what two are told is read once', () => {
  const b = new Bench();
  b.outbox.add(b.source, [append(2, 1, 2), heartbeat(2), append(3, 1, 2), append(2, 3, 3)]);
  assert.equal(b.sent.length, 0);
  assert.ok(b.outbox.flush());
  assert.deepEqual(b.sent, [
    { to: 2, messages: ['append 1-2', 'heartbeat', 'append 3-3'], tail: '<1><2><3>' },
    { to: 3, messages: ['append 1-2'], tail: '<1><2>' },
  ]);
  assert.equal(b.reads, 2);
  assert.equal(b.outbox.flush(), false);
});

test('appends wait in order behind one that comes from disk; heartbeats do not, nor do other peers', () => {
  const b = new Bench();
  b.memoryFrom = 5;
  b.outbox.add(b.source, [append(2, 1, 2), append(2, 3, 4), append(2, 5, 6), heartbeat(2), append(3, 5, 6)]);
  b.outbox.flush();
  assert.deepEqual(b.sent.splice(0), [
    { to: 2, messages: ['heartbeat'], tail: '' },
    { to: 3, messages: ['append 5-6'], tail: '<5><6>' },
  ]);
  b.outbox.add(b.source, [append(2, 7, 7)]);
  b.answer();
  b.outbox.flush();
  assert.deepEqual(b.sent.splice(0), [{ to: 2, messages: ['append 1-2'], tail: '<1><2>' }]);
  b.answer();
  b.outbox.flush();
  const rest = { to: 2, messages: ['append 3-4', 'append 5-6', 'append 7-7'], tail: '<3><4><5><6><7>' };
  assert.deepEqual(b.sent, [rest]);
});

test('what the follower has said it holds is not sent again, however often it waits for the disk', () => {
  const b = new Bench();
  b.memoryFrom = 100;
  for (let round = 0; round < 50; round++) b.outbox.add(b.source, [append(2, 1, 2), append(2, 3, 4)]);
  b.outbox.add(b.source, [append(2, 5, 6)]);
  b.held = 4;
  b.answer();
  b.outbox.flush();
  assert.deepEqual(b.sent.splice(0), []);
  assert.equal(b.fetched.length, 1, 'the next read is of what it lacks');
  b.answer();
  b.outbox.flush();
  assert.deepEqual(b.sent, [{ to: 2, messages: ['append 5-6'], tail: '<5><6>' }]);
  assert.deepEqual(b.lost, []);
});

test('bytes that come when the leadership has ended, or not at all, are not sent; the core is told of the loss', () => {
  for (const spoilt of ['the disk', 'the leadership']) {
    const b = new Bench();
    b.memoryFrom = 5;
    b.outbox.add(b.source, [append(2, 1, 2), append(2, 5, 6)]);
    b.mayStillSend = spoilt === 'the disk';
    b.answer(spoilt === 'the disk' ? 45 : 0);
    b.outbox.flush();
    assert.deepEqual([b.sent, b.lost], [[], [2]]);
    b.mayStillSend = true;
    b.outbox.add(b.source, [append(2, 5, 5)]);
    b.outbox.flush();
    assert.equal(b.sent.length, 1, 'nothing waits for ever');
  }
});

test('a frame that finds no way is a loss for whoever had appends in it, and for nobody else', () => {
  const b = new Bench();
  b.up = false;
  b.outbox.add(b.source, [heartbeat(2), append(3, 1, 1)]);
  b.outbox.flush();
  assert.deepEqual(b.lost, [3]);
});

test('memory for what comes from disk is used again, and not before the network is done with it', () => {
  const bench = new Bench();
  bench.memoryFrom = 100;
  const readOne = (first: number): void => {
    bench.outbox.add(bench.source, [append(2, first, first)]);
    bench.answer();
    bench.outbox.flush();
  };
  for (const first of [1, 2]) readOne(first);
  const [one, two] = bench.tails;
  assert.notEqual(one?.part.buffer, two?.part.buffer);
  assert.deepEqual(
    [one?.part, two?.part],
    [bench.bytes(1, 1), bench.bytes(2, 2)].map((bytes) => new Uint8Array(bytes)),
  );
  one?.gone?.();
  readOne(3);
  assert.equal(bench.tails[2]?.part.buffer, one?.part.buffer);
  assert.deepEqual(two?.part, new Uint8Array(bench.bytes(2, 2)));
  bench.up = false; // dropped, so nobody tells of it
  readOne(4);
  bench.up = true;
  readOne(5);
  assert.equal(bench.tails[4]?.part.buffer, bench.tails[3]?.part.buffer);
});
