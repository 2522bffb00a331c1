import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessCluster } from './processes.js';
import { Workload } from './workload.js';

const KILLS = process.env.ERAFT_SOAK === '1' ? 100 : 10;

/** A cluster under load from two clients, torn down whatever happens. */
async function underLoad(
  options: Parameters<typeof ProcessCluster.start>[0],
  body: (cluster: ProcessCluster, load: Workload) => Promise<void>,
): Promise<void> {
  const cluster = await ProcessCluster.start(options);
  try {
    await cluster.leader();
    const load = new Workload([await cluster.client(), await cluster.client()]);
    load.start(16);
    await load.progress(100);
    await body(cluster, load);
    await load.stop();
    await load.verify(await cluster.client());
  } catch (error) {
    for (const id of cluster.ids) process.stderr.write(`--- replica ${id}\n${cluster.log(id).slice(-4_000)}\n`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

test(`replicas killed in turn, ${KILLS} times, under load: nothing lost, nothing twice`, async () => {
  await underLoad({ flags: ['--segment-bytes', '9MiB'] }, async (cluster, load) => {
    for (let i = 0; i < KILLS; i++) {
      const id = cluster.ids[i % cluster.ids.length] ?? 1;
      await cluster.kill(id);
      await load.progress(50);
      await cluster.start(id);
      await load.progress(50);
    }
  });
});

test('the leader killed: another one takes over, and the load goes on', async () => {
  await underLoad({}, async (cluster, load) => {
    const leader = await cluster.leader();
    await cluster.kill(leader);
    await load.progress(100);
    assert.notEqual(await cluster.leader(leader), leader);
    await cluster.start(leader);
    await load.progress(100);
  });
});

test('all killed at once: everything acknowledged is there again', async () => {
  await underLoad({}, async (cluster, load) => {
    await Promise.all(cluster.ids.map((id) => cluster.kill(id)));
    await Promise.all(cluster.ids.map((id) => cluster.start(id)));
    await load.progress(100);
  });
});

test('the leader stopped for longer than an election, and deaf when it wakes: it answers nothing stale', async () => {
  await underLoad({ cuttable: true }, async (cluster, load) => {
    const leader = await cluster.leader();
    const client = await cluster.client(cluster.endpoints.filter((_, i) => cluster.ids[i] !== leader));
    cluster.signal(leader, 'SIGSTOP');
    cluster.isolate(leader);
    assert.notEqual(await cluster.leader(leader), leader);
    await load.progress(100);
    await client.put('after-the-pause', 'new');
    // It finds these when it wakes, takes itself for the leader, and nobody tells it better.
    const url = `http://${cluster.endpoints[leader - 1]}/v1/kv/after-the-pause`;
    const reads = Array.from({ length: 8 }, () => fetch(url));
    cluster.signal(leader, 'SIGCONT');
    for (const answer of await Promise.all(reads)) {
      assert.ok(answer.status === 503 || answer.status === 504, `${answer.status} ${await answer.text()}`);
    }
    cluster.heal();
    await load.progress(100);
  });
});

test('the leader cut off with a minority: it steps down, the majority serves, and it follows when the links are back', async () => {
  await underLoad({ cuttable: true }, async (cluster, load) => {
    const leader = await cluster.leader();
    cluster.isolate(leader);
    assert.notEqual(await cluster.leader(leader), leader);
    await load.progress(100);
    const alone = await cluster.client([cluster.endpoints[leader - 1] ?? '']);
    await assert.rejects(alone.put('from-the-minority', 'x', { timeoutMs: 2_000 }));
    cluster.heal();
    await alone.put('from-the-minority', 'x', { timeoutMs: 30_000 });
    await load.progress(100);
  });
});

test('the disk of the leader stalls: it steps down and the cluster goes on', async () => {
  await underLoad({ faultyDisks: true }, async (cluster, load) => {
    const leader = await cluster.leader();
    cluster.disk(leader, 'stall', true);
    assert.notEqual(await cluster.leader(leader), leader);
    await load.progress(100);
    cluster.disk(leader, 'stall', false);
    await load.progress(100);
  });
});

test('a sync of the leader fails: its process says so and ends, and what it acknowledged is there when it returns', async () => {
  await underLoad({ faultyDisks: true }, async (cluster, load) => {
    const leader = await cluster.leader();
    cluster.disk(leader, 'fail', true);
    assert.equal(await cluster.ended(leader), 1);
    assert.match(cluster.log(leader), /ERAFT_FAILED/);
    await load.progress(100);
    cluster.disk(leader, 'fail', false);
    await cluster.start(leader);
    await load.progress(100);
  });
});
