// The reader of WebSocket messages: any cut of the stream gives the same messages, and nothing that is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageReader, OPCODE, WebSocketViolation } from '../../ts/client/message-reader.js';

type Told = ['text' | 'binary', Buffer] | ['ping' | 'pong', Buffer] | ['goodbye', number | undefined];

const BYTES_MAX = 300_000;

/** A frame as a server sends it; `lengthBytes` 2 or 8 for a length that is written longer than it must be. */
function frame(opcode: number, payload: Uint8Array, final = true, lengthBytes = 0): Buffer {
  const length = payload.length;
  const form = Math.max(lengthBytes, length < 126 ? 0 : length < 0x1_0000 ? 2 : 8);
  const head = Buffer.alloc(2 + form);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = form === 0 ? length : form === 2 ? 126 : 127;
  if (form === 2) head.writeUInt16BE(length, 2);
  if (form === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

function listener(): { readonly told: Told[]; readonly reader: MessageReader } {
  const told: Told[] = [];
  const reader = new MessageReader(BYTES_MAX, {
    message: (payload, binary) => told.push([binary ? 'binary' : 'text', Buffer.from(payload)]),
    control: (opcode, payload) => told.push([opcode === OPCODE.ping ? 'ping' : 'pong', Buffer.from(payload)]),
    goodbye: (code) => told.push(['goodbye', code]),
  });
  return { told, reader };
}

/** As a socket does: into the reader's room, no more than fits. Afterwards the bytes of the room are not ours any more. */
function feed(reader: MessageReader, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const room = reader.room();
    assert.ok(room.length > 0, 'there is always room for a byte');
    const count = Math.min(room.length, bytes.length - at);
    room.set(bytes.subarray(at, at + count));
    reader.received(count);
    at += count;
  }
}

const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 0, max: BYTES_MAX }).map((bytes) => new Uint8Array(bytes).fill(bytes)),
);

/** Of one message: how it is divided, and the ping between each two parts. */
const messages = fc.record({
  binary: fc.boolean(),
  payload: payloads,
  cuts: fc.array(fc.nat({ max: BYTES_MAX }), { maxLength: 4 }),
  ping: fc.option(fc.uint8Array({ maxLength: 125 }), { nil: undefined }),
  lengthBytes: fc.constantFrom(0, 2, 8),
});

test('whatever the cuts: the messages that were sent, in order', () => {
  const chunkBytes = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(messages, { maxLength: 8 }), chunkBytes, fc.boolean(), (sent, chunks, pushed) => {
      const frames: Buffer[] = [];
      const expected: Told[] = [];
      for (const { binary, payload, cuts, ping, lengthBytes } of sent) {
        const ends = [...cuts.map((cut) => cut % (payload.length + 1)), payload.length].sort((a, b) => a - b);
        ends.forEach((end, i) => {
          const opcode = i > 0 ? OPCODE.continuation : binary ? OPCODE.binary : OPCODE.text;
          frames.push(frame(opcode, payload.subarray(ends[i - 1] ?? 0, end), i === ends.length - 1, lengthBytes));
          if (ping === undefined) return;
          frames.push(frame(OPCODE.ping, ping));
          if (i < ends.length - 1) expected.push(['ping', Buffer.from(ping)]);
        });
        expected.push([binary ? 'binary' : 'text', Buffer.from(payload)]);
        if (ping !== undefined) expected.push(['ping', Buffer.from(ping)]);
      }
      const stream = Buffer.concat(frames);
      const { told, reader } = listener();
      for (let at = 0, i = 0; at < stream.length; i++) {
        const chunk = stream.subarray(at, at + (chunks[i % chunks.length] ?? 1));
        if (pushed) reader.push(chunk);
        else feed(reader, chunk);
        at += chunk.length;
      }
      assert.deepEqual(told, expected);
    }),
    { numRuns: 150 },
  );
});

test('byte by byte', () => {
  const sent = [new Uint8Array(0), new Uint8Array(126).fill(1), new Uint8Array(65_536).fill(2)];
  const { told, reader } = listener();
  for (const byte of Buffer.concat(sent.map((payload) => frame(OPCODE.binary, payload)))) feed(reader, Buffer.of(byte));
  assert.deepEqual(
    told,
    sent.map((payload) => ['binary', Buffer.from(payload)]),
  );
});

