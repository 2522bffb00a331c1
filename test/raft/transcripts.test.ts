// Each transcript is a story of what replicas say to each other. ERAFT_REWRITE=1 writes down what they say now: read the
// difference before you commit it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { run } from './transcript.js';

const FOLDER = new URL('../../../test/raft/transcripts/', import.meta.url);
const rewrite = process.env.ERAFT_REWRITE === '1';

for (const name of readdirSync(FOLDER).sort()) {
  test(`transcript ${name}`, () => {
    const file = new URL(name, FOLDER);
    const expected = readFileSync(file, 'utf8');
    const told = run(expected);
    if (rewrite) writeFileSync(file, told);
    else assert.equal(told, expected);
  });
}
