// MIT 6.824, part 2C: the tests on a network that loses one message in ten, delays the others, and reorders them.
import assert from 'node:assert/strict';
import type { Agreement } from './agreement.js';
import { Lab, QUICK_ELECTIONS } from './lab.js';
import { seededTest, seeds } from './seeds.js';

for (const seed of seeds(2401, 2402, 2403)) {
  seededTest(
    `UnreliableAgree2C: 245 agreements, five at a time, each within 10 s though a tenth of all messages is lost`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 5 });
      lab.unreliable = true;
      let open: Agreement[] = [];
      for (let round = 1; round < 50; round++) {
        const front = lab.begin(1);
        open.push(...Array.from({ length: 4 }, () => lab.begin(1)));
        while (front.step() === 0) lab.run(5);
        open = open.filter((agreement) => agreement.step() === 0);
      }
      while (open.some((agreement) => agreement.step() === 0)) lab.run(5);
      lab.unreliable = false;
      lab.one(5);
      assert.ok(lab.log.last >= 49);
      lab.verify();
    },
  );

  seededTest(
    `Figure8Unreliable2C: leaders come and go while messages are lost and reordered: nothing applied is undone`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 5, options: QUICK_ELECTIONS });
      lab.unreliable = true;
      lab.one(1);
      for (let turn = 0; turn < 1_000; turn++) {
        if (turn === 200) lab.longReordering = true;
        let leader = 0;
        for (const id of lab.ids) if (lab.propose(id) !== null) leader = id;
        lab.run(lab.chance(0.1) ? lab.below(500) : lab.below(13));
        if (leader !== 0 && lab.chance(0.5)) lab.disconnect(leader);
        if (lab.ids.filter((id) => lab.isConnected(id)).length >= 3) continue;
        lab.connect(1 + lab.below(5));
      }
      lab.connect(...lab.ids);
      lab.one(5);
      assert.ok(lab.raft(1).term > 20, `${lab.raft(1).term}: hardly any leaders`);
      lab.unreliable = false;
      lab.verify();
    },
  );
}
