// Fates are read from the log, and no history is called legal that is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory } from './linearizability/index.js';
import { drawOptions, override } from './options.js';
import { Simulation } from './simulation.js';

const SETTINGS = [
  'replicas=3',
  'clients=5',
  'lanes=3',
  'timeoutMs=1000',
  'reads=0.2',
  'safetyMs=9000',
  'faultEveryMs=300',
];
const SEED = 4;
const FAULTS = 'faults=isolate,crash,hung-disk';

test('writes without an answer have the revision that the log gave them, or none', async () => {
  const { finding, history, settled } = await new Simulation(override(drawOptions(SEED), [...SETTINGS, FAULTS])).run();
  assert.equal(finding, null);
  const doubtful = history.flatMap((op, i) => (op.outcome === 'unknown' && op.input.op === 'append' ? [i] : []));
  const outcomes = doubtful.map((i) => settled[i]?.outcome);
  const applied = outcomes.filter((outcome) => typeof outcome === 'object');
  assert.ok(applied.length > 0);
  assert.ok(applied.every((outcome) => typeof outcome === 'object' && (outcome.revision ?? 0) > 0));
  assert.ok(outcomes.every((outcome) => typeof outcome === 'object' || outcome === 'not-applied'));
  assert.equal(checkHistory(settled).ok, true);
  assert.deepEqual(
    settled.filter((_, i) => history[i]?.outcome !== 'unknown'),
    history.filter((op) => op.outcome !== 'unknown'),
  );
});

test('an answer that no order explains is refused with fates as without them', async () => {
  const { history, settled } = await new Simulation(override(drawOptions(SEED), [...SETTINGS, FAULTS])).run();
  const last = history.findLastIndex((op) => op.input.op === 'get' && typeof op.outcome === 'object');
  for (const ops of [history, settled]) {
    const lying = ops.map((op, i) => {
      if (i !== last || op.input.op !== 'get') return op;
      return { ...op, outcome: { entries: op.input.keys.map(() => ({ value: 'never', revision: 1 })) } };
    });
    assert.equal(checkHistory(lying).ok, false);
  }
});
