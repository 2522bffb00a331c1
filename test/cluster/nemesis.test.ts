// Replicas killed and stopped by chance while several clients do all that clients do: what they saw must be linearizable.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Chance } from '../simulation/chance.js';
import { checkHistory, explain, HistoryRecorder } from '../simulation/linearizability/index.js';
import { Workload } from '../simulation/workload.js';
import { ProcessCluster } from './processes.js';
import { RecordedCallers } from './recorded-callers.js';

const ROUNDS = process.env.ERAFT_SOAK === '1' ? 200 : 6;
const SEED = Number(process.env.ERAFT_SEED ?? Math.floor(Math.random() * 2 ** 31));
const REPLAY = `ERAFT_SEED=${SEED} node --enable-source-maps --test build/test/cluster/nemesis.test.js`;

test(`${ROUNDS} times a replica is killed or stopped: every history is linearizable; ERAFT_SEED=${SEED}`, async () => {
  const cluster = await ProcessCluster.start({ flags: ['--segment-bytes', '9MiB'] });
  const lines: string[] = [];
  try {
    await cluster.leader();
    const chance = new Chance(SEED, 'nemesis');
    const history = new HistoryRecorder((line) => void lines.push(line));
    const workload = new Workload({ keys: 3, reads: 0.4, valueBytes: 32 }, new Chance(SEED, 'workload'));
    const clients = await Promise.all([cluster.client(), cluster.client(), cluster.client()]);
    const callers = new RecordedCallers(clients, workload, history);
    for (let round = 0; round < ROUNDS; round++) {
      const id = chance.pick(cluster.ids);
      const stop = chance.chance(0.5);
      const calls = callers.run(40);
      await callers.ended(60);
      if (stop) cluster.signal(id, 'SIGSTOP');
      else await cluster.kill(id);
      await calls;
      const more = callers.run(20);
      if (stop) cluster.signal(id, 'SIGCONT');
      else await cluster.start(id);
      await more;
    }
    await callers.readAll();
    const verdict = checkHistory(history.operations());
    assert.ok(verdict.ok, explain(verdict));
  } catch (error) {
    const file = join(tmpdir(), `eraft-nemesis-${SEED}.ndjson`);
    writeFileSync(file, lines.join(''));
    process.stderr.write(`the history is in ${file}; the same choices again: ${REPLAY}\n`);
    for (const id of cluster.ids) process.stderr.write(`--- replica ${id}\n${cluster.log(id).slice(-4_000)}\n`);
    throw error;
  } finally {
    await cluster.stop();
  }
});
