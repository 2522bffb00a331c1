// What a run must be able to bring about: each of these was once asked for and silently did not happen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawOptions, override } from './options.js';
import { runSeed } from './run-seed.js';
import { Simulation } from './simulation.js';

/** Runs a seed with these options and returns its log. */
async function logOf(seed: number, ...settings: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const result = await runSeed(override(drawOptions(seed), settings), { write: (line) => lines.push(line) });
  assert.equal(result.finding, null, `${result.finding}\n${result.details}\n${result.replay}`);
  return lines.join('\n');
}

test('more clients than sessions: some expire, and their clients are told', async () => {
  const log = await logOf(9, 'sessionsMax=3', 'clients=5', 'faults=crash,cut,client-reset', 'faultEveryMs=200');
  assert.ok(/ERAFT_SESSION_EXPIRED/.test(log));
});

test('a log that rots is repaired by the others, and an emptied disk takes no part any more', async () => {
  const settings = ['replicas=5', 'faults=bit-rot,emptied-disk', 'faultEveryMs=300', 'safetyMs=12000'];
  const log = await logOf(2, ...settings);
  assert.ok(/fault bit-rot.*the log is whole again/s.test(log));
  assert.ok(/fault emptied-disk.*takes no part/s.test(log));
});

test('what a rotten log is given back counts: everybody is sound again, and holds the same', async () => {
  const settings = ['replicas=3', 'faults=bit-rot', 'faultEveryMs=300', 'safetyMs=12000', 'healAll=true'];
  const simulation = new Simulation(override(drawOptions(2), settings));
  const { finding, faults } = await simulation.run();
  assert.equal(finding, null);
  assert.equal(simulation.atlas.sound.length, 3);
  assert.ok(faults > 1, 'one replica after the other');
});

test('a store that refuses writes, or a flush, ends its replica, which comes back', async () => {
  const settings = ['replicas=3', 'faults=store-write,store-flush', 'flushLogBytes=4096', 'faultEveryMs=300'];
  const log = await logOf(5, ...settings);
  assert.ok(/the store of group 1 cannot be written/.test(log));
  assert.ok(/the store cannot be flushed/.test(log));
});

test('a full disk is felt by a replica, and passes', async () => {
  const settings = ['replicas=1', 'faults=full-disk', 'faultEveryMs=500', 'safetyMs=9000', 'valueBytes=2000'];
  const more = ['segmentBytes=262144', 'thinkMs=5', 'reads=0.2', 'clients=3', 'lanes=2', 'maxLogBytes=-1'];
  const simulation = new Simulation(override(drawOptions(6), [...settings, ...more]));
  const { watch } = simulation;
  const check = watch.check.bind(watch);
  let full = 0;
  watch.check = () => {
    if (simulation.replicas[0]?.host?.progress.diskFull === true) full++;
    check();
  };
  const { finding } = await simulation.run();
  assert.equal(finding, null);
  assert.ok(full > 0);
});
