// What a turn does first, and what it leaves for a later one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putFrame } from '../kv/frames.js';
import { Asker, Simulation } from '../kv/simulation.js';

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
