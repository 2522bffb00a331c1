// A snapshot on its way from a leader's host to followers' hosts, over links that the test holds in its hands.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import type { SnapshotReceiver } from '../../ts/host/snapshot-receiver.js';
import { decodeSnapshotWant } from '../../ts/proto/snapshot-frames.js';
import { diskWithSnapshot, emptyDisk, type MemorySnapshots, type SnapshotDisk } from './memory-snapshots.js';
import { Stage } from './snapshot-stage.js';

const KiB = 1024;

describe('a snapshot on its way', () => {
  test('comes over in order, each chunk once; the core hears of it when the follower has all', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 7, 100));
    stage.need(2);
    stage.run(6);
    assert.deepEqual(stage.offered, []);
    stage.run();
    assert.deepEqual(stage.chunks(2), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(stage.offered, [2]);
    assert.deepEqual(stage.disks.get(2)?.disk.complete?.chunks, stage.files.disk.complete?.chunks);
    assert.deepEqual(stage.files.held.length, 1, 'kept while the follower may ask again');
    stage.needy.delete(2);
    stage.run();
    assert.deepEqual([stage.files.held, stage.sender.streams], [[], 0]);
  });

  test('no more than two chunks are on their way, and none while others wait for the peer', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 9, 100));
    stage.need(2);
    stage.run(2); // offer and want
    for (let i = 0; i < 5; i++) {
      stage.sender.advance();
      stage.files.run();
    }
    assert.deepEqual(stage.chunks(2), [0, 1]);
    stage.queued = 300 * KiB;
    stage.run();
    assert.deepEqual(stage.chunks(2), [0, 1], 'taken meanwhile, and the queue is long');
    stage.queued = 0;
    stage.run();
    assert.deepEqual(stage.offered, [2]);
  });

  test('over any second no more leaves than the rate, whatever the number of streams', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 200, 10_000), { snapshotBytesPerSecondMax: 100_000 }, [2, 3]);
    stage.need(2);
    stage.need(3);
    for (let ms = 0; ms <= 10_000; ms += 50) {
      stage.time.runTo(ms);
      stage.run();
      assert.ok(
        stage.sender.sentBytes <= 100 * ms + 100_000 * 0.1 + 2 * 10_000,
        `${stage.sender.sentBytes} after ${ms} ms`,
      );
    }
    assert.ok(stage.sender.sentBytes >= 950_000, `${stage.sender.sentBytes}: the rate is used`);
  });

  test('as many streams as are allowed; the next one begins when one has ended', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 3, 100), { snapshotStreamsMax: 2 }, [2, 3, 4]);
    for (const id of [2, 3, 4]) stage.need(id);
    stage.sender.advance();
    assert.deepEqual([stage.sender.streams, new Set(stage.log.map((sent) => sent.to))], [2, new Set([2, 3])]);
    stage.run();
    assert.deepEqual(stage.offered.sort(), [2, 3, 4]);
  });

  test('goes on at the chunk where the connection broke', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 8, 100));
    stage.need(2);
    stage.run(9);
    stage.down.add(2);
    stage.wire.length = 0;
    stage.sender.onConnected(2, false);
    stage.run();
    const had = stage.disks.get(2)?.disk.partial?.chunks.length ?? 0;
    assert.ok(had > 1 && had < 7, `${had}`);
    stage.down.delete(2);
    const from = stage.log.length;
    stage.run();
    assert.deepEqual(
      stage.chunks(2, from),
      [had, had + 1, had + 2, had + 3, had + 4, had + 5].filter((n) => n < 8),
    );
    assert.deepEqual(stage.offered, [2]);
  });

  for (const who of ['sender', 'receiver'] as const) {
    test(`goes on there after a restart of the ${who}, too`, () => {
      const stage = new Stage(diskWithSnapshot(40, 4, 8, 100));
      stage.need(2);
      stage.run(9);
      const disk = stage.disks.get(2)?.disk as SnapshotDisk;
      const had = disk.partial?.chunks.length ?? 0;
      stage.wire.length = 0;
      if (who === 'sender') {
        stage.startSender();
        stage.need(2);
      } else {
        stage.startReceiver(2, disk);
        stage.sender.onConnected(2, false);
      }
      const from = stage.log.length;
      stage.run();
      assert.equal(stage.chunks(2, from)[0], had);
      assert.deepEqual(stage.offered, [2]);
    });
  }

  test('what was dropped on the way is noticed after a while, and sent again', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.need(2);
    stage.run(4);
    stage.full.add(2);
    stage.run();
    stage.full.delete(2);
    stage.run();
    assert.deepEqual(stage.offered, []);
    stage.time.runTo(4_000);
    stage.run();
    assert.deepEqual(stage.offered, [2]);
  });

  test('a follower that says nothing is given up, and may be named again', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100), {}, []);
    stage.need(2);
    for (let ms = 0; ms < 60_000; ms += 1_000) {
      stage.time.runTo(ms);
      stage.run();
    }
    assert.deepEqual([stage.failed, stage.sender.streams, stage.files.held], [[2], 0, []]);
  });

  test('a refusal is told to the core; the next attempt waits a moment', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.commit = 40;
    stage.need(2);
    stage.run();
    assert.deepEqual(stage.failed, [2]);
    stage.commit = 0;
    const from = stage.log.length;
    stage.need(2);
    stage.run();
    assert.equal(stage.log.length, from);
    stage.time.runTo(1_500);
    stage.run();
    assert.deepEqual(stage.offered, [2]);
  });

  test('a snapshot that the log has been cut beyond is not offered; another one is asked for', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.firstIndex = 42;
    stage.need(2);
    stage.run();
    assert.deepEqual(
      [stage.wants > 0, stage.log.length, stage.sender.keepsLogFrom],
      [true, 0, Number.POSITIVE_INFINITY],
    );
    Object.assign(stage.files.disk, diskWithSnapshot(44, 4, 3, 100, 2));
    stage.run();
    assert.deepEqual([stage.offered, stage.sender.keepsLogFrom], [[2], 44]);
  });

  test('a chunk that cannot be read, or that is damaged on arrival, ends the transfer and nothing else', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.need(2);
    stage.run(4);
    stage.files.failure = new EraftError('ERAFT_DATA_DAMAGED', 'a bit');
    stage.run();
    assert.deepEqual(stage.failed, [2]);
    stage.time.runTo(2_000);
    stage.need(2);
    while (!stage.wire.some((sent) => sent.tail.length > 0)) stage.run(1);
    for (const sent of stage.wire) sent.tail.fill(0xff);
    stage.run();
    assert.deepEqual([stage.failed, stage.offered], [[2, 2], []]);
    stage.time.runTo(4_000);
    stage.need(2);
    stage.run();
    assert.deepEqual(stage.offered, [2]);
  });
});