const part = (bytes: number): Buffer => frame(OPCODE.binary, new Uint8Array(bytes), false);
const rest = (bytes: number, final = true): Buffer => frame(OPCODE.continuation, new Uint8Array(bytes), final);

const VIOLATIONS: readonly [name: string, bytes: Buffer, code: number][] = [
  ['masked', Buffer.of(0x82, 0x81, 1, 2, 3, 4, 5), 1002],
  ['masked, of a longer form', Buffer.of(0x82, 0xfe, 0, 200), 1002],
  ['masked, of the longest form', Buffer.of(0x82, 0xff, 0, 0), 1002],
  ['a reserved bit', Buffer.of(0xc2, 0), 1002],
  ['another reserved bit', Buffer.of(0x92, 0), 1002],
  ['opcode 3', Buffer.of(0x83, 0), 1002],
  ['opcode 11', Buffer.of(0x8b, 0), 1002],
  ['a long ping', frame(OPCODE.ping, new Uint8Array(126)), 1002],
  ['a divided ping', frame(OPCODE.ping, new Uint8Array(1), false), 1002],
  ['a continuation of nothing', rest(1), 1002],
  ['a message within a divided one', Buffer.concat([part(1), frame(OPCODE.binary, new Uint8Array(1))]), 1002],
  ['too long by one byte', frame(OPCODE.binary, new Uint8Array(BYTES_MAX + 1)).subarray(0, 10), 1009],
  ['a length beyond 2^53', Buffer.of(0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255), 1009],
  ['too long in two parts', Buffer.concat([part(BYTES_MAX), rest(1).subarray(0, 2)]), 1009],
  ['a close frame of one byte', frame(OPCODE.close, Buffer.of(3)), 1002],
  ['a close frame with a code that is never sent', frame(OPCODE.close, Buffer.of(0x03, 0xed)), 1002],
  ['a close frame with a reason that is no text', frame(OPCODE.close, Buffer.of(0x03, 0xe8, 0xff)), 1007],
];

for (const [name, bytes, code] of VIOLATIONS) {
  test(`refused as soon as it can be told: ${name}`, () => {
    for (const whole of [true, false]) {
      const { told, reader } = listener();
      const good = frame(OPCODE.binary, Buffer.of(7));
      const run = (): void => {
        if (whole) feed(reader, Buffer.concat([good, bytes]));
        else for (const byte of [...good, ...bytes]) feed(reader, Buffer.of(byte));
      };
      assert.throws(run, (error: unknown) => error instanceof WebSocketViolation && error.code === code);
      assert.deepEqual(told, [['binary', Buffer.of(7)]], 'what came before it was handed out');
    }
  });
}

test('the largest message, whole and divided', () => {
  const { told, reader } = listener();
  feed(reader, frame(OPCODE.binary, new Uint8Array(BYTES_MAX)));
  feed(reader, Buffer.concat([part(BYTES_MAX - 1), rest(1)]));
  assert.deepEqual(
    told.map(([, payload]) => (Buffer.isBuffer(payload) ? payload.length : -1)),
    [BYTES_MAX, BYTES_MAX],
  );
});

test('parts without end take no memory', () => {
  const { told, reader } = listener();
  feed(reader, part(1));
  const empty = Buffer.concat(Array.from({ length: 1_000 }, () => rest(0, false)));
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000; i++) feed(reader, empty);
  assert.ok(process.memoryUsage().heapUsed - before < 32 * 1024 * 1024);
  feed(reader, rest(1));
  assert.deepEqual(told, [['binary', Buffer.alloc(2)]]);
});

test('what a close frame says, and nothing after the reader was stopped', () => {
  const { told, reader } = listener();
  feed(reader, Buffer.concat([frame(OPCODE.close, Buffer.of(0x03, 0xe9)), frame(OPCODE.close, Buffer.alloc(0))]));
  assert.deepEqual(told, [
    ['goodbye', 1001],
    ['goodbye', undefined],
  ]);
  reader.stop();
  feed(reader, frame(OPCODE.binary, Buffer.of(1)));
  assert.equal(told.length, 2);
});
