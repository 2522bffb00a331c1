// Same seed, same run: in this process again, and in others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJobs } from './jobs.js';
import { drawOptions } from './options.js';
import { type Result, runSeed } from './run-seed.js';

const SEEDS = [3, 7, 12, 19, 31, 44];

/** All that two runs of a seed must have in common. */
const facts = ({ seed, finding, events, operations, elections, faults, hash }: Result): unknown[] => [
  seed,
  finding,
  events,
  operations,
  elections,
  faults,
  hash,
];

test('a seed gives the same trace each time, in one process and in two; another seed gives another', async () => {
  const here: unknown[][] = [];
  for (const seed of SEEDS) {
    here.push(facts(await runSeed(drawOptions(seed))));
    assert.deepEqual(facts(await runSeed(drawOptions(seed))), here.at(-1), `seed ${seed}, run again`);
  }
  const there = new Map<number, unknown[]>();
  const rest = [...SEEDS];
  const onResult = (result: Result): void => void there.set(result.seed, facts(result));
  await runJobs({ jobs: 2, settings: [], next: () => rest.shift() ?? null, onResult });
  assert.deepEqual(
    SEEDS.map((seed) => there.get(seed)),
    here,
  );
  assert.equal(new Set(here.map((each) => each.at(-1))).size, SEEDS.length);
});

test('a readable log changes nothing about a run', async () => {
  const lines: string[] = [];
  const plain = await runSeed(drawOptions(5));
  const told = await runSeed(drawOptions(5), { write: (line) => lines.push(line) });
  assert.deepEqual(facts(told), facts(plain));
  assert.ok(lines.length > 1_000);
});
