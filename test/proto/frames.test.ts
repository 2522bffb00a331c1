// Frames there and back, and against the generated FlatBuffers code, which knows nothing of the hand-written shapes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Builder, ByteBuffer } from 'flatbuffers';
import { ERRORS, EraftError, type ErrorCode } from '../../ts/base/errors.js';
import {
  COMMAND,
  CommandScratch,
  type DecodedCommand,
  decodeBatchHead,
  decodeCommands,
  emptyWriteFrame,
  registerFrame,
  stampSession,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../../ts/proto/command-batch.js';
import {
  decodeCloseView,
  decodeError,
  decodeHello,
  decodeLeader,
  decodeStatusReply,
  decodeWelcome,
  encodeCloseView,
  encodeError,
  encodeHello,
  encodeLeader,
  encodeStatusReply,
  encodeWelcome,
} from '../../ts/proto/control-frames.js';
import { FRAME, frameBody, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import { ErrorReply } from '../../ts/proto/generated/client/error-reply.js';
import { CommandBatch } from '../../ts/proto/generated/command/command-batch.js';
import { ReadBatch } from '../../ts/proto/generated/command/read-batch.js';
import { decodeReadHead, decodeReadKeys, decodeReadResult, ReadScratch } from '../../ts/proto/read-batch.js';
import { ResultReader } from '../../ts/proto/result-batch.js';
import { decodeScanPage, decodeScanRequest, encodeScanRequest } from '../../ts/proto/scan-frames.js';
import { parseClusterStatus } from '../../ts/proto/status.js';
import { readResult, resultBatch, scanPage } from './answers.js';

const bytes = fc.uint8Array({ maxLength: 200 });
const u53 = fc.maxSafeNat();
const i53 = fc.maxSafeInteger();
const u32 = fc.nat(0xffff_ffff);
const seed = process.env.ERAFT_SEED;
const runs = seed === undefined ? {} : { seed: Number(seed) };

const command = fc.record({
  kind: fc.integer({ min: 1, max: 19 }),
  flags: fc.nat(3),
  parts: fc.nat(0xffff),
  key: bytes,
  value: bytes,
  number: i53,
});

function batchFrame(
  commands: readonly {
    kind: number;
    flags: number;
    parts: number;
    key: Uint8Array;
    value: Uint8Array;
    number: number;
  }[],
): Buffer {
  const scratch = new CommandScratch();
  for (const c of commands) scratch.add(c.kind, c.flags, c.parts, c.key, c.value, c.number);
  const frame = emptyWriteFrame(scratch.headers, scratch.dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, scratch.headers);
  scratch.copyData(frame, writeFrameDataAt(scratch.headers), 0, scratch.dataBytes);
  assert.equal(frame.length, 16 + scratch.batchBytes);
  return frame;
}

test('a header comes back as it was written', () => {
  fc.assert(
    fc.property(fc.nat(255), u32, u32, u32, bytes, (kind, group, request, deadlineMs, body) => {
      const frame = frameOf(kind, group, request, deadlineMs, body);
      assert.deepEqual(readFrameHeader(frame), { kind, group, request, deadlineMs });
      assert.deepEqual(frameBody(frame), body);
    }),
    runs,
  );
});

test('a header with unknown flags, or less than a header, is refused', () => {
  const frame = Buffer.from(frameOf(1, 1, 1, 1, new Uint8Array(0)));
  for (const at of [1, 2, 3]) {
    const bad = Buffer.from(frame);
    bad[at] = 1;
    assert.throws(() => readFrameHeader(bad), { code: 'ERAFT_BAD_REQUEST' });
  }
  for (let n = 0; n < 16; n++)
    assert.throws(() => readFrameHeader(frame.subarray(0, n)), { code: 'ERAFT_BAD_REQUEST' });
});

test('a batch built in bulk is what the schema says', () => {
  fc.assert(
    fc.property(
      fc.array(command, { minLength: 1, maxLength: 20 }),
      u53,
      u53,
      u53,
      (commands, session, sequence, acknowledged) => {
        const frame = batchFrame(commands);
        stampSession(frame, session, sequence, acknowledged);
        const body = frameBody(frame);
        const batch = CommandBatch.getRootAsCommandBatch(new ByteBuffer(body));
        assert.deepEqual(
          [batch.session(), batch.sequence(), batch.acknowledged()],
          [BigInt(session), BigInt(sequence), BigInt(acknowledged)],
        );
        assert.deepEqual(decodeBatchHead(body), { session, sequence, acknowledged, headers: commands.length });
        const plain = (c: DecodedCommand) => ({ ...c, key: [...c.key], value: [...c.value] });
        assert.deepEqual(decodeCommands(body).map(plain), commands.map(plain));
        for (const [i, c] of commands.entries()) {
          const h = batch.commands(i);
          assert.deepEqual(
            [h?.kind(), h?.flags(), h?.parts(), h?.keyLength(), h?.valueLength(), h?.reserved(), h?.number()],
            [c.kind, c.flags, c.parts, c.key.length, c.value.length, 0, BigInt(c.number)],
          );
        }
        const data = Buffer.concat(commands.flatMap((c) => [c.key, c.value]));
        assert.deepEqual(Buffer.from(batch.dataArray() ?? []), data);
        assert.ok(body.length - 24 * commands.length - data.length <= 128, 'what stands around headers and data');
      },
    ),
    { numRuns: 100, ...runs },
  );
});

test('text becomes UTF-8, short and long', () => {
  const scratch = new CommandScratch();
  const long = 'ä€😀'.repeat(20_000);
  scratch.add(COMMAND.put, 0, 0, 'schlüssel', long);
  assert.deepEqual([scratch.lastKeyBytes(), scratch.lastValueBytes()], [10, 180_000]);
  const frame = emptyWriteFrame(1, scratch.dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, 1);
  scratch.copyData(frame, writeFrameDataAt(1), 0, scratch.dataBytes);
  const [decoded] = decodeCommands(frameBody(frame));
  assert.equal(Buffer.from(decoded?.value ?? []).toString(), long);
});

test('a registration stands alone, without a session', () => {
  const body = frameBody(registerFrame());
  assert.deepEqual(decodeBatchHead(body), { session: 0, sequence: 0, acknowledged: 0, headers: 1 });
  assert.equal(decodeCommands(body)[0]?.kind, COMMAND.register);
});

test('a read built in bulk is what the schema says', () => {
  fc.assert(
    fc.property(
      fc.array(bytes, { minLength: 1, maxLength: 50 }),
      fc.nat(1),
      fc.nat(1),
      u53,
      (keys, consistency, flags, minRevision) => {
        const scratch = new ReadScratch();
        for (const key of keys) scratch.add(key);
        const frame = scratch.frame(consistency, flags, minRevision);
        assert.equal(frame.length, scratch.frameBytes);
        const body = frameBody(frame);
        const batch = ReadBatch.getRootAsReadBatch(new ByteBuffer(body));
        assert.deepEqual(
          [batch.consistency(), batch.flags(), batch.minRevision()],
          [consistency, flags, BigInt(minRevision)],
        );
        assert.deepEqual(
          [...(batch.keyLengthsArray() ?? [])],
          keys.map((key) => key.length),
        );
        assert.deepEqual(Buffer.from(batch.dataArray() ?? []), Buffer.concat(keys));
        assert.deepEqual(decodeReadHead(body), {
          linearizable: consistency === 0,
          noValues: flags === 1,
          minRevision,
          keys: keys.length,
        });
        assert.deepEqual(
          decodeReadKeys(body).map((key) => [...key]),
          keys.map((key) => [...key]),
        );
      },
    ),
    { numRuns: 100, ...runs },
  );
});

test('scan requests there and back', () => {
  const request = fc.record({
    linearizable: fc.boolean(),
    minRevision: u53,
    first: bytes,
    end: bytes,
    reverse: fc.boolean(),
    keysOnly: fc.boolean(),
    limit: fc.integer({ min: 1, max: 0xffff_ffff }),
    pageBytes: u32,
    snapshot: u53,
  });
  fc.assert(
    fc.property(request, (r) => {
      const back = decodeScanRequest(frameBody(encodeScanRequest(r)));
      assert.deepEqual(
        { ...back, first: [...back.first], end: [...back.end] },
        { ...r, first: [...r.first], end: [...r.end] },
      );
    }),
    { numRuns: 200, ...runs },
  );
});

test('results, in one pass', () => {
  const answer = resultBatch({
    status: 0,
    firstRevision: 7,
    count: 4,
    lastSequence: 3,
    results: [
      { number: -5 },
      { flags: 1, value: Buffer.from('old'), revision: 2 },
      { status: 1, count: 2 },
      { status: 1, flags: 2, count: 0 },
      { status: 1, flags: 7, count: 3, valueLength: 99, revision: 5 },
      { flags: 1, value: Buffer.from('x'), revision: 1 },
    ],
  });
  const result = new ResultReader(answer);
  assert.deepEqual(
    [result.status, result.firstRevision, result.count, result.lastSequence, result.hasResults],
    [0, 7, 4, 3, true],
  );
  const seen = [];
  while (result.next()) {
    seen.push([
      result.commandStatus,
      result.present,
      result.leftOut,
      result.conditionCount,
      result.revision,
      result.number,
      Buffer.from(result.copyValue()).toString(),
    ]);
  }
  assert.deepEqual(seen, [
    [0, false, false, 0, 0, -5, ''],
    [0, true, false, 0, 2, 0, 'old'],
    [1, false, false, 2, 0, 0, ''],
    [1, false, false, 0, 0, 0, ''],
    [1, true, true, 3, 5, 0, ''],
    [0, true, false, 0, 1, 0, 'x'],
  ]);
});

test('results that do not add up are refused before one is handed out', () => {
  const wrong = [
    { status: 4 },
    { count: 2, results: [{}] },
    { count: 1, results: [{ status: 9 }] },
    { count: 1, results: [{ valueLength: 3 }] },
    { count: 1, results: [{ flags: 1, valueLength: 3 }] },
    { count: 1, results: [{ status: 1, count: 1 }] },
    { count: 1, results: [{}, { flags: 2, status: 1 }] },
    { count: 2, results: [{ status: 1, count: 1 }, {}] },
  ];
  for (const answer of wrong)
    assert.throws(() => new ResultReader(resultBatch(answer)), { code: 'ERAFT_BAD_REQUEST' }, JSON.stringify(answer));
});

test('entries, in one pass', () => {
  const { revision, entries } = decodeReadResult(
    readResult(12, [
      { present: true, value: Buffer.from('v'), revision: 3 },
      { present: false },
      { present: true, leftOut: true, valueLength: 500, revision: 4 },
    ]),
  );
  assert.equal(revision, 12);
  assert.equal(entries.peekLeftOut(3), 501);
  const seen = [];
  while (entries.next())
    seen.push([
      entries.present,
      entries.leftOut,
      entries.valueBytes,
      entries.revision,
      Buffer.from(entries.copyValue()).toString(),
    ]);
  assert.deepEqual(seen, [
    [true, false, 1, 3, 'v'],
    [false, false, 0, 0, ''],
    [true, true, 500, 4, ''],
  ]);
  const page = decodeScanPage(
    scanPage({
      revision: 9,
      more: true,
      snapshot: 5,
      entries: [{ present: true, key: Buffer.from('k'), value: Buffer.from('v'), revision: 1 }],
    }),
  );
  assert.deepEqual([page.revision, page.more, page.snapshot, page.entries.next()], [9, true, 5, true]);
  assert.deepEqual(
    [Buffer.from(page.entries.copyKey()).toString(), Buffer.from(page.entries.copyValue()).toString()],
    ['k', 'v'],
  );
  const bad = [
    [{ present: false, valueLength: 1 }],
    [{ present: true, valueLength: 2 }],
    [{ present: true, key: Buffer.from('k'), value: Buffer.from('v') }],
  ];
  for (const list of bad) assert.throws(() => decodeReadResult(readResult(1, list)), { code: 'ERAFT_BAD_REQUEST' });
  assert.throws(() => decodeScanPage(scanPage({ revision: 1, more: true, snapshot: 0, entries: [] })), {
    code: 'ERAFT_BAD_REQUEST',
  });
});

test('hello, welcome, leader, status, close view', () => {
  const hello = { versionMin: 1, versionMax: 3, features: 2n ** 63n + 1n, cluster: 'ab', client: 'ü' };
  assert.deepEqual(decodeHello(frameBody(encodeHello(hello))), hello);
  const welcome = {
    version: 1,
    features: 0n,
    cluster: 'c'.repeat(32),
    replica: 3,
    server: 'eraft 0.1.0',
    keyBytesMax: 1,
    valueBytesMax: 2,
    frameBytesMax: 3,
    batchCommandsMax: 4,
    inflightBatchesMax: 5,
  };
  assert.deepEqual(decodeWelcome(frameBody(encodeWelcome(welcome))), welcome);
  const leader = encodeLeader({ id: 2, address: '[::1]:2460' }, 9);
  assert.deepEqual(readFrameHeader(leader), { kind: FRAME.leader, group: 9, request: 0, deadlineMs: 0 });
  assert.deepEqual(decodeLeader(frameBody(leader)), { id: 2, address: '[::1]:2460' });
  assert.equal(decodeStatusReply(frameBody(encodeStatusReply('{"ü":1}', 1, 5))), '{"ü":1}');
  assert.equal(decodeCloseView(frameBody(encodeCloseView(2 ** 52, 1, 5))), 2 ** 52);
});

test('every error crosses the wire with its facts', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    for (const outcome of ['not-applied', 'unknown'] as const) {
      const error = new EraftError(code, `about ${code}`, {
        outcome,
        leader: { id: 2, address: 'a:1' },
        bytes: 5,
        bytesMax: 4,
      });
      const back = decodeError(frameBody(encodeError(error, 1, 7)));
      assert.deepEqual(
        [back.code, back.message, back.outcome, back.leader, back.bytes, back.bytesMax],
        [code, error.message, error.outcome, error.leader, 5, 4],
      );
    }
  }
});

