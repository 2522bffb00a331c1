// What is generated and committed equals what its source generates now. (native/index.*: compared by npm test itself.)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ROOT } from './sources.js';

test('ts/proto/generated and native/core/src/generated are what proto/*.fbs generate', () => {
  const run = spawnSync(process.execPath, ['scripts/proto.mjs', '--check'], { cwd: ROOT, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
});
