import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Client, EraftError } from '../../ts/client.js';
import { ProcessCluster } from './processes.js';

async function withCluster(
  options: Parameters<typeof ProcessCluster.start>[0],
  body: (cluster: ProcessCluster) => Promise<void>,
): Promise<void> {
  const cluster = await ProcessCluster.start(options);
  try {
    await body(cluster);
  } catch (error) {
    for (const id of cluster.ids) process.stderr.write(`--- replica ${id}\n${cluster.log(id).slice(-4_000)}\n`);
    throw error;
  } finally {
    await cluster.stop();
  }
}

/** Writes until the cluster refuses, and returns the refusal. What was under way when the disks filled up may be in doubt. */
async function fill(client: Client): Promise<EraftError> {
  const value = new Uint8Array(256 * 1024);
  for (let round = 0; ; round++) {
    const writes = Array.from({ length: 16 }, (_, i) => client.put(`fill-${round}-${i}`, value, { timeoutMs: 3_000 }));
    for (const result of await Promise.allSettled(writes)) {
      if (result.status === 'fulfilled') continue;
      assert.ok(EraftError.is(result.reason), String(result.reason));
      if (result.reason.code !== 'ERAFT_TIMEOUT') return result.reason;
    }
  }
}

test('full disks: writes are refused with a clear error, reads go on, and writes too when space returns', async () => {
  await withCluster({ faultyDisks: true, flags: ['--segment-bytes', '9MiB'] }, async (cluster) => {
    await cluster.leader();
    const client = await cluster.client();
    await client.put('before', 'here');
    for (const id of cluster.ids) cluster.disk(id, 'full', true);
    const refusal = await fill(client);
    assert.equal(refusal.code, 'ERAFT_DISK_FULL');
    assert.equal(refusal.outcome, 'not-applied');
    assert.equal(refusal.retryable, true);
    assert.equal(await client.as('utf8', 'utf8').get('before'), 'here');
    for (const id of cluster.ids) cluster.disk(id, 'full', false);
    for (;;) {
      try {
        await client.put('after', 'again', { timeoutMs: 3_000 });
        break;
      } catch (error) {
        assert.ok(EraftError.is(error) && error.code === 'ERAFT_DISK_FULL', String(error));
      }
    }
    assert.equal(await client.as('utf8', 'utf8').get('after'), 'again');
  });
});

test('a replica with an emptied disk takes no part under its old name, and the others go on', async () => {
  await withCluster({}, async (cluster) => {
    const leader = await cluster.leader();
    const client = await cluster.client();
    await client.put('a', '1');
    const [emptied, other] = cluster.ids.filter((id) => id !== leader) as [number, number];
    await cluster.membershipKnown();
    await cluster.kill(emptied);
    rmSync(cluster.dataDir(emptied), { recursive: true });
    await cluster.start(emptied);
    await cluster.logged(emptied, 'ERAFT_REPLICA_UNKNOWN');
    // Were its vote or acknowledgement counted, the leader and it would be a majority.
    await cluster.kill(other);
    await assert.rejects(client.put('b', '2', { timeoutMs: 3_000 }), (error) => EraftError.is(error));
    await cluster.start(other);
    await client.put('c', '3', { timeoutMs: 30_000 });
  });
});

test('damage in what was acknowledged: the replica says where, is given everything back, and votes again', async () => {
  await withCluster({}, async (cluster) => {
    const leader = await cluster.leader();
    const client = await cluster.client();
    for (let i = 0; i < 50; i++) await client.put(`k${i}`, 'v'.repeat(100));
    const [damaged = 1, third = 1] = cluster.ids.filter((id) => id !== leader);
    await cluster.kill(damaged);
    const log = join(cluster.dataDir(damaged), 'log');
    const names = readdirSync(log).sort();
    const segment = join(log, names.find((name) => readFileSync(join(log, name)).includes('k25')) ?? '');
    assert.ok(existsSync(segment), 'a segment with the entries');
    const bytes = readFileSync(segment);
    const at = bytes.indexOf('k25');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    await cluster.start(damaged);
    await cluster.logged(damaged, 'the log is whole again');
    assert.match(cluster.log(damaged), /damaged/);
    const aside = readdirSync(log).filter((name) => name.endsWith('.damaged'));
    assert.deepEqual(
      aside.map((name) => readFileSync(join(log, name)).equals(bytes)),
      [true],
      'what was damaged is kept as it was',
    );
    await cluster.kill(third);
    await client.put('it counts again', 'yes', { timeoutMs: 20_000 });
  });
});

test('a replica away for longer than the log is kept is sent a snapshot, and has everything again', async () => {
  const flags = [
    '--segment-bytes',
    '9MiB',
    '--max-log-bytes',
    '36MiB',
    '--trailing-log-bytes',
    '1MiB',
    '--flush-log-bytes',
    '4MiB',
  ];
  await withCluster({ flags }, async (cluster) => {
    const leader = await cluster.leader();
    const client = await cluster.client();
    const away = cluster.ids.find((id) => id !== leader) ?? 1;
    await cluster.kill(away);
    const value = new Uint8Array(512 * 1024);
    for (;;) {
      for (let i = 0; i < 16; i++) await client.put(`k${i}`, value);
      const { replicas } = await client.status();
      const first = Number(replicas.find((replica) => replica.id === leader)?.firstIndex);
      if (first > 1) break; // the log has been cut although one replica lacks it
    }
    await cluster.start(away);
    await client.put('behind', 'it');
    for (;;) {
      const { replicas } = await client.status();
      const [its, leads] = [away, leader].map((id) => replicas.find((replica) => replica.id === id));
      if (Number(its?.firstIndex) > 1 && its?.appliedIndex === leads?.commitIndex) break;
    }
    await client.put('the others go on', 'yes');
  });
});
