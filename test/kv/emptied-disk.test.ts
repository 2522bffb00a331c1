import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

test('an emptied disk under a known id neither votes nor acknowledges, says so, and is said to', async () => {
  await using sim = await Simulation.start({ seed: 101 });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '1' }]))), 'written');
  const emptied = sim.ids.find((id) => id !== leader) ?? 0;
  const other = sim.ids.find((id) => id !== leader && id !== emptied) ?? 0;
  await sim.crash(emptied);
  sim.wipe(emptied);
  await sim.start(emptied);
  sim.run(3_000);
  const status = sim.node(emptied).service.status();
  assert.equal(status.role, 'unknown', sim.describe());
  assert.match(status.problem ?? '', /emptied or exchanged/);
  assert.deepEqual([status.term, status.lastIndex], [0, 0]);
  const seen = sim
    .node(leader)
    .service.status()
    .peers.find((p) => p.id === emptied);
  assert.match(seen?.refused ?? '', /^ERAFT_REPLICA_UNKNOWN/);
  assert.ok(sim.process(leader).log.some((line) => line.includes('ERAFT_REPLICA_UNKNOWN')));

  // The acknowledged write is on the leader and perhaps on the emptied disk alone: without the leader nobody may be elected.
  await sim.crash(leader);
  sim.run(10_000);
  assert.equal(sim.leader([emptied, other]), 0, 'elected with the vote of an emptied disk');
  await sim.start(leader);
  const next = sim.untilLeader();
  const answer = asker.ask(next, readFrame(['a']));
  assert.deepEqual(answer.kind === 'values' ? answer.values : answer, ['1']);
});

test('a new cluster of three forms only when all have met; then two of them suffice', async () => {
  await using sim = new Simulation({ seed: 102 });
  await sim.start(1);
  await sim.start(2);
  sim.run(10_000);
  assert.equal(sim.leader(), 0);
  assert.equal(sim.node(1).service.status().role, 'blank');
  await sim.start(3);
  const leader = sim.untilLeader();
  await sim.crash(sim.ids.find((id) => id !== leader) ?? 0);
  const asker = new Asker(sim);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '1' }]))), 'written');
});

test('five replicas: the fifth joins late; emptied, it is a stranger even to those that never met it', async () => {
  await using sim = new Simulation({ seed: 103, ids: [1, 2, 3, 4, 5] });
  for (const id of [1, 2, 3, 4]) await sim.start(id);
  const leader = sim.untilLeader();
  sim.run(500);
  await sim.start(5);
  const asker = new Asker(sim);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '1' }]))), 'written');
  sim.until(() => sim.node(5).service.status().lastIndex > 0, 'the fifth to follow');
  sim.run(500);
  await sim.crash(5);
  for (const id of sim.ids) if (id !== 5) await sim.crash(id);
  for (const id of [1, 2, 3, 4]) await sim.start(id);
  sim.wipe(5);
  await sim.start(5);
  sim.run(3_000);
  assert.equal(sim.node(5).service.status().role, 'unknown', sim.describe());
});

test('a blank replica takes no part before enough others hold its uid, even if a leader already reaches it', async () => {
  await using sim = new Simulation({ seed: 104, ids: [1, 2, 3, 4, 5] });
  for (const id of [1, 2, 3, 4]) await sim.start(id);
  const leader = sim.untilLeader();
  const asker = new Asker(sim);
  for (const id of [1, 2, 3, 4]) {
    if (id === leader) continue;
    sim.hub.cut(id, 5);
    sim.hub.cut(5, id);
  }
  await sim.start(5);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '1' }]))), 'written');
  sim.run(3_000);
  const { role, term, lastIndex } = sim.node(5).service.status();
  assert.deepEqual({ role, term, lastIndex }, { role: 'blank', term: 0, lastIndex: 0 });
  sim.hub.heal();
  sim.until(() => sim.node(5).service.status().role === 'follower', 'the fifth to be admitted');
  sim.until(() => sim.node(5).service.status().lastIndex > 0, 'the fifth to follow');
});
