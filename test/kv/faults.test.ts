import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

const valueIn = (answer: ReturnType<Asker['ask']>): string | undefined => {
  assert.equal(answer.kind, 'values', JSON.stringify(answer));
  return answer.kind === 'values' ? answer.values[0] : undefined;
};

/** Writes key `k<i>` = `v<i>` to replica `to`; resolves the code of the answer. */
const write = (asker: Asker, to: number, i: number): string =>
  codeOf(asker.ask(to, putFrame([{ key: `k${i}`, value: `v${i}` }])));

test('the leader dies: the others elect another one, and everything acknowledged is there', async () => {
  await using sim = await Simulation.start({ seed: 11 });
  const asker = new Asker(sim);
  const first = sim.untilLeader();
  for (let i = 0; i < 20; i++) assert.equal(write(asker, first, i), 'written');
  await sim.crash(first);
  const rest = sim.ids.filter((id) => id !== first);
  const second = sim.untilLeader(rest);
  assert.notEqual(second, first);
  for (let i = 0; i < 20; i++) assert.equal(valueIn(asker.ask(second, readFrame([`k${i}`]))), `v${i}`);
  await sim.start(first);
  assert.equal(write(asker, second, 20), 'written');
  sim.until(
    () => sim.node(first).service.status().lastIndex === sim.node(second).service.status().lastIndex,
    'catch-up',
  );
  assert.equal(valueIn(asker.ask(first, readFrame(['k20']))), 'v20');
});

for (const seed of [21, 22, 23]) {
  test(`acknowledged writes survive the crash of any replica, and of all; seed ${seed}`, async () => {
    await using sim = await Simulation.start({ seed });
    const asker = new Asker(sim);
    const acknowledged = new Map<string, string>();
    const attempted = new Map<string, Set<string>>();
    let i = 0;
    for (let round = 0; round < 6; round++) {
      const leader = sim.untilLeader();
      const asked = new Map<number, [string, string]>();
      for (let n = 0; n < 15; n++, i++) {
        const [key, value] = [`k${i % 9}`, `v${i}`];
        attempted.set(key, (attempted.get(key) ?? new Set()).add(value));
        asked.set(asker.send(leader, putFrame([{ key, value }])), [key, value]);
        sim.run(sim.random());
      }
      sim.run(3 * sim.random());
      const victims = round === 5 ? sim.ids : [round % 2 === 0 ? leader : (sim.ids.find((id) => id !== leader) ?? 1)];
      for (const id of victims) await sim.crash(id);
      for (const [request, [key, value]] of asked) {
        const answer = asker.answers.get(request);
        if (answer?.kind === 'written') acknowledged.set(key, value);
        else acknowledged.delete(key); // in doubt from here on: any attempted value may stand
      }
      sim.run(50);
      for (const id of victims) await sim.start(id);
    }
    const leader = sim.untilLeader();
    for (const [key, values] of attempted) {
      const value = valueIn(asker.ask(leader, readFrame([key])));
      const acked = acknowledged.get(key);
      if (acked !== undefined) assert.equal(value, acked);
      else assert.ok(value === undefined || values.has(value), `${key} is ${value}`);
    }
  });
}

test('a minority that is cut off acknowledges nothing and steps down; the majority goes on', async () => {
  await using sim = await Simulation.start({ seed: 31 });
  const asker = new Asker(sim);
  const old = sim.untilLeader();
  assert.equal(write(asker, old, 0), 'written');
  const rest = sim.ids.filter((id) => id !== old);
  sim.hub.partition([old], rest);
  const doomed = asker.send(old, putFrame([{ key: 'k0', value: 'doomed' }], { deadlineMs: 10_000 }));
  const blind = asker.send(old, readFrame(['k0'], { deadlineMs: 10_000 }));
  const leader = sim.untilLeader(rest);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'k0', value: 'new' }]))), 'written');
  sim.until(() => sim.node(old).service.status().role !== 'leader', 'the old leader to step down');
  sim.until(() => asker.answers.has(doomed) && asker.answers.has(blind), 'honest answers');
  const [write1, read1] = [asker.answers.get(doomed), asker.answers.get(blind)];
  assert.equal(write1 === undefined ? '' : codeOf(write1), 'ERAFT_OUTCOME_UNKNOWN');
  assert.equal(read1 === undefined ? '' : codeOf(read1), 'ERAFT_NOT_LEADER');
  sim.hub.heal();
  sim.run(3_000);
  for (const id of sim.ids) assert.equal(valueIn(asker.ask(id, readFrame(['k0']))), 'new');
});

