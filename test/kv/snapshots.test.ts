// Compaction and snapshots through whole replicas: the shipped core, host and service on the shipped engine, in virtual time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import { codeOf, deleteFrame, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

const MiB = 1024 * 1024;
const BIG = 'x'.repeat(400_000);

/** The log is cut early: a member that is away for a moment needs a snapshot. */
const SMALL: Partial<ReplicaOptions> = {
  limits: { maxLogBytes: 4 * MiB, trailingLogBytes: 1 * MiB },
  storage: { segmentBytes: 16 * MiB, flushLogBytes: 4 * MiB },
};

const write = (asker: Asker, to: number, key: string, value: string): void =>
  assert.equal(codeOf(asker.ask(to, putFrame([{ key, value }], { deadlineMs: 20_000 }))), 'written');

const status = (sim: Simulation, id: number) => sim.node(id).service.status();

function values(asker: Asker, from: number, keys: string[], stale = false): (string | undefined)[] {
  const answer = asker.ask(from, readFrame(keys, { stale }));
  assert.equal(answer.kind, 'values', JSON.stringify(answer).slice(0, 300));
  return answer.kind === 'values' ? answer.values.map((v) => v?.slice(0, 8)) : [];
}

/** Writes until the leader's log no longer holds the first `beyond` entries. */
function outrun(sim: Simulation, asker: Asker, leader: number, beyond: number): number {
  for (let i = 0; i < 500; i++) {
    write(asker, leader, `k${i % 7}`, `${i}-${BIG}`);
    sim.run(20);
    if (status(sim, leader).firstIndex > beyond) return i;
  }
  assert.fail(`the log was never cut\n${sim.describe()}`);
}

const caughtUp = (sim: Simulation, id: number, leader: number): void =>
  sim.until(() => status(sim, id).appliedIndex === status(sim, leader).commitIndex, `${id} to catch up`, 60_000);

describe('a member that was away for longer than the log is kept', () => {
  test('gets a snapshot and then the log; what was deleted meanwhile is gone', async () => {
    await using sim = await Simulation.start({ seed: 201, options: SMALL });
    const asker = new Asker(sim);
    const leader = sim.untilLeader();
    write(asker, leader, 'deleted', 'soon');
    write(asker, leader, 'kept', 'all along');
    sim.run(500);
    const away = sim.ids.find((id) => id !== leader) ?? 0;
    await sim.crash(away);
    assert.equal(codeOf(asker.ask(leader, deleteFrame('deleted'))), 'written');
    const last = outrun(sim, asker, leader, status(sim, leader).commitIndex);
    await sim.start(away);
    caughtUp(sim, away, leader);
    assert.equal(sim.node(away).metrics().snapshotsInstalled, 1, sim.describe());
    assert.deepEqual(values(asker, away, ['deleted', 'kept', `k${last % 7}`], true), [
      undefined,
      'all alon',
      `${last}-xxxxxx`.slice(0, 8),
    ]);
    write(asker, leader, 'after', 'wards');
    caughtUp(sim, away, leader);
    await sim.crash(away);
    await sim.start(away);
    caughtUp(sim, away, leader);
    assert.deepEqual(values(asker, away, ['deleted', 'kept', 'after'], true), [undefined, 'all alon', 'wards']);
    // It leads with what it got.
    await sim.crash(leader);
    sim.untilLeader(sim.ids.filter((id) => id !== leader));
    assert.deepEqual(values(asker, away, ['deleted', 'after']), [undefined, 'wards']);
  });

  for (const who of ['receiver', 'sender'] as const) {
    test(`the transfer goes on where it broke when the ${who} is started anew in the middle`, async () => {
      const limits = { ...SMALL.limits, snapshotBytesPerSecondMax: 8 * MiB };
      await using sim = await Simulation.start({ seed: 202, options: { ...SMALL, limits } });
      const asker = new Asker(sim);
      const leader = sim.untilLeader();
      sim.run(500);
      const away = sim.ids.find((id) => id !== leader) ?? 0;
      await sim.crash(away);
      outrun(sim, asker, leader, status(sim, leader).commitIndex);
      for (let i = 0; i < 20; i++) write(asker, leader, `random${i}`, noise(sim));
      sim.run(1_000);
      await sim.start(away);
      sim.until(() => sim.node(away).metrics().snapshotReceivedBytes > 4 * MiB, 'some of it');
      const victim = who === 'receiver' ? away : leader;
      const { snapshotReceivedBytes } = sim.node(away).metrics();
      await sim.process(victim).stop();
      await sim.start(victim);
      // The same leader, which alone has that snapshot.
      for (const id of sim.ids) if (id !== leader && id !== away) sim.process(id).clock?.pause();
      sim.until(() => status(sim, leader).role === 'leader', 'it to lead again', 60_000);
      for (const id of sim.ids) sim.process(id).clock?.resume();
      caughtUp(sim, away, sim.untilLeader());
      const { snapshotReceivedBytes: rest, snapshotsInstalled } = sim.node(away).metrics();
      const whole = status(sim, leader).snapshotBytes;
      assert.equal(snapshotsInstalled, 1);
      const all = who === 'receiver' ? snapshotReceivedBytes + rest : rest;
      assert.ok(all < whole + 2.5 * MiB, `${all} bytes came of ${whole}`);
    });
  }

  for (const seed of [211, 212]) {
    test(`crashes of sender and receiver at any moment end in one state; seed ${seed}`, async () => {
      const limits = { ...SMALL.limits, snapshotBytesPerSecondMax: 8 * MiB };
      await using sim = await Simulation.start({ seed, options: { ...SMALL, limits } });
      const asker = new Asker(sim);
      let leader = sim.untilLeader();
      write(asker, leader, 'first', 'write');
      sim.run(500);
      const away = sim.ids.find((id) => id !== leader) ?? 0;
      await sim.crash(away);
      outrun(sim, asker, leader, status(sim, leader).commitIndex);
      await sim.start(away);
      for (let i = 0; i < 6; i++) {
        sim.run(20 + 400 * sim.random());
        const victim = sim.random() < 0.7 ? away : sim.leader() || away;
        await sim.crash(victim);
        sim.run(200 * sim.random());
        await sim.start(victim);
      }
      leader = sim.untilLeader();
      write(asker, leader, 'last', `${seed}`);
      caughtUp(sim, away, leader);
      assert.deepEqual(values(asker, away, ['first', 'last'], true), ['write', `${seed}`]);
    });
  }
});

