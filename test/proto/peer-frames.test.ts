import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteBuffer } from 'flatbuffers';
import { EraftError } from '../../ts/base/errors.js';
import { decodeConfState, encodeConfState } from '../../ts/proto/conf-state.js';
import { Forward } from '../../ts/proto/generated/peer/forward.js';
import { RaftFrame } from '../../ts/proto/generated/peer/raft-frame.js';
import {
  checkPeerHead,
  decodeForward,
  decodeRaftFrame,
  encodeForward,
  encodeRaftFrame,
  type OutgoingMessage,
  PEER_FRAME,
  PEER_PREFIX_BYTES,
  readPeerPrefix,
} from '../../ts/proto/peer-frames.js';
import { decodePeerHello, encodePeerHello } from '../../ts/proto/peer-hello.js';
import type { Message } from '../../ts/raft/messages.js';

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const id = fc.integer({ min: 1, max: 0xffff_ffff });
const envelope = { from: id, to: id, term: number };
const leader = { ...envelope, session: number, commit: number, truncatable: number, round: number };

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constantFrom('preVote' as const, 'vote' as const),
    ...envelope,
    index: number,
    logTerm: number,
  }),
  fc.record({
    type: fc.constantFrom('preVoteReply' as const, 'voteReply' as const),
    ...envelope,
    granted: fc.boolean(),
  }),
  fc
    .record({ ...leader, index: fc.nat(), logTerm: number, count: fc.nat({ max: 9 }) })
    .map(({ count, ...m }): Message => ({ type: 'append', ...m, entries: [], last: m.index + count })),
  fc.record({ type: fc.constant('heartbeat' as const), ...leader }),
  fc.record({ type: fc.constant('snapshot' as const), ...leader, index: number, logTerm: number }),
  fc.record({
    type: fc.constant('appendReply' as const),
    ...envelope,
    session: number,
    granted: fc.boolean(),
    index: number,
    hintIndex: number,
    hintTerm: number,
    round: number,
  }),
  fc.record({
    type: fc.constant('heartbeatReply' as const),
    ...envelope,
    session: number,
    index: number,
    round: number,
  }),
);

const outgoing: fc.Arbitrary<OutgoingMessage> = fc
  .record({ group: id, message, recordBytes: fc.integer({ min: 1, max: 5000 }) })
  .map((o) => ({
    ...o,
    recordBytes: o.message.type === 'append' && o.message.last > o.message.index ? o.recordBytes : 0,
  }));

function headOf(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const prefix = readPeerPrefix(view, 0, 0xffff_ffff);
  const head = frame.subarray(PEER_PREFIX_BYTES, PEER_PREFIX_BYTES + prefix.headLength);
  checkPeerHead(prefix, head);
  return head;
}

const isMalformed = (error: unknown): boolean => EraftError.is(error) && error.code === 'ERAFT_BAD_REQUEST';

test('Raft messages come back as they were sent, with their places in the tail', () => {
  fc.assert(
    fc.property(fc.array(outgoing, { maxLength: 20 }), (messages) => {
      const frame = encodeRaftFrame(messages);
      const tail = messages.reduce((sum, m) => sum + m.recordBytes, 0);
      const back = decodeRaftFrame(headOf(frame), tail);
      assert.deepEqual(
        back.map(({ group, message, start, end }) => ({ group, message, recordBytes: end - start })),
        messages.map((m) => ({ ...m, message: { ...m.message } })),
      );
      assert.equal(back.at(-1)?.end ?? 0, tail);
    }),
  );
});

test('the hand-written Raft frame is the FlatBuffer of the schema', () => {
  fc.assert(
    fc.property(fc.array(outgoing, { maxLength: 5 }), (messages) => {
      const table = RaftFrame.getRootAsRaftFrame(new ByteBuffer(headOf(encodeRaftFrame(messages))));
      assert.equal(table.messagesLength(), messages.length);
      for (const [i, { group, message, recordBytes }] of messages.entries()) {
        const read = table.messages(i);
        assert.equal(read?.group(), group);
        assert.equal(read?.from(), message.from);
        assert.equal(read?.term(), BigInt(message.term));
        assert.equal(read?.recordBytes(), recordBytes);
      }
    }),
  );
  const forward = Forward.getRootAsForward(
    new ByteBuffer(headOf(encodeForward(PEER_FRAME.forward, { request: 7, deadlineMs: 9 }, 0))),
  );
  assert.deepEqual([forward.request(), forward.deadlineMs()], [7, 9]);
});

test('a damaged head fails its checksum, and without one decodes or is malformed: it never throws anything else', () => {
  fc.assert(
    fc.property(
      fc.array(outgoing, { maxLength: 4 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (messages, at, flip) => {
        const frame = encodeRaftFrame(messages);
        const tail = messages.reduce((sum, m) => sum + m.recordBytes, 0);
        const prefix = readPeerPrefix(new DataView(frame.buffer), 0, 0xffff_ffff);
        const head = frame.slice(PEER_PREFIX_BYTES);
        head[at % head.length] = (head[at % head.length] ?? 0) ^ flip;
        assert.throws(() => checkPeerHead(prefix, head), isMalformed);
        try {
          decodeRaftFrame(head, tail);
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      },
    ),
  );
});

test('any bytes as a head or as a prefix are decoded or malformed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 1000 }), (bytes, tail) => {
      const attempts = [
        () => decodeRaftFrame(bytes, tail),
        () => decodeForward(bytes),
        () => decodePeerHello(bytes),
        () => bytes.length >= 16 && readPeerPrefix(new DataView(bytes.buffer, bytes.byteOffset), 0, 1000),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a hello and a membership come back as they were', () => {
  const uid = fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn }).map((n) => n.toString(16).padStart(16, '0'));
  fc.assert(
    fc.property(
      fc.record({
        versionMin: fc.constant(1),
        versionMax: fc.integer({ min: 1, max: 9 }),
        features: number,
        cluster: fc.string(),
        replica: id,
        uid,
        to: id,
        clientAddress: fc.string(),
        peerAddress: fc.string(),
        blank: fc.boolean(),
        knownUid: fc.option(uid),
        refused: fc.string(),
        term: fc.maxSafeNat(),
        damaged: fc.boolean(),
        frameBytesMax: id,
      }),
      (hello) => assert.deepEqual(decodePeerHello(headOf(encodePeerHello(hello))), { ...hello }),
    ),
  );
  const members = new Map([
    [1, '00000000000000ff'],
    [3, null],
    [2, 'ffffffffffffffff'],
  ]);
  const padded = new Uint8Array([...encodeConfState(members), 0, 0, 0, 0]);
  assert.deepEqual(
    [...decodeConfState(padded)],
    [...members].sort(([a], [b]) => a - b),
  );
});

test('a prefix that promises too much is refused before anything is held for it', () => {
  const prefix = Buffer.alloc(16);
  const read = (length: number, headLength: number): unknown => {
    prefix.writeUInt32LE(length, 0);
    prefix.writeUInt32LE(headLength, 4);
    prefix[12] = PEER_FRAME.raft;
    prefix[13] = 1;
    return readPeerPrefix(new DataView(prefix.buffer, prefix.byteOffset), 0, 1000);
  };
  assert.throws(() => read(1001, 0), isMalformed);
  assert.throws(() => read(10, 11), isMalformed);
  read(1000, 1000);
});
