import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHello } from '../../ts/proto/control-frames.js';
import { FRAME, frameOf } from '../../ts/proto/frame.js';
import { encodeScanRequest, SNAPSHOT } from '../../ts/proto/scan-frames.js';
import { codeOf, putFrame, readAnswer, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

test('a follower forwards writes and reads, and names the leader once', async () => {
  await using sim = await Simulation.start({ seed: 201 });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const asker = new Asker(sim);
  for (let i = 0; i < 5; i++)
    assert.equal(codeOf(asker.ask(follower, putFrame([{ key: 'a', value: `${i}` }]))), 'written');
  assert.equal(codeOf(asker.ask(follower, readFrame(['a']))), 'values');
  assert.deepEqual(asker.others, [FRAME.leader]);
  assert.equal(sim.node(follower).metrics().forwarded, 6);
  assert.equal(sim.node(leader).metrics().forwardedIn, 6);
  assert.equal(sim.node(leader).metrics().proposalsInFlight, 0);
});

test('many writes of one turn are one record; their answers come in order', async () => {
  await using sim = await Simulation.start({ seed: 202 });
  const leader = sim.untilLeader();
  sim.run(1_000);
  const asker = new Asker(sim);
  const before = sim.node(leader).metrics();
  const requests = Array.from({ length: 50 }, (_, i) => asker.send(leader, putFrame([{ key: 'a', value: `${i}` }])));
  sim.until(() => asker.answers.size === 50, 'the answers');
  const after = sim.node(leader).metrics();
  assert.equal(after.proposals - before.proposals, 1);
  assert.equal(after.proposedCommands - before.proposedCommands, 50);
  assert.deepEqual([...asker.answers.keys()], requests);
  const revisions = requests.map((r) => asker.answers.get(r)).map((a) => (a?.kind === 'written' ? a.revision : -1));
  assert.deepEqual(
    revisions,
    revisions.map((_, i) => (revisions[0] ?? 0) + i),
  );
});

test('stale reads answer anywhere; minRevision waits until this replica has it, or the deadline has passed', async () => {
  await using sim = await Simulation.start({ seed: 203 });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const asker = new Asker(sim);
  const written = asker.ask(leader, putFrame([{ key: 'a', value: '1' }]));
  const revision = written.kind === 'written' ? written.revision : 0;
  const answer = asker.ask(follower, readFrame(['a'], { stale: true, minRevision: revision }));
  assert.deepEqual(answer.kind === 'values' && answer.values, ['1']);
  const never = asker.ask(follower, readFrame(['a'], { stale: true, minRevision: revision + 100, deadlineMs: 300 }));
  assert.equal(codeOf(never), 'ERAFT_READ_TIMEOUT');
  assert.equal(sim.node(follower).metrics().readsWaiting, 0);
});

test('without a leader: waits for one until the deadline, then says that nothing was done', async () => {
  await using sim = new Simulation({ seed: 204 });
  await sim.start(1);
  const asker = new Asker(sim);
  assert.equal(codeOf(asker.ask(1, putFrame([{ key: 'a', value: '1' }], { deadlineMs: 500 }))), 'ERAFT_UNAVAILABLE');
  assert.equal(codeOf(asker.ask(1, readFrame(['a'], { deadlineMs: 500 }))), 'ERAFT_READ_TIMEOUT');
  const patient = asker.send(1, putFrame([{ key: 'a', value: '2' }], { deadlineMs: 60_000 }));
  await sim.start(2);
  await sim.start(3);
  sim.until(() => asker.answers.has(patient), 'the patient one');
  assert.equal(asker.answers.get(patient)?.kind, 'written');
  sim.run(1_000);
  const answer = asker.ask(sim.untilLeader(), readFrame(['a']));
  assert.deepEqual(answer.kind === 'values' && answer.values, ['2'], 'the one that was refused was never done');
});

test('a write that was proposed and cannot commit in time has an unknown outcome', async () => {
  await using sim = await Simulation.start({ seed: 205 });
  const leader = sim.untilLeader();
  const asker = new Asker(sim);
  sim.run(200);
  sim.hub.partition(...sim.ids.map((id) => [id]));
  const answer = asker.ask(leader, putFrame([{ key: 'a', value: '1' }], { deadlineMs: 100 }));
  assert.equal(codeOf(answer), 'ERAFT_TIMEOUT');
});

test('a forward that is lost with its connection: unknown for a write, again for a read', async () => {
  await using sim = await Simulation.start({ seed: 206 });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const asker = new Asker(sim);
  const write = asker.send(follower, putFrame([{ key: 'a', value: '1' }]));
  const read = asker.send(follower, readFrame(['a']));
  sim.hub.sever(leader, follower);
  sim.run(1);
  const codes = [write, read].map((r) => asker.answers.get(r)).map((a) => (a === undefined ? '' : codeOf(a)));
  assert.deepEqual(codes, ['ERAFT_OUTCOME_UNKNOWN', 'ERAFT_UNAVAILABLE']);
});

test('limits refuse at the door, and what was refused leaves nothing behind', async () => {
  const limits = { proposalFramesMax: 3, readFramesMax: 2, waitingFramesMax: 2, forwardFramesMax: 2 };
  await using sim = await Simulation.start({ seed: 207, options: { limits } });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const asker = new Asker(sim);
  const codes = (requests: number[]): string[] => {
    sim.until(() => requests.every((r) => asker.answers.has(r)), 'answers');
    return requests.map((r) => asker.answers.get(r)).map((a) => (a === undefined ? '' : codeOf(a)));
  };
  const over = 'ERAFT_OVERLOADED';
  const put = (): Buffer => putFrame([{ key: 'a', value: '1' }]);
  assert.deepEqual(codes([1, 2, 3, 4].map(() => asker.send(leader, put()))), ['written', 'written', 'written', over]);
  assert.deepEqual(codes([1, 2, 3].map(() => asker.send(leader, readFrame(['a'])))), ['values', 'values', over]);
  assert.deepEqual(codes([1, 2, 3].map(() => asker.send(follower, put()))), ['written', 'written', over]);
  assert.deepEqual(codes([1, 2, 3].map(() => asker.send(leader, put()))), ['written', 'written', 'written']);
  assert.equal(sim.node(leader).metrics().rejected.ERAFT_OVERLOADED, 2);
});

test('an asker that goes before it is answered leaves nothing behind that others would wait for', async () => {
  const limits = { readFramesMax: 1, waitingFramesMax: 1, forwardFramesMax: 1 };
  await using sim = await Simulation.start({ seed: 210, options: { limits } });
  const leader = sim.untilLeader();
  const asker = new Asker(sim);
  const { revision } = asker.ask(leader, putFrame([{ key: 'a', value: '1' }])) as { revision: number };
  const askAndGo = (frame: Uint8Array): void => {
    const from = { alive: true, reply: () => assert.fail('nobody is there') };
    sim.node(leader).service.handle(frame, from);
    from.alive = false;
  };
  const none = new Uint8Array(0);
  const range = { first: none, end: none, reverse: false, keysOnly: false, pageBytes: 1_000, limit: 1 };
  const frames = {
    scan: encodeScanRequest({ linearizable: true, minRevision: 0, snapshot: SNAPSHOT.none, ...range }),
    'stale scan': encodeScanRequest({ linearizable: false, minRevision: 0, snapshot: SNAPSHOT.none, ...range }),
    read: readFrame(['a']),
    'read of what is not applied': readFrame(['a'], { stale: true, minRevision: revision + 1_000 }),
    write: putFrame([{ key: 'b', value: '1' }]),
  };
  for (const [what, frame] of Object.entries(frames)) {
    askAndGo(frame);
    sim.run(100);
    assert.equal(codeOf(asker.ask(leader, readFrame(['a']))), 'values', what);
  }
  sim.hub.partition(...sim.ids.map((id) => [id]));
  sim.run(3_000); // it has stepped down, and a request waits for a leader to be known
  askAndGo(readFrame(['a'], { deadlineMs: 500 }));
  sim.run(1_000);
  sim.hub.heal();
  sim.untilLeader();
  for (const frame of [putFrame([{ key: 'b', value: '2' }]), readFrame(['a'])]) {
    assert.notEqual(codeOf(asker.ask(leader, frame)), 'ERAFT_OVERLOADED');
  }
});

test('bad frames are answered, each with what is wrong; good ones beside them are served', async () => {
  await using sim = await Simulation.start({ seed: 208, ids: [1] });
  sim.untilLeader();
  const asker = new Asker(sim);
  const { service } = sim.node(1);
  const replies: string[] = [];
  const from = { alive: true, reply: (frame: Uint8Array) => void replies.push(codeOf(readAnswer(frame))) };
  const frames: Uint8Array[] = [
    new Uint8Array(0),
    new Uint8Array(15),
    Uint8Array.of(99, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    Uint8Array.of(2, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    frameOf(FRAME.write, 2, 1, 0, new Uint8Array(64)),
    frameOf(FRAME.write, 1, 1, 0, new Uint8Array(64)),
    frameOf(FRAME.read, 1, 1, 0, Buffer.alloc(64, 0xff)),
    frameOf(FRAME.scan, 1, 1, 0, Buffer.alloc(3)),
    frameOf(FRAME.hello, 1, 1, 0, Buffer.alloc(9, 7)),
    encodeHello({ versionMin: 9, versionMax: 9, features: 0n, cluster: '', client: '' }),
    encodeHello({ versionMin: 1, versionMax: 1, features: 0n, cluster: 'f'.repeat(32), client: '' }),
    new Uint8Array(5 * 1024 * 1024),
    putFrame([{ key: '', value: 'x' }]),
    putFrame([{ key: 'k'.repeat(5000), value: 'x' }]),
    putFrame([{ key: 'k', value: Buffer.alloc(1024 * 1024 + 1) }]),
  ];
  for (const frame of frames) service.handle(frame, from);
  assert.equal(codeOf(asker.ask(1, putFrame([{ key: 'a', value: '1' }]))), 'written');
  const bad = 'ERAFT_BAD_REQUEST';
  assert.deepEqual(replies, [
    ...[bad, bad, bad, bad, bad, bad, bad, bad, bad],
    ...[
      'ERAFT_VERSION',
      'ERAFT_WRONG_CLUSTER',
      'ERAFT_FRAME_TOO_LARGE',
      'ERAFT_KEY_EMPTY',
      'ERAFT_KEY_TOO_LARGE',
      'ERAFT_VALUE_TOO_LARGE',
    ],
  ]);
});

test('a scan is forwarded, and goes on over the view that the leader has pinned', async () => {
  await using sim = await Simulation.start({ seed: 209 });
  const leader = sim.untilLeader();
  const follower = sim.ids.find((id) => id !== leader) ?? 0;
  const asker = new Asker(sim);
  asker.ask(leader, putFrame(['a', 'b', 'c'].map((key) => ({ key, value: key }))));
  const none = new Uint8Array(0);
  const ask = {
    linearizable: true,
    minRevision: 0,
    first: none,
    end: none,
    reverse: false,
    keysOnly: false,
    pageBytes: 0,
  };
  const first = asker.ask(follower, Buffer.from(encodeScanRequest({ ...ask, limit: 1, pageBytes: 1000, snapshot: 1 })));
  assert.deepEqual(first, { kind: 'other', frame: FRAME.page });
  const lost = asker.ask(
    follower,
    Buffer.from(encodeScanRequest({ ...ask, limit: 1, pageBytes: 1000, snapshot: 12345 })),
  );
  assert.equal(codeOf(lost), 'ERAFT_SNAPSHOT_LOST');
});

test('the status of the cluster names every replica; those that do not answer are marked', async () => {
  await using sim = await Simulation.start({ seed: 210 });
  const leader = sim.untilLeader();
  const down = sim.ids.find((id) => id !== leader) ?? 0;
  sim.run(1_000);
  await sim.crash(down);
  let roles: string[] = [];
  void sim
    .node(leader)
    .service.clusterStatus(500)
    .then(({ replicas }) => {
      roles = replicas.map((r) => r.role);
    });
  for (let i = 0; i < 100 && roles.length === 0; i++) {
    sim.run(10);
    await Promise.resolve();
    await new Promise((done) => setImmediate(done));
  }
  const expected = sim.ids.map((id) => (id === leader ? 'leader' : id === down ? 'unreachable' : 'follower'));
  assert.deepEqual(roles, expected);
});
