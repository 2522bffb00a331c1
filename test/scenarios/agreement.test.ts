// MIT 6.824, part 2B. A new leader begins with a record of its own, and names the members in another: so where the labs
// know the index of the n-th command, here the commands' indexes follow the last one before them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab, type Proposal } from './lab.js';

test('BasicAgree2B: nothing is committed before it is proposed; then it is, by all, at the next index each time', async () => {
  await using lab = await Lab.open({ seed: 2201, replicas: 3 });
  let { lastIndex } = lab.raft(lab.leader());
  for (let i = 0; i < 3; i++) {
    assert.equal(lab.committedOn(lastIndex + 1), 0);
    assert.equal(lab.one(3, { retry: false }), lastIndex + 1);
    lastIndex++;
  }
  lab.verify();
});

test('FailAgree2B: two of three go on agreeing without the third, which catches up when it is back', async () => {
  await using lab = await Lab.open({ seed: 2202, replicas: 3 });
  lab.one(3, { retry: false });
  const leader = lab.leader();
  const { term } = lab.raft(leader);
  lab.disconnect(lab.next(leader));
  for (let i = 0; i < 2; i++) lab.one(2, { retry: false });
  lab.run(1_000);
  for (let i = 0; i < 2; i++) lab.one(2, { retry: false });
  lab.connect(lab.next(leader));
  lab.one(3);
  lab.run(1_000);
  lab.one(3, { retry: false });
  assert.deepEqual([lab.leader(), lab.term()], [leader, term], 'its return has deposed nobody');
  lab.verify();
});

test('FailNoAgree2B: with three of five cut off nothing is committed; afterwards its place is taken', async () => {
  await using lab = await Lab.open({ seed: 2203, replicas: 5 });
  const before = lab.one(5, { retry: false });
  const leader = lab.leader();
  const { lastIndex } = lab.raft(leader);
  assert.equal(lastIndex, before);
  lab.disconnect(lab.next(leader), lab.next(leader, 2), lab.next(leader, 3));
  const doomed = lab.propose(leader);
  assert.ok(doomed !== null);
  assert.equal(lab.placeOf(doomed)?.index, before + 1);
  lab.run(2_000);
  assert.equal(lab.committedOn(before + 1), 0);
  assert.equal(lab.leads(leader), false, 'without a quorum it does not stay leader');

  lab.connect(lab.next(leader), lab.next(leader, 2), lab.next(leader, 3));
  const second = lab.leader();
  const accepted = lab.propose(second);
  assert.ok(accepted !== null);
  const index = lab.placeOf(accepted)?.index ?? 0;
  assert.ok(
    index >= before + 2 && index <= before + 4,
    `${index}: behind at most the doomed one and the leader's own two`,
  );
  lab.one(5);
  lab.verify();
});

test('ConcurrentStarts2B: five proposals at once are all committed in their term, each once', async () => {
  await using lab = await Lab.open({ seed: 2204, replicas: 3 });
  const leader = lab.leader();
  const { term } = lab.raft(leader);
  const first = lab.propose(leader);
  const more = Array.from({ length: 5 }, () => lab.propose(leader));
  const proposals = [first, ...more].filter((p): p is Proposal => p !== null);
  assert.equal(proposals.length, 6);
  for (const proposal of proposals) {
    const place = lab.placeOf(proposal);
    assert.equal(place?.term, term);
    assert.ok(lab.wait(place?.index ?? 0, 3, term), 'the term has changed');
    assert.ok(lab.log.valuesAt(place?.index ?? 0).includes(proposal.value));
  }
  const all = Array.from({ length: lab.log.last + 1 }, (_, i) => lab.log.valuesAt(i)).flat();
  assert.deepEqual(all, proposals.map(({ value }) => value), 'in the order in which they came'); // biome-ignore format: one line
  lab.verify();
});

test('Rejoin2B: what a cut-off leader took alone gives way to what the others agreed upon', async () => {
  await using lab = await Lab.open({ seed: 2205, replicas: 3 });
  lab.one(3);
  const first = lab.leader();
  lab.disconnect(first);
  const alone = Array.from({ length: 3 }, () => lab.propose(first)).filter((p): p is Proposal => p !== null);
  assert.equal(alone.length, 3);
  lab.one(2);
  const second = lab.leader();
  lab.disconnect(second);
  lab.connect(first);
  lab.one(2);
  lab.connect(second);
  lab.one(3);
  for (const { value } of alone) assert.equal(lab.log.holds(value), false);
  lab.verify();
});

test('Backup2B: logs that differ by fifty entries, twice over, are brought in line, at two refusals each on average', async () => {
  await using lab = await Lab.open({ seed: 2206, replicas: 5 });
  lab.one(5);
  const first = lab.leader();
  const [a, b, c, d] = [1, 2, 3, 4].map((by) => lab.next(first, by)) as [number, number, number, number];
  lab.disconnect(b, c, d);
  const doomed = proposeApart(lab, first, 50);
  lab.disconnect(first, a);
  lab.connect(b, c, d);
  for (let i = 0; i < 50; i++) lab.one(3);

  const second = lab.leader();
  const other = second === b ? c : b;
  lab.disconnect(other);
  doomed.push(...proposeApart(lab, second, 50));
  lab.disconnect(b, c, d);
  lab.connect(first, a, other);
  for (let i = 0; i < 50; i++) lab.one(3);
  lab.connect(...lab.ids);
  lab.one(5);
  for (const { value } of doomed) assert.equal(lab.log.holds(value), false);
  const { refusals } = lab.traffic();
  assert.ok(refusals <= 3 * 4 * 2, `${refusals} refusals, for four followers under three new leaders`);
  lab.verify();
});

/** So many proposals at a leader that cannot commit them, in records of their own. */
function proposeApart(lab: Lab, leader: number, count: number): Proposal[] {
  const { lastIndex } = lab.raft(leader);
  const proposals: Proposal[] = [];
  for (let i = 0; i < count; i++) {
    const proposal = lab.propose(leader);
    assert.ok(proposal !== null);
    proposals.push(proposal);
    lab.run(2);
  }
  assert.ok(lab.raft(leader).lastIndex - lastIndex >= count / 2, 'hardly any records');
  lab.run(500);
  return proposals;
}
