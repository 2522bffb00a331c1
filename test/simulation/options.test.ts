import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeOptions, drawOptions, override, settingsOf } from './options.js';
import { replayOf } from './run-seed.js';

test('a seed decides all options; each can be given instead, and the replay says which were', () => {
  const drawn = drawOptions(17);
  assert.deepEqual(drawOptions(17), drawn);
  const changed = override(drawn, ['replicas=2', 'faults=crash,pause', 'healAll=false', 'loss=0.5']);
  assert.deepEqual(
    [changed.replicas, changed.faults, changed.healAll, changed.loss],
    [2, ['crash', 'pause'], false, 0.5],
  );
  assert.equal(changed.keys, drawn.keys);
  assert.deepEqual(override(drawn, settingsOf(changed)), changed);
  assert.match(replayOf(changed), /^npm run test:simulate -- --seed 17 .*--set 'faults=crash,pause'/);
  assert.equal(replayOf(drawn), 'npm run test:simulate -- --seed 17');
  assert.match(describeOptions(changed), /seed=17 replicas=2 faults=crash,pause/);
});

test('what is no option, or no value for it, is refused', () => {
  for (const wrong of ['replica=3', 'replicas=three', 'replicas=', 'faults=fire'])
    assert.throws(() => override(drawOptions(1), [wrong]), Error, wrong);
});

test('seeds differ in everything, and every kind of fault is drawn', () => {
  const drawn = Array.from({ length: 200 }, (_, i) => drawOptions(i));
  for (const name of ['replicas', 'clients', 'segmentBytes', 'loss', 'electionTimeoutMs', 'maxLogBytes'] as const)
    assert.ok(new Set(drawn.map((o) => o[name])).size >= 3, name);
  const counts = new Map<string, number>();
  for (const { faults } of drawn) for (const fault of faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  for (const [fault, count] of counts) assert.ok(count > 20 && count < 180, `${fault}: ${count} of 200`);
});
