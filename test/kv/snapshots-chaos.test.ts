// Five replicas, a log that is cut early, crashes and partitions at random: whatever was acknowledged is everywhere at the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, putFrame, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

const MiB = 1024 * 1024;
const BIG = 'x'.repeat(600_000);
const IDS = [1, 2, 3, 4, 5];

/** Bad weather: one replica at a time is down, or some are cut off; the log is soon longer than its limit. */
async function storm(sim: Simulation, asker: Asker, acknowledged: Map<string, string>): Promise<number> {
  let down = 0;
  let installed = 0;
  for (let i = 0; i < 120; i++) {
    const leader = sim.leader();
    const [key, value] = [`k${i % 6}`, `${i}-${BIG}`];
    if (leader !== 0) {
      const request = asker.send(leader, putFrame([{ key, value }], { deadlineMs: 2_000 }));
      sim.run(20 + 60 * sim.random());
      const answer = asker.answers.get(request);
      if (answer?.kind === 'written') acknowledged.set(key, `${i}`);
      else acknowledged.delete(key); // in doubt
    } else sim.run(200);
    const dice = sim.random();
    if (dice < 0.05) {
      if (down === 0) {
        down = IDS[Math.floor(sim.random() * 5)] ?? 1;
        installed += sim.node(down).metrics().snapshotsInstalled;
        await sim.crash(down);
      } else {
        await sim.start(down);
        down = 0;
      }
    } else if (dice < 0.09) {
      const cut = IDS.filter(() => sim.random() < 0.3).slice(0, 2);
      sim.hub.partition(cut, IDS.filter((id) => !cut.includes(id))); // biome-ignore format: one line
    } else if (dice < 0.2) sim.hub.heal();
  }
  if (down !== 0) await sim.start(down);
  sim.hub.heal();
  return installed;
}

for (const seed of [401]) {
  test(`a log that is cut early, crashes and partitions: nothing acknowledged is lost; seed ${seed}`, async () => {
    const limits = { maxLogBytes: 4 * MiB, trailingLogBytes: 1 * MiB, snapshotBytesPerSecondMax: 16 * MiB };
    const storage = { segmentBytes: 16 * MiB, flushLogBytes: 4 * MiB };
    await using sim = await Simulation.start({ seed, ids: IDS, options: { limits, storage } });
    const asker = new Asker(sim);
    sim.untilLeader();
    const acknowledged = new Map<string, string>();
    let installed = await storm(sim, asker, acknowledged);
    const leader = sim.untilLeader();
    assert.equal(
      codeOf(asker.ask(leader, putFrame([{ key: 'last', value: 'word' }], { deadlineMs: 20_000 }))),
      'written',
    );
    const goal = sim.node(leader).service.status().commitIndex;
    sim.until(() => IDS.every((id) => sim.node(id).service.status().appliedIndex >= goal), 'all to catch up', 60_000);
    for (const id of IDS) {
      installed += sim.node(id).metrics().snapshotsInstalled;
      const keys = [...acknowledged.keys(), 'last'];
      const answer = asker.ask(id, readFrame(keys, { stale: true }));
      assert.equal(answer.kind, 'values');
      const found = answer.kind === 'values' ? answer.values.map((value) => value?.split('-')[0]) : [];
      assert.deepEqual(found, [...acknowledged.values(), 'word'], `replica ${id}`);
    }
    assert.ok(installed > 0, 'no snapshot was needed');
  });
}