test('an error that this version does not know keeps its outcome', () => {
  const body = (outcome: number): Uint8Array => {
    const b = new Builder(64);
    b.finish(ErrorReply.createErrorReply(b, 999, outcome, b.createString('new'), 0, b.createString(''), 0n, 0n));
    return b.asUint8Array();
  };
  assert.equal(decodeError(body(1)).outcome, 'not-applied');
  assert.equal(decodeError(body(2)).outcome, 'unknown');
  assert.equal(decodeError(body(0)).outcome, 'unknown', 'in doubt');
});

test('a message of any length fits', () => {
  for (const text of ['€'.repeat(30_000), 'x'.repeat(16_384), '😀'.repeat(9_000)]) {
    const back = decodeError(frameBody(encodeError(new EraftError('ERAFT_IO', text), 1, 1)));
    assert.ok(text.startsWith(back.message.slice(0, 1_000)));
  }
});

test('a status that is none', () => {
  const replica = { id: 1, address: 'a:1', reachable: true, role: 'leader' };
  const good = { clusterId: 'c', leader: null, replicas: [replica] };
  assert.deepEqual(parseClusterStatus(JSON.stringify(good)), good);
  for (const bad of [
    '',
    'null',
    '[]',
    '{}',
    JSON.stringify({ ...good, replicas: [{ ...replica, id: '1' }] }),
    JSON.stringify({ ...good, leader: 'x' }),
  ]) {
    assert.throws(() => parseClusterStatus(bad), { code: 'ERAFT_BAD_REQUEST' });
  }
});
