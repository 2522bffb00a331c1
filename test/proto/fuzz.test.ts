// Whatever the bytes, a decoder answers, or throws ERAFT_BAD_REQUEST; it hands out nothing from outside of its frame.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EraftError } from '../../ts/base/errors.js';
import { decodeBatchHead, decodeCommands, registerFrame } from '../../ts/proto/command-batch.js';
import * as control from '../../ts/proto/control-frames.js';
import type { EntryReader } from '../../ts/proto/entries.js';
import { frameBody, readFrameHeader } from '../../ts/proto/frame.js';
import { decodeReadHead, decodeReadKeys, decodeReadResult, ReadScratch } from '../../ts/proto/read-batch.js';
import { ResultReader } from '../../ts/proto/result-batch.js';
import { decodeScanPage, decodeScanRequest, encodeScanRequest } from '../../ts/proto/scan-frames.js';
import { readResult, resultBatch, scanPage } from './answers.js';

const SECRET = 0xee; // stands before and behind every frame, and in none

function entryBytes(entries: EntryReader): Uint8Array[] {
  const all: Uint8Array[] = [];
  while (entries.next()) all.push(entries.copyKey(), entries.copyValue());
  return all;
}

/** Each decoder, with everything that it hands out. */
const DECODERS: Record<string, (body: Uint8Array) => readonly Uint8Array[]> = {
  batchHead: (body) => {
    decodeBatchHead(body);
    return [];
  },
  commands: (body) => decodeCommands(body).flatMap((c) => [c.key, c.value]),
  results: (body) => {
    const result = new ResultReader(body);
    const all: Uint8Array[] = [];
    while (result.next()) all.push(result.copyValue());
    return all;
  },
  readHead: (body) => {
    decodeReadHead(body);
    return [];
  },
  readKeys: (body) => decodeReadKeys(body),
  readResult: (body) => entryBytes(decodeReadResult(body).entries),
  scanRequest: (body) => {
    const { first, end } = decodeScanRequest(body);
    return [first, end];
  },
  scanPage: (body) => entryBytes(decodeScanPage(body).entries),
  hello: (body) => [Buffer.from(control.decodeHello(body).client)],
  welcome: (body) => [Buffer.from(control.decodeWelcome(body).server)],
  leader: (body) => [Buffer.from(control.decodeLeader(body).address)],
  closeView: (body) => {
    control.decodeCloseView(body);
    return [];
  },
  status: (body) => [Buffer.from(control.decodeStatusReply(body))],
  error: (body) => [Buffer.from(control.decodeError(body).message.replace(/^error \d+ of a newer replica: /, ''))],
};

const reads = new ReadScratch();
for (const key of ['a', 'bcd', 'e'.repeat(100)]) reads.add(key);
const entry = { present: true, value: Buffer.from('value'), revision: 5 };

/** Good bodies to start from. */
const SAMPLES: readonly Uint8Array[] = [
  frameBody(registerFrame()),
  resultBatch({
    firstRevision: 4,
    count: 2,
    results: [{ status: 1, count: 1 }, { status: 1, flags: 3, value: Buffer.from('v'), revision: 1 }, { number: 5 }],
  }),
  frameBody(reads.frame(0, 0, 5)),
  readResult(8, [entry, { present: false }, entry]),
  scanPage({
    revision: 8,
    more: true,
    snapshot: 9,
    entries: [
      { ...entry, key: Buffer.from('k') },
      { ...entry, key: Buffer.from('l') },
    ],
  }),
  frameBody(
    encodeScanRequest({
      linearizable: true,
      minRevision: 1,
      first: Buffer.from('a'),
      end: Buffer.from('b'),
      reverse: true,
      keysOnly: true,
      limit: 1,
      pageBytes: 2,
      snapshot: 3,
    }),
  ),
  frameBody(control.encodeHello({ versionMin: 1, versionMax: 1, features: 1n, cluster: 'c', client: 'n' })),
  frameBody(control.encodeError(new EraftError('ERAFT_IO', 'message', { leader: { id: 1, address: 'a' } }), 1, 1)),
  frameBody(control.encodeStatusReply('{}', 1, 1)),
];

const word = fc.oneof(
  fc.nat(300),
  fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0),
  fc.nat(0xffff_ffff),
);
const change = fc.oneof(
  fc.record({ how: fc.constant('byte' as const), at: fc.nat(2_000), value: fc.nat(255) }),
  fc.record({ how: fc.constant('word' as const), at: fc.nat(2_000), value: word }),
  fc.record({ how: fc.constant('cut' as const), at: fc.nat(2_000), value: fc.constant(0) }),
);

function mutated(
  sample: Uint8Array,
  changes: readonly { how: 'byte' | 'word' | 'cut'; at: number; value: number }[],
): Uint8Array {
  let bytes = Buffer.from(sample);
  for (const { how, at, value } of changes) {
    if (how === 'cut') bytes = bytes.subarray(0, at % (bytes.length + 1));
    else if (how === 'byte' && bytes.length > 0) bytes[at % bytes.length] = value;
    else if (how === 'word' && bytes.length >= 4) bytes.writeUInt32LE(value, at % (bytes.length - 3));
  }
  return bytes;
}

function between(body: Uint8Array): Uint8Array {
  const room = new Uint8Array(body.length + 512).fill(SECRET);
  room.set(
    body.map((b) => (b === SECRET ? 0 : b)),
    256,
  );
  return room.subarray(256, 256 + body.length);
}

function tryAll(body: Uint8Array): void {
  for (const [name, decode] of Object.entries(DECODERS)) {
    try {
      for (const bytes of decode(body)) {
        assert.ok(bytes.length <= body.length, `${name} hands out more than it was given`);
        assert.ok(!bytes.includes(SECRET), `${name} hands out bytes from outside of the frame`);
      }
    } catch (error) {
      if (!EraftError.is(error) || error.code !== 'ERAFT_BAD_REQUEST') throw error;
    }
  }
}

const seed = process.env.ERAFT_SEED;
const options = { numRuns: 3_000, ...(seed === undefined ? {} : { seed: Number(seed) }) };

test('good bodies that were changed', () => {
  fc.assert(
    fc.property(fc.constantFrom(...SAMPLES), fc.array(change, { minLength: 1, maxLength: 4 }), (sample, changes) =>
      tryAll(between(mutated(sample, changes))),
    ),
    options,
  );
});

test('random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => tryAll(between(bytes))),
    options,
  );
});

test('each sample cut at every byte, and each of its bytes set to 0 and 255', () => {
  for (const sample of SAMPLES) {
    for (let at = 0; at < sample.length; at++) {
      tryAll(between(sample.subarray(0, at)));
      for (const value of [0, 255]) {
        const copy = Buffer.from(sample);
        copy[at] = value;
        tryAll(between(copy));
      }
    }
  }
});

test('headers of any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        readFrameHeader(bytes);
      } catch (error) {
        assert.ok(EraftError.is(error));
      }
    }),
    options,
  );
});
