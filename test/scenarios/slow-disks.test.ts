// TiKV's cases of asynchronous I/O, over whole replicas: a disk that lags behind what its replica knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFrame } from '../kv/frames.js';
import { Asker } from '../kv/simulation.js';
import { Lab, type Proposal } from './lab.js';

function proposeAt(lab: Lab, leader: number): Proposal {
  const proposal = lab.propose(leader);
  assert.ok(proposal !== null);
  return proposal;
}

for (const ending of ['goes on', 'loses its power'] as const) {
  test(`commit_without_leader_persist: the others commit and apply while the leader's disk stands still; it does after; it ${ending}`, async () => {
    await using lab = await Lab.open({ seed: 4101, replicas: 3 });
    lab.one(3);
    const leader = lab.leader();
    lab.run(200);
    lab.stopDisk(leader);
    const proposal = proposeAt(lab, leader);
    lab.until(() => lab.isOn(proposal, 2), 'the others to apply it', 500);
    lab.run(100);
    const { index } = lab.placeOf(proposal) ?? { index: 0 };
    assert.ok(lab.raft(leader).commit >= index, 'the leader knows that it is committed');
    assert.ok(lab.log.appliedBy(leader) < index, 'and applies nothing that its own disk lacks');
    assert.equal(lab.answerTo(proposal), '', 'nor answers');
    if (ending === 'goes on') {
      lab.resumeDisk(leader);
      lab.until(() => lab.isOn(proposal, 3) && lab.answerTo(proposal) === 'written', 'it to catch up', 500);
    } else {
      await lab.restart(leader);
      assert.ok(lab.raft(leader).lastIndex < index, 'its copy is lost');
    }
    lab.one(3);
    assert.ok(lab.log.holds(proposal.value));
    lab.verify();
  });
}

test('singleton_cannot_early_apply: a store alone neither applies nor answers before its disk has it, and may lose it', async () => {
  await using lab = await Lab.open({ seed: 4102, replicas: 1 });
  lab.one(1);
  lab.stopDisk(1);
  const proposal = proposeAt(lab, 1);
  lab.run(800);
  assert.deepEqual([lab.log.holds(proposal.value), lab.answerTo(proposal)], [false, '']);
  await lab.restart(1);
  lab.one(1);
  assert.equal(lab.log.holds(proposal.value), false);
  lab.verify();
});

test('early_apply_leader_demote_by_append: records that a stalled leader alone took give way while its disk still has them to write', async () => {
  await using lab = await Lab.open({ seed: 4103, replicas: 3 });
  lab.one(3);
  const old = lab.leader();
  const rest = lab.ids.filter((id) => id !== old);
  lab.disconnect(old);
  lab.stopDisk(old);
  const doomed = [1, 2, 3].map(() => {
    const proposal = proposeAt(lab, old);
    lab.run(2);
    return proposal;
  });
  lab.one(2);
  lab.one(2);
  lab.connect(old);
  lab.run(300);
  assert.ok(lab.raft(old).durableIndex < lab.raft(old).lastIndex, 'it has heard of the others, and written nothing');
  lab.resumeDisk(old);
  lab.one(3);
  for (const { value } of doomed) assert.equal(lab.log.holds(value), false);
  assert.ok(rest.includes(lab.leader()));
  lab.verify();
});

test('read_index_after_transfer_leader: a new leader answers reads with all that was acknowledged, applied here by then or not', async () => {
  await using lab = await Lab.open({ seed: 4104, replicas: 3 });
  lab.one(3);
  const old = lab.leader();
  const rest = lab.ids.filter((id) => id !== old);
  lab.run(200);
  const proposal = proposeAt(lab, old);
  lab.until(() => lab.answerTo(proposal) === 'written', 'the acknowledgement');
  await lab.crash(old);
  assert.ok(!lab.isOn(proposal, 1), 'those that are left have it in their logs alone');
  const asker = new Asker(lab.sim);
  const requests = rest.map((id) => asker.send(id, readFrame([proposal.value])));
  lab.until(() => requests.every((request) => asker.answers.has(request)), 'answers');
  for (const request of requests) {
    const answer = asker.answers.get(request);
    assert.deepEqual(answer?.kind === 'values' && answer.values, [''], JSON.stringify(answer));
  }
  await lab.restart(old);
  lab.verify();
});
