// MIT 6.824, parts 2D and 3B: the log is cut, and who was away for longer gets a snapshot.
//
// The labs count bytes of log after every record; here whole segments go, so values are larger, and the bound is told in
// the limit that the operator sets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import { Clerk } from './clerk.js';
import { type GenericOptions, generic } from './generic.js';
import { Lab } from './lab.js';
import { randomKeys } from './random-keys.js';
import { seededTest, seeds } from './seeds.js';
import { appendOneByOne } from './speed.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const VALUE_BYTES = 50 * KiB;
const RECORD_BYTES_MIN = 150; // of one put of a small value
const MAX_LOG_BYTES = MiB;
/** Half a dozen values, and the log is cut. */
const CUT: Partial<ReplicaOptions> = {
  limits: { maxLogBytes: MAX_LOG_BYTES, trailingLogBytes: 128 * KiB },
  storage: { segmentBytes: MiB, frameBytesMax: 256 * KiB, flushLogBytes: 256 * KiB },
};
/** The same for the small values of clerks. */
const CUT_SMALL: Partial<ReplicaOptions> = {
  limits: { maxLogBytes: 16 * KiB, trailingLogBytes: 4 * KiB },
  storage: { segmentBytes: 16 * KiB, frameBytesMax: 4 * KiB, flushLogBytes: 4 * KiB },
};

interface Install {
  readonly name: string;
  readonly away: 'nobody' | 'cut off' | 'without power';
  readonly unreliable: boolean;
}

const CASES: readonly Install[] = [
  { name: 'SnapshotBasic2D', away: 'nobody', unreliable: false },
  { name: 'SnapshotInstall2D', away: 'cut off', unreliable: false },
  { name: 'SnapshotInstallUnreliable2D', away: 'cut off', unreliable: true },
  { name: 'SnapshotInstallCrash2D', away: 'without power', unreliable: false },
  { name: 'SnapshotInstallUnCrash2D', away: 'without power', unreliable: true },
];

/** Log bytes, as far as the values tell. */
function logBytes(lab: Lab, id: number): number {
  const { firstIndex, lastIndex } = lab.raft(id);
  return (lastIndex - firstIndex + 1) * VALUE_BYTES;
}

for (const { name, away, unreliable } of CASES) {
  for (const seed of seeds(5101)) {
    const who = away === 'nobody' ? 'all there' : `one ${away} again and again`;
    seededTest(
      `${name}: the log stays within twice its limit with ${who}, and everybody has everything`,
      seed,
      import.meta.url,
      async () => {
        await using lab = await Lab.open({ seed, replicas: 3, options: CUT });
        lab.unreliable = unreliable;
        lab.one(3, { bytes: VALUE_BYTES });
        for (let round = 0; round < 30; round++) {
          const leader = lab.leader();
          const victim = round % 3 === 1 ? leader : lab.next(leader);
          if (away === 'cut off') lab.disconnect(victim);
          if (away === 'without power') await lab.crash(victim);
          if (away !== 'nobody') lab.one(2, { bytes: VALUE_BYTES });
          const sender = away === 'nobody' || victim !== leader ? leader : lab.leader();
          for (let i = 0; i < 11; i++) {
            lab.propose(sender, VALUE_BYTES);
            lab.run(5);
          }
          lab.one(2, { bytes: VALUE_BYTES });
          for (const id of lab.ids) {
            if (lab.isUp(id))
              assert.ok(logBytes(lab, id) <= 2 * MAX_LOG_BYTES + MiB, `${logBytes(lab, id)} bytes at ${id}`);
          }
          if (away === 'cut off') lab.connect(victim);
          if (away === 'without power') await lab.restart(victim);
          if (away !== 'nobody') lab.one(3, { bytes: VALUE_BYTES });
        }
        lab.unreliable = false;
        lab.verify();
        const installed = lab.ids.map((id) => lab.sim.node(id).metrics().snapshotsInstalled);
        if (away === 'cut off') assert.ok(Math.max(...installed) > 0, 'no snapshot was needed');
      },
    );
  }
}

