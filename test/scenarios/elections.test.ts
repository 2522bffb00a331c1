// MIT 6.824, part 2A.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab } from './lab.js';
import { seededTest, seeds } from './seeds.js';

test('InitialElection2A: one leader within 6 s; all agree on the term, and keep both while nothing fails', async () => {
  await using lab = await Lab.open({ seed: 2101, replicas: 3 });
  const leader = lab.leader();
  lab.run(50);
  const term = lab.term();
  assert.ok(term >= 1);
  lab.run(2_000);
  assert.equal(lab.term(), term);
  assert.equal(lab.leader(), leader);
});

test('ReElection2A: a new leader for a lost one, which returns without harm; none without a quorum; one again with it', async () => {
  await using lab = await Lab.open({ seed: 2102, replicas: 3 });
  const first = lab.leader();
  lab.disconnect(first);
  const second = lab.leader();
  assert.notEqual(second, first);
  const { term } = lab.raft(second);
  lab.connect(first);
  assert.equal(lab.leader(), second, 'who returns deposes nobody: its pre-vote is refused');
  assert.equal(lab.term(), term);

  lab.disconnect(second, lab.next(second));
  lab.run(2_000);
  const leaders = lab.ids.filter((id) => lab.leads(id));
  assert.deepEqual(leaders, [], 'after two seconds even those that are cut off know that they do not lead');
  lab.connect(lab.next(second));
  lab.leader();
  lab.connect(second);
  lab.leader();
  lab.verify();
});

for (const seed of seeds(2103, 2104)) {
  seededTest(
    `ManyElections2A: of seven, whichever three are cut off, nine times over, the others have one leader`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 7 });
      lab.leader();
      for (let round = 0; round < 9; round++) {
        const victims = [1, 2, 3].map(() => 1 + lab.below(7)); // one may be drawn twice
        lab.disconnect(...victims);
        const leader = lab.leader();
        assert.ok(!victims.includes(leader));
        lab.connect(...victims);
      }
      lab.leader();
      lab.verify();
    },
  );
}