test('while a snapshot is installed, stale reads and peeks are refused retryably, and others are passed on', async () => {
  await using sim = await Simulation.start({ seed: 221, options: SMALL });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  write(asker, leader, 'kept', 'all along');
  sim.run(500);
  const away = sim.ids.find((id) => id !== leader) ?? 0;
  await sim.crash(away);
  outrun(sim, asker, leader, status(sim, leader).commitIndex);
  await sim.start(away);
  sim.until(() => status(sim, away).installing, 'the installation to begin', 30_000);
  sim.process(away).stalled = true;
  const refused = asker.ask(away, readFrame(['kept'], { stale: true }));
  assert.equal(codeOf(refused), 'ERAFT_UNAVAILABLE');
  assert.throws(() => sim.node(away).service.peek(Buffer.from('kept')), { code: 'ERAFT_UNAVAILABLE' });
  assert.deepEqual(values(asker, away, ['kept']), ['all alon'], 'the leader answers');
  write(asker, away, 'through', 'the leader');
  sim.process(away).stalled = false;
  caughtUp(sim, away, leader);
  assert.equal(status(sim, away).installing, false);
  assert.deepEqual(values(asker, away, ['kept', 'through'], true), ['all alon', 'the lead']);
});

test('with a member away for ever, the log stays below its limit, and the data folder is bounded', async () => {
  const limits = { maxLogBytes: 16 * MiB, trailingLogBytes: 2 * MiB };
  await using sim = await Simulation.start({ seed: 231, options: { ...SMALL, limits } });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  const away = sim.ids.find((id) => id !== leader) ?? 0;
  await sim.crash(away);
  let most = 0;
  for (let i = 0; i < 250; i++) {
    write(asker, leader, `k${i % 7}`, `${i}-${BIG}`);
    sim.run(20);
    most = Math.max(most, sim.node(leader).metrics().logBytes);
  }
  assert.ok(status(sim, leader).firstIndex > 150, sim.describe());
  // Files are cut as wholes, and one is kept ready.
  assert.ok(most <= 2 * limits.maxLogBytes + 2 * 16 * MiB, `${most / MiB} MiB of log`);
  await sim.start(away);
  caughtUp(sim, away, leader);
});

test('without a limit the log is kept for a member, however long it is away', async () => {
  const limits = { maxLogBytes: -1, trailingLogBytes: 1 * MiB };
  await using sim = await Simulation.start({ seed: 232, options: { ...SMALL, limits } });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  const away = sim.ids.find((id) => id !== leader) ?? 0;
  await sim.crash(away);
  for (let i = 0; i < 120; i++) {
    write(asker, leader, `k${i % 7}`, `${i}-${BIG}`);
    sim.run(20);
  }
  assert.equal(status(sim, leader).firstIndex, 1);
  await sim.start(away);
  caughtUp(sim, away, leader);
  assert.equal(sim.node(away).metrics().snapshotsInstalled, 0);
});

function noise(sim: Simulation): string {
  let text = '';
  while (text.length < 400_000) text += String.fromCharCode(33 + Math.floor(sim.random() * 94));
  return text;
}
