// Each call of the border once across and back, with the bytes that a host would hand over.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EraftError, errorCodeOf } from '../../ts/base/errors.js';
import { MiB } from '../../ts/base/limits.js';
import { FRAME_HEADER_BYTES as CLIENT_HEADER_BYTES } from '../../ts/proto/frame.js';
import { CONSISTENCY, decodeReadResult, ReadScratch } from '../../ts/proto/read-batch.js';
import { ResultReader } from '../../ts/proto/result-batch.js';
import { decodeScanPage, encodeScanRequest, SNAPSHOT } from '../../ts/proto/scan-frames.js';
import { INSPECTED, INSPECTED_NUMBERS, PEEK, RECORD_HEADER_BYTES, RECORD_KINDS } from '../../ts/storage/index.js';
import { refused } from './refused.js';
import { folder, framed, GROUP, Held, puts } from './support.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function readBatch(...keys: string[]): Uint8Array {
  const scratch = new ReadScratch();
  for (const key of keys) scratch.add(key);
  return scratch.frame(CONSISTENCY.linearizable, 0, 0).subarray(CLIENT_HEADER_BYTES);
}

function scanRequest(limit: number, snapshot: number): Uint8Array {
  const request = {
    linearizable: true,
    minRevision: 0,
    first: new Uint8Array(0),
    end: new Uint8Array(0),
    reverse: false,
    keysOnly: false,
    limit,
    pageBytes: MiB,
    snapshot,
  };
  return encodeScanRequest(request).subarray(CLIENT_HEADER_BYTES);
}

test('a record is sealed, inspected, submitted, durable, applied, answered', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const { log, machine } = held.storage;
  const record = held.record(puts({ a: '1', b: '2' }), puts({ c: '3' }));
  const out = new Float64Array(4 * INSPECTED_NUMBERS);
  assert.equal(log.inspect(record, 0, record.length, out), 1);
  assert.deepEqual(
    [out[INSPECTED.index], out[INSPECTED.term], out[INSPECTED.firstRevision], out[INSPECTED.count]],
    [1, 1, 1, 3],
  );
  assert.deepEqual(
    [out[INSPECTED.bytes], out[INSPECTED.kind], out[INSPECTED.group]],
    [record.length, RECORD_KINDS.commands, GROUP],
  );
  const ticket = log.submit(record, 0, record.length, new Float64Array([GROUP, 1, 1, 0]), 1);
  await held.until(() => held.storage.poll().durable >= ticket);
  assert.ok(held.storage.poll().durableVotes >= ticket);
  assert.equal(machine.apply(GROUP, 1, true), true);
  assert.deepEqual([machine.applied(GROUP), machine.revision(GROUP)], [1, 3]);
  const [result] = held.results();
  assert.ok(result);
  assert.deepEqual([result.index, result.term, result.group, result.batches.length], [1, 1, GROUP, 2]);
  const readers = result.batches.map((batch) => new ResultReader(batch));
  assert.deepEqual(
    readers.map((each) => [each.status, each.firstRevision, each.count]),
    [
      [0, 1, 2],
      [0, 3, 1],
    ],
  );
  await held.close();
});

test('inspect names the first bad record, and refuses too little room', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const records = Buffer.concat([held.record(puts({ a: '1' })), held.record(), held.record(puts({ b: '2' }))]);
  const first = records.length - held.record(puts({ b: '2' })).length;
  const out = new Float64Array(3 * INSPECTED_NUMBERS);
  assert.equal(held.storage.log.inspect(records, 0, records.length, out), 3);
  for (const at of [first, first + 30, records.length - 1]) {
    const damaged = Uint8Array.from(records);
    damaged[at] = (damaged[at] ?? 0) ^ 4;
    assert.equal(held.storage.log.inspect(damaged, 0, damaged.length, out), -1 - first, `byte ${at}`);
  }
  assert.equal(held.storage.log.inspect(records, 0, first - 8, out), -1 - (first - RECORD_HEADER_BYTES));
  const little = new Float64Array(2 * INSPECTED_NUMBERS);
  assert.throws(() => held.storage.log.inspect(records, 0, records.length, little), refused('ERAFT_BAD_REQUEST'));
  await held.close();
});