describe('who receives', () => {
  const message = {
    type: 'snapshot',
    from: 1,
    to: 2,
    term: 5,
    session: 1,
    commit: 40,
    truncatable: 0,
    round: 0,
  } as const;

  test('lets its core hear of a snapshot only when all of it is there', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    const receiver = stage.receivers.get(2) as SnapshotReceiver;
    const about = { ...message, index: 40, logTerm: 4 };
    stage.need(2);
    stage.run(8);
    assert.equal(receiver.mayStep(about), false);
    stage.wire.length = 0;
    stage.sender.onConnected(2, false);
    stage.run();
    assert.equal(receiver.mayStep(about), true);
    assert.equal(receiver.mayStep({ ...about, logTerm: 3 }), false, 'another one');
    assert.equal(
      stage.startReceiver(2, stage.disks.get(2)?.disk as SnapshotDisk).mayStep(about),
      true,
      'after a restart',
    );
    assert.equal(receiver.mayStep({ ...about, term: 4 }), true, 'stale: the core says so to the sender');
    stage.commit = 40;
    assert.equal(stage.startReceiver(2, emptyDisk()).mayStep(about), true, 'of no use: the core acknowledges it');
  });

  test('tells the sender when the core was offered what it has lost', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.need(2);
    stage.run();
    stage.startReceiver(2, emptyDisk()).mayStep({ ...message, index: 40, logTerm: 4 });
    stage.run();
    assert.deepEqual(stage.failed, [2]);
  });

  test('keeps what is complete until it is installed, though another one is made here', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.need(2);
    stage.run();
    const files = stage.disks.get(2) as MemorySnapshots;
    const receiver = stage.receivers.get(2) as SnapshotReceiver;
    assert.equal(files.held.length, 1);
    files.disk.complete = diskWithSnapshot(30, 4, 2, 10, 9).complete;
    assert.equal(receiver.held({ index: 40, term: 4 })?.index, 40);
    receiver.onInstalled(true);
    assert.deepEqual(files.held, []);
  });

  test('takes nothing from anybody but the leader of its term', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100), {}, [2, 3]);
    const receiver = stage.receivers.get(2) as SnapshotReceiver;
    const offer = { transfer: 1, group: 1, term: 5, index: 40, logTerm: 4, id: 'ab'.repeat(16), chunks: 6, bytes: 600 };
    receiver.onOffer(3, offer);
    receiver.onOffer(1, { ...offer, term: 4 });
    receiver.onOffer(1, { ...offer, group: 7 });
    const refusals = stage.wire.map((sent) => decodeSnapshotWant(sent.head).refused.split(':')[0]);
    assert.deepEqual(refusals, ['ERAFT_NOT_LEADER', 'ERAFT_NOT_LEADER', 'ERAFT_BAD_REQUEST']);
    stage.wire.length = 0;
    stage.need(2);
    stage.run(3);
    receiver.onChunk(3, { transfer: 1, number: 1 }, new Uint8Array(100).fill(2)); // not from who sends
    receiver.onChunk(1, { transfer: 99, number: 1 }, new Uint8Array(100).fill(2)); // of another transfer
    assert.equal(receiver.receivedBytes, 100);
  });

  test('another leader’s snapshot takes the place of what was coming', () => {
    const stage = new Stage(diskWithSnapshot(40, 4, 6, 100));
    stage.need(2);
    stage.run(5);
    Object.assign(stage.files.disk, diskWithSnapshot(44, 4, 3, 100, 2));
    stage.startSender();
    stage.need(2);
    stage.wire.length = 0;
    stage.run();
    assert.equal(stage.disks.get(2)?.disk.complete?.info.index, 44);
    assert.equal(stage.disks.get(2)?.disk.partial, null);
  });
});
