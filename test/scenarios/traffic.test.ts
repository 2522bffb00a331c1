// MIT 6.824, part 2B: bounds on messages and bytes. The labs count calls, each a message and an answer; here messages are
// counted, so that one call of theirs is two. In three replicas a leader has two followers to tell.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BATCH_BYTES_EMPTY, COMMAND_HEADER_BYTES } from '../../ts/proto/command-batch.js';
import { FRAME_HEADER_BYTES } from '../../ts/proto/frame.js';
import { encodeRaftFrame, RAFT_MESSAGE_BYTES } from '../../ts/proto/peer-frames.js';
import { RECORD_HEADER_BYTES } from '../../ts/storage/index.js';
import { readFrame } from '../kv/frames.js';
import { Asker } from '../kv/simulation.js';
import { Lab, type Proposal } from './lab.js';

const FOLLOWERS = 2;
const EACH = 2 * FOLLOWERS; // one message to every follower, and the answers
const HEARTBEAT_MS = 100;
const FRAME_BYTES = encodeRaftFrame([]).length + RAFT_MESSAGE_BYTES; // with one message
const RECORD_BYTES = RECORD_HEADER_BYTES + BATCH_BYTES_EMPTY + COMMAND_HEADER_BYTES + FRAME_HEADER_BYTES + 64; // the key, paddings

/** Those that go out however little there is to say. */
const heartbeats = (ms: number): number => EACH * (Math.floor(ms / HEARTBEAT_MS) + 1);

async function quietLab(seed: number): Promise<{ readonly lab: Lab; readonly leader: number }> {
  const lab = await Lab.open({ seed, replicas: 3 });
  const leader = lab.leader();
  lab.run(500);
  return { lab, leader };
}

function proposeAt(lab: Lab, leader: number, bytes = 0): Proposal {
  const proposal = lab.propose(leader, bytes);
  assert.ok(proposal !== null);
  return proposal;
}

for (const seed of [2601, 2602, 2603]) {
  test(`Count2B: a first leader costs at most 60 messages, the greetings and both its own records included; seed ${seed}`, async () => {
    await using lab = await Lab.open({ seed, replicas: 3 });
    lab.until(() => lab.ids.some((id) => lab.leads(id)) && lab.committedOn(2) === 3, 'a leader that all have heard of');
    const { messages, frames } = lab.traffic();
    assert.ok(frames >= messages && frames <= 60, `${frames} frames`);
  });
}

test('Count2B: with one candidate and one voter left, an election costs at most 10 messages besides heartbeats', async () => {
  const { lab, leader } = await quietLab(2604);
  await using _ = lab;
  await lab.crash(leader);
  const rest = lab.ids.filter((id) => id !== leader);
  const { term } = lab.raft(rest[0] ?? 0);
  const before = lab.traffic();
  lab.until(() => rest.some((id) => lab.leads(id)), 'a new leader');
  const elected = lab.now;
  lab.run(1_000);
  assert.equal(lab.term(), term + 1, 'one campaign');
  const { messages } = lab.traffic(before);
  // Pre-vote, vote, the leader's own two records, and how far they are committed: each asked, or told, and answered.
  const most = 5 * 2 + 2 * (Math.floor((lab.now - elected) / HEARTBEAT_MS) + 1);
  assert.ok(messages <= most, `${messages} messages, at most ${most}`);
});

test('Count2B: twelve proposals of one turn are one record: at most 4 messages for it, 4 for its commit, and heartbeats', async () => {
  const { lab, leader } = await quietLab(2605);
  await using _ = lab;
  const { lastIndex } = lab.raft(leader);
  const [start, before] = [lab.now, lab.traffic()];
  const proposals = Array.from({ length: 12 }, () => proposeAt(lab, leader));
  lab.until(() => proposals.every((p) => lab.isOn(p, 3)), 'agreement');
  assert.equal(lab.raft(leader).lastIndex, lastIndex + 1);
  const { messages } = lab.traffic(before);
  assert.ok(messages <= 2 * EACH + heartbeats(lab.now - start), `${messages} messages`);
});

test('Count2B: twelve proposals, each after the one before it, cost at most 84 messages, and at most 8 each besides heartbeats', async () => {
  const { lab, leader } = await quietLab(2606);
  await using _ = lab;
  const [start, before] = [lab.now, lab.traffic()];
  const proposals = Array.from({ length: 12 }, () => {
    const proposal = proposeAt(lab, leader);
    lab.until(() => lab.committedOn(lab.placeOf(proposal)?.index ?? 0) > 0, 'commit');
    return proposal;
  });
  const indexes = proposals.map((p) => lab.placeOf(p)?.index ?? 0);
  assert.deepEqual(indexes, indexes.map((_, i) => (indexes[0] ?? 0) + i)); // biome-ignore format: one line
  lab.until(() => proposals.every((p) => lab.isOn(p, 3)), 'agreement');
  const { messages } = lab.traffic(before);
  const most = Math.min(84, 12 * 2 * EACH + heartbeats(lab.now - start));
  assert.ok(messages <= most, `${messages} messages, at most ${most}`);
});

test('Count2B: an idle second costs 40 messages, a heartbeat every 100 ms to each follower and its answer', async () => {
  const { lab } = await quietLab(2607);
  await using _ = lab;
  const before = lab.traffic();
  lab.run(1_000);
  const { messages, bytes } = lab.traffic(before);
  assert.equal(messages, 10 * EACH);
  assert.equal(bytes, messages * FRAME_BYTES);
});

test('Count2B: fifty reads of one turn share one round: at most 4 messages besides heartbeats, and no record', async () => {
  const { lab, leader } = await quietLab(2608);
  await using _ = lab;
  const { lastIndex } = lab.raft(leader);
  const asker = new Asker(lab.sim);
  const [start, before] = [lab.now, lab.traffic()];
  const requests = Array.from({ length: 50 }, () => asker.send(leader, readFrame(['a'])));
  lab.until(() => requests.every((request) => asker.answers.get(request)?.kind === 'values'), 'the values');
  const { messages, bytes } = lab.traffic(before);
  assert.ok(messages <= EACH + heartbeats(lab.now - start), `${messages} messages`);
  assert.equal(bytes, messages * FRAME_BYTES);
  assert.equal(lab.raft(leader).lastIndex, lastIndex);
});

test('RPCBytes2B: ten values of 5000 bytes travel once to each follower, with less than 260 bytes of their own, and messages of 152', async () => {
  const { lab } = await quietLab(2609);
  await using _ = lab;
  const first = lab.one(3, { retry: false });
  const [start, before] = [lab.now, lab.traffic()];
  for (let i = 0; i < 10; i++) assert.equal(lab.one(3, { retry: false, bytes: 5_000 }), first + 1 + i);
  const { messages, bytes } = lab.traffic(before);
  assert.ok(messages <= 10 * 2 * EACH + heartbeats(lab.now - start), `${messages} messages`);
  const most = FOLLOWERS * 10 * (5_000 + RECORD_BYTES) + messages * FRAME_BYTES;
  assert.ok(bytes <= most && most < 3 * 50_000, `${bytes} bytes, at most ${most}`);
  assert.ok(RECORD_BYTES < 260 && FRAME_BYTES === 152);
  lab.verify();
});
