// Whole clusters in virtual time, each as a seed decides: see simulation.ts.
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { runJobs } from './jobs.js';
import type { Result } from './run-seed.js';
import { Summary } from './summary.js';

const SEEDS = 200;
const FAILURES_MAX = 5;

test(`${SEEDS} clusters keep what Raft and eraft promise, and recover`, async (t) => {
  const summary = new Summary();
  const failures: Result[] = [];
  let seed = 1;
  await runJobs({
    jobs: availableParallelism(),
    settings: [],
    next: () => (seed <= SEEDS && failures.length < FAILURES_MAX ? seed++ : null),
    onResult: (result) => {
      summary.add(result);
      if (result.finding !== null) failures.push(result);
    },
  });
  t.diagnostic(summary.line);
  const told = failures.map((f) => `seed ${f.seed}: ${f.finding}\n${f.options}\n${f.details}\nreplay: ${f.replay}`);
  assert.equal(failures.length, 0, told.join('\n\n'));
  assert.equal(summary.seeds, SEEDS);
  assert.ok(summary.idle === '', summary.idle);
});
