import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

const values = (answer: ReturnType<Asker['ask']>): readonly (string | undefined)[] => {
  assert.equal(answer.kind, 'values', JSON.stringify(answer));
  return answer.kind === 'values' ? answer.values : [];
};

test('three replicas elect a leader, write through it, and read what was written from any of them', async () => {
  await using sim = await Simulation.start({ seed: 1 });
  const leader = sim.untilLeader();
  const asker = new Asker(sim);
  assert.equal(codeOf(asker.ask(leader, putFrame([{ key: 'a', value: '1' }]))), 'written');
  for (const id of sim.ids) assert.deepEqual(values(asker.ask(id, readFrame(['a', 'b']))), ['1', undefined]);
});

async function story(seed: number): Promise<string> {
  await using sim = await Simulation.start({ seed });
  const asker = new Asker(sim);
  sim.untilLeader();
  sim.hub.loss = 0.02;
  for (let i = 0; i < 60; i++) {
    const to = sim.ids[Math.floor(sim.random() * sim.ids.length)] ?? 1;
    if (sim.process(to).node !== null) {
      asker.send(to, putFrame([{ key: `k${i % 7}`, value: `v${i}` }], { deadlineMs: 800 }));
      asker.send(to, readFrame([`k${i % 7}`], { deadlineMs: 800 }));
    }
    sim.run(20 * sim.random());
    if (i === 20) await sim.crash(sim.untilLeader());
    if (i === 40) for (const id of sim.ids) if (sim.process(id).node === null) await sim.start(id);
  }
  sim.run(3_000);
  return sim.traceHash;
}

test('the same inputs and seed give the same trace, another seed another one', async () => {
  const [first, second, other] = [await story(7), await story(7), await story(8)];
  assert.equal(first, second);
  assert.notEqual(first, other);
});
