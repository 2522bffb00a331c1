// Beyond the labs: what their persistence tests are about, made harder, and figure 8 of the Raft paper as it is drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab, QUICK_ELECTIONS } from './lab.js';
import { seededTest, seeds } from './seeds.js';

for (const seed of seeds(2311, 2312, 2313)) {
  seededTest(
    `PowerCut: with slow disks all lose their power at once, twelve times: nothing acknowledged or applied is lost`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 3, options: QUICK_ELECTIONS });
      lab.one(3);
      for (let cut = 0; cut < 12; cut++) {
        lab.slowDisks = true;
        for (const end = lab.now + lab.below(900); lab.now < end; lab.run(lab.below(10))) {
          for (const id of lab.ids) lab.propose(id);
        }
        for (const id of lab.ids) await lab.crash(id);
        await lab.restart(...lab.ids);
      }
      lab.slowDisks = false;
      lab.one(3);
      lab.verify();
    },
  );
}

/** Has `id` become that: whoever of `others` stands instead loses its power, and with it its term and its haste. */
async function elect(lab: Lab, id: number, others: readonly number[], role = 'leader'): Promise<void> {
  for (const end = lab.now + 60_000; lab.raft(id).role !== role && lab.now < end; lab.run(0.2)) {
    for (const other of others) if (lab.raft(other).role !== 'follower') await lab.restart(other);
  }
  assert.equal(lab.raft(id).role, role, lab.sim.describe());
}

test('a vote that no disk holds elects nobody; its voter loses its power, forgets it, and may elect another in that term', async () => {
  await using lab = await Lab.open({ seed: 2315, replicas: 3 });
  lab.one(3);
  const [voter, a] = [lab.leader(), lab.next(lab.leader())];
  const b = lab.ids.find((id) => id !== voter && id !== a) ?? 0;
  await lab.crash(voter);
  lab.disconnect(b);
  await lab.restart(voter);
  await elect(lab, a, [voter], 'preCandidate');
  lab.stopDisk(voter);
  await elect(lab, a, [], 'candidate');
  const { term } = lab.raft(a);
  lab.run(300);
  assert.deepEqual([lab.leads(a), lab.raft(voter).term], [false, term], 'elected by a vote that no disk holds');
  await lab.crash(voter);
  lab.disconnect(a);
  lab.connect(b);
  await lab.restart(voter);
  await elect(lab, b, [voter]);
  assert.equal(lab.raft(b).term, term, 'the term that the first one had asked for');
  lab.connect(a);
  lab.one(3);
  lab.verify();
});

test('Figure82C as drawn: an old record that a majority holds is not applied by that, and gives way to a newer one', async () => {
  // Each record travels alone, so that the old one can arrive without the leader's own.
  await using lab = await Lab.open({ seed: 2321, replicas: 5, options: { limits: { appendBytesMax: 1 } } });
  lab.one(5);
  const s1 = lab.leader();
  const [s2, s3, s4, s5] = [1, 2, 3, 4].map((by) => lab.next(s1, by)) as [number, number, number, number];

  // (a) s1 leads, and its record reaches s2 alone.
  lab.disconnect(s3, s4, s5);
  const old = lab.propose(s1);
  assert.ok(old !== null);
  const place = lab.placeOf(old)?.index ?? 0;
  lab.until(() => lab.raft(s2).durableIndex >= place, 'the old record to reach s2');

  // (b) It is gone. s5 leads by the votes of s3 and s4, and nobody else hears of its record.
  await lab.crash(s1);
  lab.disconnect(s2);
  lab.loses = (message) => message.type === 'append' && message.from === s5;
  lab.connect(s3, s4, s5);
  await elect(lab, s5, [s3, s4]);
  lab.run(20);
  const newer = lab.raft(s5).termAt(place);
  assert.equal(newer, lab.raft(s5).term);
  await lab.crash(s5);

  // (c) s1 is back and leads again. Its old record reaches s3 as well; what would add to that is lost.
  lab.loses = (m) =>
    m.type === 'append' && m.from === s1 && m.last > place && lab.raft(m.to).termAt(m.index) === m.logTerm;
  lab.disconnect(s4);
  await lab.restart(s1);
  lab.connect(s2);
  await elect(lab, s1, [s2, s3]);
  lab.until(() => lab.raft(s3).durableIndex >= place, 'the old record to reach s3');
  lab.run(300);
  assert.deepEqual([s1, s2, s3].map((id) => lab.raft(id).termAt(place)), [1, 1, 1].map(() => old.term)); // biome-ignore format: one line
  assert.equal(lab.committedOn(place), 0, 'a majority holds it, and nobody has applied it');

  // (d) s5 is back. Its record is the newer one, so the others elect it, and take that.
  await lab.crash(s1);
  lab.loses = () => false;
  await lab.restart(s5);
  lab.connect(s4);
  await elect(lab, s5, [s2, s3, s4]);
  await lab.restart(s1);
  lab.one(5);
  assert.deepEqual(lab.ids.map((id) => lab.raft(id).termAt(place)), lab.ids.map(() => newer)); // biome-ignore format: one line
  assert.equal(lab.log.holds(old.value), false);
  lab.verify();
});
