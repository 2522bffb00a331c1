// What a host does about snapshots, beside sending and receiving them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { SILENT } from '../../ts/base/logger.js';
import { Applier } from '../../ts/host/applier.js';
import { REPLICA_LIMITS } from '../../ts/host/options.js';
import { Snapshots } from '../../ts/host/snapshots.js';
import type { RaftNode } from '../../ts/raft/index.js';
import type { StateMachine } from '../../ts/storage/index.js';
import type { Network } from '../../ts/transport/network.js';
import { diskWithSnapshot, emptyDisk, MemorySnapshots, type SnapshotDisk } from './memory-snapshots.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

class Fixture {
  readonly clock = new ProcessClock(new VirtualTime());
  readonly runs: number[] = [];
  applied = 10;
  readonly told: string[] = [];
  readonly files: MemorySnapshots;
  readonly applier: Applier;
  readonly snapshots: Snapshots;

  constructor(disk: SnapshotDisk) {
    this.files = new MemorySnapshots(disk);
    const machine = {
      apply: (_: number, to: number) => this.runs.push(to) === 0,
      applied: () => this.applied,
    } as unknown as StateMachine;
    this.applier = new Applier(machine, 1, 10, REPLICA_LIMITS, this.clock, () => undefined);
    const node = {
      term: 5,
      firstIndex: 1,
      onInstallFailed: (index: number) => this.told.push(`failed ${index}`),
      wantsSnapshot: () => true,
    };
    const network = { connected: () => true, send: (to: number) => this.told.push(`offered to ${to}`) > 0 };
    this.snapshots = new Snapshots({
      group: 1,
      node: node as unknown as RaftNode,
      applier: this.applier,
      files: this.files,
      network: network as unknown as Network,
      clock: this.clock,
      logger: SILENT,
      limits: REPLICA_LIMITS,
      sent: () => undefined,
      fail: (error) => this.told.push(`ended ${error.code}`),
      noting: (conf) => conf,
      onInstalled: (info) => this.told.push(`installed ${info.index}`),
    });
  }

  /** An entry is committed that somebody waits to see applied. */
  apply(to: number): void {
    this.applier.allow(to, 100);
    this.applier.demand();
    this.applier.run(() => false);
  }

  turn(): void {
    this.files.run();
    this.applier.progress();
    this.snapshots.advance();
  }
}

test('an installation waits for what is being applied, and nothing more is applied behind it', () => {
  const f = new Fixture(diskWithSnapshot(40, 4, 3, 10));
  f.apply(12);
  f.snapshots.install({ index: 40, term: 4 });
  f.apply(15);
  f.turn();
  f.turn();
  assert.deepEqual([f.runs, f.files.installed], [[12], []]);
  f.applied = 12;
  f.turn();
  f.turn();
  assert.deepEqual([f.runs, f.files.installed, f.told], [[12], [{ index: 40, term: 4 }], ['installed 40']]);
  f.applied = 40; // of the new state: nothing that this applier had run
  assert.equal(f.applier.progress(), false);
  f.applier.restart(40);
  f.apply(41);
  assert.deepEqual([f.applier.applied, f.runs], [40, [12, 41]]);
});

test('one that is gone or damaged leaves everything as it was; an error of the disk ends the replica', () => {
  const gone = new Fixture(emptyDisk());
  gone.snapshots.install({ index: 40, term: 4 });
  gone.turn();
  gone.apply(12);
  assert.deepEqual([gone.told, gone.runs], [['failed 40'], [12]]);
  for (const [code, told] of [
    ['ERAFT_DATA_DAMAGED', 'failed 40'],
    ['ERAFT_DISK_FULL', 'failed 40'],
    ['ERAFT_IO', 'ended ERAFT_IO'],
  ] as const) {
    const f = new Fixture(diskWithSnapshot(40, 4, 3, 10));
    f.snapshots.install({ index: 40, term: 4 });
    f.turn();
    f.files.failure = new EraftError(code, 'as it is');
    f.turn();
    assert.deepEqual(f.told, [told]);
  }
});

test('one is made at a time: whoever asks meanwhile gets the same; the log behind it stays until it is there', () => {
  const f = new Fixture(emptyDisk());
  f.files.next = diskWithSnapshot(10, 4, 3, 10).complete;
  const made: (number | undefined)[] = [];
  for (let i = 0; i < 2; i++) f.snapshots.make((_, info) => made.push(info?.index));
  assert.deepEqual([f.files.makes, f.snapshots.keepsLogFrom], [1, 10]);
  f.turn();
  assert.deepEqual([made, f.snapshots.keepsLogFrom], [[10, 10], Number.POSITIVE_INFINITY]);
});

test('a snapshot that was being made when the replica stopped is offered to nobody', () => {
  for (const stopped of [false, true]) {
    const f = new Fixture(emptyDisk());
    f.snapshots.sender.need(2);
    f.turn(); // there is none: one is made
    assert.deepEqual([f.files.makes, f.told], [1, []]);
    f.files.next = diskWithSnapshot(40, 4, 3, 10).complete;
    if (stopped) f.snapshots.stop();
    f.files.run();
    assert.deepEqual(f.told, stopped ? [] : ['offered to 2']);
  }
});