test('verifyBatch counts commands, and names what is wrong', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const { log } = held.storage;
  const batch = puts({ a: '1', b: '2' });
  const slab = Buffer.concat([Buffer.from('before--'), batch, Buffer.from('behind')]);
  assert.equal(log.verifyBatch(slab, 8, 8 + batch.length), 2);
  const wrong = log.verifyBatch(slab, 0, slab.length);
  assert.equal(errorCodeOf(-wrong), 'ERAFT_BAD_REQUEST');
  const large = puts({ ['k'.repeat(5000)]: 'v' });
  assert.equal(errorCodeOf(-log.verifyBatch(large, 0, large.length)), 'ERAFT_KEY_TOO_LARGE');
  await held.close();
});

test('arguments that cannot be are refused, and nothing happens', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const { log, machine } = held.storage;
  const record = held.record(puts({ a: '1' }));
  const none = new Float64Array(0);
  const bad = refused('ERAFT_BAD_REQUEST');
  assert.throws(() => log.submit(record, 0, record.length + 1, none, 0), bad);
  assert.throws(() => log.submit(record, 8, record.length, none, 0), bad);
  assert.throws(() => log.submit(record, 0, record.length, none, 1), bad);
  assert.throws(() => log.submit(record, 0, 0, new Float64Array([1, 2 ** 53, 0, 0]), 1), bad);
  assert.throws(() => log.submit(record, 0, 0, new Float64Array([1, 1.5, 0, 0]), 1), bad);
  assert.throws(() => log.truncate(GROUP, Number.NaN), bad);
  assert.throws(() => machine.apply(GROUP, -1, true), bad);
  assert.throws(() => machine.read(GROUP, record, 0, 8, record, 8), bad, 'input and output share memory');
  assert.throws(() => log.readTail(GROUP, 1, 1, 100, record, record.length + 1), bad);
  assert.equal(held.storage.poll().queuedBytes, 0);
  assert.equal(held.storage.poll().failed, 0);
  await held.close();
});

test('reads come from memory over one view, scans and records as answers', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const { log, machine } = held.storage;
  await held.write(puts({ a: '1', b: '2', c: '3' }));
  const frames = Buffer.concat([framed(7, readBatch('b', 'x')), framed(8, readBatch('a'))]);
  const out = new Uint8Array(4096);
  const needed = -machine.read(GROUP, frames, 0, frames.length, out.subarray(0, 8), 0);
  assert.ok(needed > 8);
  assert.equal(machine.read(GROUP, frames, 0, frames.length, out, 16), needed);
  const view = new DataView(out.buffer);
  assert.deepEqual([view.getUint32(20, true)], [7]);
  const read = decodeReadResult(out.subarray(24, 24 + view.getUint32(16, true)));
  assert.equal(read.revision, 3);
  assert.ok(read.entries.next() && read.entries.present);
  assert.deepEqual([text(read.entries.copyValue()), read.entries.revision], ['2', 2]);
  assert.ok(read.entries.next() && !read.entries.present);

  const first = scanRequest(2, SNAPSHOT.open);
  machine.scan(GROUP, 21, first, 0, first.length);
  const [answer] = await held.nextAnswers();
  assert.ok(answer);
  assert.deepEqual([answer.tag, answer.status], [21, 0]);
  const page = decodeScanPage(answer.bytes);
  assert.deepEqual([page.entries.count, page.more], [2, true]);
  machine.closeView(page.snapshot);
  const second = scanRequest(2, page.snapshot);
  machine.scan(GROUP, 22, second, 0, second.length);
  const [lost] = await held.nextAnswers();
  assert.equal(errorCodeOf(lost?.status ?? 0), 'ERAFT_SNAPSHOT_LOST');

  log.fetch(GROUP, 1, 1, MiB, 23);
  const [fetched] = await held.nextAnswers();
  const tail = new Uint8Array(4096);
  const bytes = log.readTail(GROUP, 1, 1, MiB, tail, 0);
  assert.deepEqual(fetched?.bytes, tail.slice(0, bytes));
  log.fetch(GROUP, 2, 2, MiB, 24);
  const [beyond] = await held.nextAnswers();
  assert.equal(errorCodeOf(beyond?.status ?? 0), 'ERAFT_BAD_REQUEST');
  await held.close();
});