test('the disk of the leader stalls: it steps down, the cluster goes on, and it takes part again afterwards', async () => {
  await using sim = await Simulation.start({ seed: 41 });
  const asker = new Asker(sim);
  const old = sim.untilLeader();
  sim.process(old).stalled = true;
  const request = asker.send(old, putFrame([{ key: 'a', value: 'by the other two' }], { deadlineMs: 10_000 }));
  const rest = sim.ids.filter((id) => id !== old);
  const leader = sim.untilLeader(rest);
  assert.notEqual(leader, old);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'b', value: '2' }]))), 'written');
  sim.run(3_000);
  assert.equal(sim.node(old).service.status().role, 'follower', 'with such a disk it neither leads nor stands');
  assert.ok(asker.answers.has(request));
  sim.process(old).stalled = false;
  const [a, b] = [sim.node(old).service, sim.node(leader).service];
  sim.until(() => a.status().appliedIndex === b.status().commitIndex, 'the disk to catch up');
  assert.equal(valueIn(asker.ask(old, readFrame(['b']))), '2');
});

test('a process that stood still hears the others before it judges them', async () => {
  await using sim = await Simulation.start({ seed: 51 });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const { term } = sim.node(leader).service.status();
  sim.process(follower).clock?.pause();
  sim.run(5_000);
  sim.process(follower).clock?.resume();
  sim.run(2_000);
  assert.deepEqual([sim.leader(), sim.node(leader).service.status().term], [leader, term], sim.describe());
});

test('a failed sync is the end of the replica, not of the cluster: everything is answered, and nothing after it', async () => {
  await using sim = await Simulation.start({ seed: 61 });
  const asker = new Asker(sim);
  const old = sim.untilLeader();
  sim.run(200);
  sim.process(old).storage?.failOperation(1, 'error');
  const request = asker.send(old, putFrame([{ key: 'a', value: '1' }]));
  sim.until(() => sim.process(old).failed !== null, 'the failure to be told');
  const answer = asker.answers.get(request);
  assert.equal(answer === undefined ? '' : codeOf(answer), 'ERAFT_FAILED');
  assert.equal(answer?.kind === 'error' ? answer.error.outcome : '', 'unknown');
  assert.equal(sim.node(old).service.status().role, 'failed');
  assert.equal(codeOf(asker.ask(old, putFrame([{ key: 'a', value: '2' }]))), 'ERAFT_FAILED');
  const leader = sim.untilLeader(sim.ids.filter((id) => id !== old));
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '3' }]))), 'written');
});

test('a follower that is far behind is caught up from the disk of the leader, in order', async () => {
  await using sim = await Simulation.start({ seed: 71, options: { limits: { appendBytesMax: 64 * 1024 } } });
  const asker = new Asker(sim);
  const leader = sim.untilLeader();
  const behind = sim.ids.find((id) => id !== leader) ?? 0;
  await sim.crash(behind);
  const big = 'x'.repeat(100_000);
  for (let i = 0; i < 80; i++)
    assert.equal(codeOf(asker.ask(leader, putFrame([{ key: `k${i}`, value: `${i}${big}` }]))), 'written');
  await sim.start(behind);
  const [a, b] = [sim.node(behind).service, sim.node(leader).service];
  sim.until(() => a.status().appliedIndex === b.status().commitIndex, 'catch-up');
  const stale = asker.ask(behind, readFrame(['k0', 'k79'], { stale: true }));
  assert.deepEqual(stale.kind === 'values' && stale.values.map((v) => v?.length), [100_001, 100_002]);
});
