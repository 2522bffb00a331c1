// What a turn does first, and what it leaves for a later one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putFrame } from '../kv/frames.js';
import { Asker, Simulation } from '../kv/simulation.js';

const KiB = 1024;

test('records go to the peers before the thread that writes them is woken', async () => {
  await using sim = new Simulation({ seed: 411 });
  const order: string[] = [];
  const endpoint = sim.hub.endpoint.bind(sim.hub);
  sim.hub.endpoint = (id) => {
    const network = endpoint(id);
    const flush = network.flush.bind(network);
    network.flush = () => {
      order.push(`${id} flush`);
      flush();
    };
    return network;
  };
  for (const id of sim.ids) {
    await sim.start(id);
    const log = sim.process(id).storage?.log;
    assert.ok(log);
    const submit = log.submit.bind(log);
    const write = log.write.bind(log);
    log.submit = (...records) => {
      order.push(`${id} submit`);
      return submit(...records);
    };
    log.write = () => {
      order.push(`${id} write`);
      write();
    };
  }
  const leader = sim.untilLeader();
  sim.run(1_000);
  order.length = 0;
  new Asker(sim).send(leader, putFrame([{ key: 'a', value: '1' }]));
  sim.until(() => order.includes(`${leader} write`), 'a write');
  const ours = order.filter((what) => what.startsWith(`${leader} `));
  const submitted = ours.indexOf(`${leader} submit`);
  assert.deepEqual(ours.slice(submitted, submitted + 3), [`${leader} submit`, `${leader} flush`, `${leader} write`]);
});

/** A leader whose disk stands still with one record under way, and the puts that came since, each in a turn of its own. */
async function gathering(seed: number, puts: number, value: string) {
  const sim = await Simulation.start({ seed });
  const leader = sim.untilLeader();
  sim.run(1_000);
  for (const other of sim.ids) if (other !== leader) sim.hub.cut(other, leader);
  sim.process(leader).stalled = true;
  const asker = new Asker(sim);
  const log = () => sim.node(leader).service.status();
  const first = log().lastIndex + 1;
  asker.send(leader, putFrame([{ key: 'first', value: '1' }]));
  sim.until(() => log().lastIndex === first, 'the first record');
  for (let i = 0; i < puts; i++) {
    asker.send(leader, putFrame([{ key: 'later', value }]));
    sim.run(1);
  }
  return { sim, leader, asker, log, first };
}

test('commands gather while the record before them is on its way to the disk, and go together when it is there', async () => {
  const { sim, leader, asker, log, first } = await gathering(412, 5, 'v');
  await using _ = sim;
  assert.equal(log().lastIndex, first);
  sim.process(leader).stalled = false;
  sim.until(() => log().lastIndex > first, 'the next record');
  assert.equal(log().lastIndex, first + 1);
  sim.hub.partition();
  sim.until(() => asker.answers.size === 6, 'the answers');
});

test('commands gather no longer than a majority needs, however slow our disk is', async () => {
  const { sim, log, first } = await gathering(413, 5, 'v');
  await using _ = sim;
  assert.equal(log().commitIndex, first - 1);
  sim.hub.partition();
  sim.until(() => log().lastIndex > first, 'the next record', 300);
  assert.deepEqual([log().lastIndex, log().commitIndex], [first + 1, first]);
});

test('commands that fill a record wait for nothing', async () => {
  const { sim, log, first } = await gathering(414, 5, 'v'.repeat(25 * KiB));
  await using _ = sim;
  assert.equal(log().lastIndex, first + 1);
});