test('peek answers at once: a value, its absence, the room that it needs', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  await held.write(puts({ a: '12345' }));
  const { machine } = held.storage;
  assert.equal(held.peek('a'), '12345');
  assert.equal(machine.peek(GROUP, Buffer.from('b'), new Uint8Array(9)), PEEK.absent);
  assert.equal(machine.peek(GROUP, Buffer.from('a'), new Uint8Array(4)), PEEK.needsRoom - 5);
  await held.close();
});

test('what was saved is found again: hard state, membership, entries, applied index', async (t) => {
  const dir = folder(t);
  const held = await Held.open({ dir });
  const uid = held.storage.identity.uid;
  assert.equal(held.storage.identity.blank, true);
  held.storage.setMemberKnown();
  assert.equal(held.storage.identity.blank, false);
  await held.write(puts({ a: '1' }));
  held.storage.log.saveConf(GROUP, 1, Buffer.from('members'));
  const ticket = held.storage.log.submit(new Uint8Array(0), 0, 0, new Float64Array([GROUP, 5, 2, 1]), 1);
  await held.until(() => held.storage.poll().durable >= ticket);
  await held.close();
  const again = await Held.open({ dir });
  assert.deepEqual([again.storage.identity.uid, again.storage.identity.blank], [uid, false]);
  const [group] = again.storage.groups();
  assert.ok(group);
  assert.deepEqual([group.term, group.vote, group.commit, group.lastIndex], [5, 2, 1, 1]);
  assert.deepEqual([group.confIndex, text(group.conf ?? new Uint8Array(0))], [1, 'members']);
  assert.deepEqual([[...group.termRuns], group.sizes.length, group.nextRevision], [[1, 1], 1, 2]);
  assert.deepEqual([group.appliedIndex, group.appliedRevision, group.flushedIndex], [1, 1, 1]);
  await again.close();
});

test('a flush moves what may be truncated', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  const { log, machine } = held.storage;
  await held.write(puts({ a: '1' }));
  assert.equal(machine.flushed(GROUP), 0);
  machine.flush();
  await held.until(() => held.storage.poll().flushRuns === 1);
  assert.equal(machine.flushed(GROUP), 1);
  log.truncate(GROUP, 1);
  assert.equal(log.compacted(GROUP), 0, 'whole files go');
  const stats = held.storage.stats();
  assert.ok(stats.syncCount > 0 && stats.syncBuckets.length === stats.syncBucketMicros.length + 1);
  await held.close();
});

test('an overloaded log refuses records, not votes', async (t) => {
  const held = await Held.open({ dir: folder(t), queueBytesMax: 1, mode: 'stepped', memory: t.name });
  const record = held.record(puts({ a: '1' }));
  held.storage.log.submit(record, 0, record.length, new Float64Array(0), 0);
  const next = held.record(puts({ a: '2' }));
  assert.throws(
    () => held.storage.log.submit(next, 0, next.length, new Float64Array(0), 0),
    (error) => EraftError.is(error) && error.code === 'ERAFT_OVERLOADED' && error.outcome === 'not-applied',
  );
  assert.ok(held.storage.log.submit(next, 0, 0, new Float64Array([GROUP, 2, 1, 0]), 1) > 0);
  await held.close();
});

test('native error codes are those of the table', () => {
  const source = readFileSync(join(import.meta.dirname, sourceFolder, 'native/core/src/engine/error.rs'), 'utf8');
  const numbers = new Map([...source.matchAll(/^ {4}(\w+) = (\d+),$/gm)].map(([, name, wire]) => [name, Number(wire)]));
  const names = new Map([...source.matchAll(/ErrorCode::(\w+) => "(\w+)"/g)].map(([, name, code]) => [name, code]));
  assert.ok(numbers.size > 10);
  assert.equal(numbers.size, names.size);
  for (const [name, wire] of numbers) assert.equal(errorCodeOf(wire ?? 0), names.get(name), name);
});

/** From build/test/storage to the package root. */
const sourceFolder = '../../..';