test('SnapshotRPC3B: a minority is brought in line by a snapshot, and serves from it', async () => {
  await using lab = await Lab.open({ seed: 5201, replicas: 3, options: CUT });
  const clerk = new Clerk(lab);
  clerk.call({ op: 'put', key: 'a', value: 'A' });
  const [one, two, three] = lab.ids as [number, number, number];
  lab.partition([one, two], [three]);
  const first = new Clerk(lab, [one, two]);
  for (let i = 0; i < 50; i++) first.call({ op: 'put', key: `${i}`, value: `${i}${'x'.repeat(VALUE_BYTES)}` });
  lab.run(1_000);
  first.call({ op: 'put', key: 'b', value: 'B' });
  for (const id of [one, two]) assert.ok(logBytes(lab, id) <= 3 * MAX_LOG_BYTES, `${logBytes(lab, id)}`);

  lab.partition([one, three], [two]);
  const second = new Clerk(lab, [one, three]);
  second.call({ op: 'put', key: 'c', value: 'C' });
  second.call({ op: 'put', key: 'd', value: 'D' });
  for (const [key, value] of [
    ['a', 'A'],
    ['b', 'B'],
    ['1', '1'],
    ['49', '49'],
  ] as const) {
    // biome-ignore format: a table
    assert.ok(second.call({ op: 'get', key }).startsWith(value), key);
  }
  assert.ok(lab.sim.node(three).metrics().snapshotsInstalled > 0, 'no snapshot was needed');
  lab.connect(...lab.ids);
  clerk.call({ op: 'put', key: 'e', value: 'E' });
  for (const [key, value] of [
    ['c', 'C'],
    ['e', 'E'],
    ['1', '1'],
  ] as const) {
    // biome-ignore format: a table
    assert.ok(clerk.call({ op: 'get', key }).startsWith(value), key);
  }
  lab.verify();
});

const RECOVER: readonly (Omit<GenericOptions, 'seed'> & { readonly name: string })[] = [
  { name: 'SnapshotRecover3B', clients: 1, replicas: 5, crash: true },
  { name: 'SnapshotRecoverManyClients3B', clients: 20, replicas: 5, crash: true },
  { name: 'SnapshotUnreliable3B', clients: 5, replicas: 5, unreliable: true },
  { name: 'SnapshotUnreliableRecover3B', clients: 5, replicas: 5, unreliable: true, crash: true },
  {
    name: 'SnapshotUnreliableRecoverConcurrentPartition3B',
    ...{ clients: 5, replicas: 5, unreliable: true, crash: true, partitions: true },
  },
];

const CUTTING = {
  options: CUT_SMALL,
  verify: (lab: Lab) =>
    assert.ok(
      lab.ids.some((id) => lab.raft(id).firstIndex > 1),
      'no log was cut',
    ),
};

for (const [i, { name, ...options }] of RECOVER.entries()) {
  for (const seed of seeds(5301 + i)) {
    seededTest(
      `${name}: each append is there once and in order, each read exact, and the log is cut`,
      seed,
      import.meta.url,
      () => generic({ seed, ...options, ...CUTTING }),
    );
  }
}

for (const seed of seeds(5401)) {
  const title =
    'SnapshotUnreliableRecoverConcurrentPartitionLinearizable3B: fifteen clients, random keys, the log cut: linearizable';
  const faults = { unreliable: true, crash: true, partitions: true };
  seededTest(title, seed, import.meta.url, () => randomKeys({ seed, clients: 15, replicas: 7, ...faults, ...CUTTING }));
}

test('SnapshotSize3B: 400 writes of one key, and no log is longer than twice its limit at any time', async () => {
  await using lab = await Lab.open({ seed: 5501, replicas: 3, options: CUT_SMALL });
  const clerk = new Clerk(lab);
  for (let i = 0; i < 200; i++) {
    for (const value of ['0', '1']) {
      clerk.call({ op: 'put', key: 'x', value });
      assert.equal(clerk.call({ op: 'get', key: 'x' }), value);
    }
    for (const id of lab.ids) {
      const { firstIndex, lastIndex } = lab.raft(id);
      assert.ok(
        (lastIndex - firstIndex + 1) * RECORD_BYTES_MIN <= 3 * 16 * KiB,
        `${lastIndex - firstIndex + 1} records`,
      );
    }
  }
  lab.run(1_000);
  assert.ok(lab.ids.every((id) => lab.raft(id).firstIndex > 1));
});

test('Speed3B: the same appends as in Speed3A take no longer while the log is cut', async () => {
  const { cut } = await appendOneByOne(5301, CUT_SMALL);
  assert.ok(cut, 'the log was never cut');
});
