// MIT 6.824, part 2C: the persistence tests, with power failures.

import assert from 'node:assert/strict';
import { Lab, QUICK_ELECTIONS } from './lab.js';
import { seededTest, seeds } from './seeds.js';

for (const seed of seeds(2301, 2302)) {
  seededTest(
    `Persist12C: all, the leader, a lone absentee lose their power: each agreement survives, and the next follows`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 3 });
      lab.one(3);
      for (const id of lab.ids) await lab.crash(id);
      await lab.restart(...lab.ids);
      lab.one(3);

      const first = lab.leader();
      await lab.restart(first);
      lab.one(3);

      const second = lab.leader();
      lab.disconnect(second);
      const index = lab.one(2);
      await lab.restart(second);
      lab.until(() => lab.committedOn(index) === 3, 'who was away to catch up');

      const third = lab.next(lab.leader());
      lab.disconnect(third);
      lab.one(2);
      await lab.restart(third);
      lab.one(3);
      lab.verify();
    },
  );

  seededTest(
    `Persist22C: five replicas go away and come back in turn, three at a time, and agree throughout`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 5 });
      for (let round = 0; round < 5; round++) {
        lab.one(5);
        const leader = lab.leader();
        const [a, b, c, d] = [1, 2, 3, 4].map((by) => lab.next(leader, by)) as [number, number, number, number];
        lab.disconnect(a, b);
        lab.one(3);
        lab.disconnect(leader, c, d);
        await lab.restart(a, b);
        lab.run(1_000);
        await lab.restart(c);
        lab.one(3); // those two that missed the last one need the third
        lab.connect(d, leader);
      }
      lab.one(5);
      lab.verify();
    },
  );

  seededTest(
    `Persist32C: leader and follower lose their power while the third is cut off; leader and third go on alone`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 3 });
      lab.one(3);
      const leader = lab.leader();
      const [follower, third] = [lab.next(leader), lab.next(leader, 2)];
      lab.disconnect(third);
      const index = lab.one(2);
      await lab.crash(leader);
      await lab.crash(follower);
      lab.connect(third);
      await lab.restart(leader);
      lab.one(2);
      lab.until(() => lab.committedOn(index) === 2, 'what only the leader held to reach the third');
      await lab.restart(follower);
      lab.one(3);
      lab.verify();
    },
  );

  seededTest(
    `Figure82C: leaders that lose their power with half-replicated records undo nothing that was applied`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 5, options: QUICK_ELECTIONS });
      lab.one(1);
      for (let turn = 0; turn < 1_000; turn++) {
        let leader = 0;
        for (const id of lab.ids) if (lab.isUp(id) && lab.propose(id) !== null) leader = id;
        lab.run(lab.chance(0.1) ? lab.below(500) : lab.below(13));
        if (leader !== 0) await lab.crash(leader);
        if (lab.ids.filter((id) => lab.isUp(id)).length >= 3) continue;
        const id = 1 + lab.below(5);
        if (!lab.isUp(id)) await lab.restart(id);
      }
      for (const id of lab.ids) if (!lab.isUp(id)) await lab.restart(id);
      lab.one(5);
      assert.ok(lab.raft(1).term > 40, `${lab.raft(1).term}: hardly any leaders`);
      lab.verify();
    },
  );
}
