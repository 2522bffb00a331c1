// Fates are read from the log, and no history is called legal that is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory, type History } from './linearizability/index.js';
import { drawOptions, override } from './options.js';
import { type Outcome, Simulation } from './simulation.js';

const SETTINGS = [
  'replicas=3',
  'clients=5',
  'lanes=3',
  'timeoutMs=1000',
  'reads=0.2',
  'safetyMs=9000',
  'faultEveryMs=300',
  'faults=isolate,crash,hung-disk',
];

function doubtfulIn(history: History): number[] {
  return history.flatMap((op, i) => (op.outcome === 'unknown' && op.input.op === 'append' ? [i] : []));
}

/** The first run in which some appends have no answer. */
async function run(): Promise<Outcome> {
  for (let seed = 1; seed <= 20; seed++) {
    const outcome = await new Simulation(override(drawOptions(seed), SETTINGS)).run();
    assert.equal(outcome.finding, null, `seed ${seed} ${SETTINGS.join(' ')}`);
    if (doubtfulIn(outcome.history).length > 0) return outcome;
  }
  throw new Error('in no run was an append left without an answer');
}

test('writes without an answer have the revision that the log gave them, or none', async () => {
  const { history, settled } = await run();
  for (const i of doubtfulIn(history)) {
    const { outcome = 'unknown' } = settled[i] ?? {};
    assert.ok(outcome === 'not-applied' || (typeof outcome === 'object' && (outcome.revision ?? 0) > 0));
  }
  assert.equal(checkHistory(settled).ok, true);
  assert.deepEqual(
    settled.filter((_, i) => history[i]?.outcome !== 'unknown'),
    history.filter((op) => op.outcome !== 'unknown'),
  );
});

test('an answer that no order explains is refused with fates as without them', async () => {
  const { history, settled } = await run();
  const last = history.findLastIndex((op) => op.input.op === 'get' && typeof op.outcome === 'object');
  for (const ops of [history, settled]) {
    const lying = ops.map((op, i) => {
      if (i !== last || op.input.op !== 'get') return op;
      return { ...op, outcome: { entries: op.input.keys.map(() => ({ value: 'never', revision: 1 })) } };
    });
    assert.equal(checkHistory(lying).ok, false);
  }
});
