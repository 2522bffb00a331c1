// Bits rot in what a replica has acknowledged: it asks, follows, is given everything back, and only then counts again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

const write = (asker: Asker, to: number, key: string): void =>
  assert.equal(codeOf(asker.ask(to, putFrame([{ key, value: `of ${key}` }], { deadlineMs: 10_000 }))), 'written');

const problem = (sim: Simulation, id: number): string => sim.node(id).service.status().problem ?? '';

/** Writes `count` keys, so that each is a record of its own. */
function writeMany(sim: Simulation, asker: Asker, leader: number, count: number): void {
  for (let i = 0; i < count; i++) {
    write(asker, leader, `key-${i}`);
    sim.run(5);
  }
}

const seeds = process.env.ERAFT_SEED === undefined ? [501, 502, 503, 504, 505, 506] : [Number(process.env.ERAFT_SEED)];
for (const seed of seeds) {
  test(`a damaged log is given back by the leader; ERAFT_SEED=${seed}`, async () => {
    await using sim = await Simulation.start({ seed });
    const asker = new Asker(sim);
    const leader = sim.untilLeader();
    writeMany(sim, asker, leader, 40);
    const [damaged = 0, third = 0] = sim.ids.filter((id) => id !== leader);
    await sim.process(damaged).stop();
    assert.notEqual(sim.process(damaged).rot(seed), '');
    await sim.start(damaged);
    assert.match(problem(sim, damaged), /log of this replica was damaged/);
    assert.equal(sim.node(damaged).metrics().logDamaged, 1);
    sim.until(() => problem(sim, damaged) === '', 'the repair');
    assert.equal(sim.node(damaged).metrics().logDamaged, 0);
    // It has everything that it may have acknowledged: with it alone, the other follower's disk can go.
    await sim.crash(third);
    write(asker, leader, 'with it');
    await sim.crash(leader);
    await sim.start(third);
    const next = sim.untilLeader([damaged, third]);
    const answer = asker.ask(next, readFrame(['key-0', 'key-39', 'with it'], { deadlineMs: 10_000 }));
    assert.deepEqual(answer.kind === 'values' ? answer.values : answer, ['of key-0', 'of key-39', 'of with it']);
  });
}

test('while only one other replica can be asked, it takes no part: what it has forgotten could count', async () => {
  await using sim = await Simulation.start({ seed: 511 });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  writeMany(sim, asker, leader, 20);
  const [damaged = 0, third = 0] = sim.ids.filter((id) => id !== leader);
  await sim.process(damaged).stop();
  await sim.crash(third);
  assert.notEqual(sim.process(damaged).rot(1), '');
  await sim.start(damaged);
  sim.run(10_000);
  assert.match(problem(sim, damaged), /asks 2 other replicas, of which 1 have answered/);
  assert.equal(sim.leader(), 0, 'two of three run, and one of them is not to be counted');
  await sim.start(third);
  sim.until(() => problem(sim, damaged) === '', 'the repair');
});
