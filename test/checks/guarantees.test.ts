// docs/guarantees.md names the test that shows each promise: it exists, under that name.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, readText } from './sources.js';

interface Shown {
  readonly file: string;
  /** Words of a test's name; '' for a transcript, which is one test. */
  readonly name: string;
}

/** The rows of all tables: what is promised, and what shows it. */
function rows(): { readonly promise: string; readonly shown: readonly Shown[] }[] {
  const lines = readText('docs/guarantees.md').split('\n');
  const cells = lines.filter((line) => /^\| (?!Promise|Fault)/.test(line)).map((line) => line.split('|').slice(1, -1));
  return cells.map((row) => ({
    promise: row[0]?.trim() ?? '',
    shown: (row.at(-1) ?? '').split(';').map((text) => {
      const match = /^ ?`(?<file>[^`]+)`(?: \*(?<name>[^*]+)\*)? ?$/.exec(text);
      assert.ok(match?.groups, `not a file and a name: ${text}`);
      return { file: match.groups.file ?? '', name: match.groups.name ?? '' };
    }),
  }));
}

test('every promise is shown by tests that exist', () => {
  const table = rows();
  assert.ok(table.length > 30, `${table.length} rows`);
  for (const { promise, shown } of table) {
    assert.ok(promise.length > 10 && shown.length > 0);
    for (const { file, name } of shown) {
      assert.ok(existsSync(join(ROOT, file)), `${file} is gone`);
      if (name === '') assert.match(file, /^test\/raft\/transcripts\//, `${file} without a name`);
      else if (file.endsWith('.rs')) assert.ok(readText(file).includes(`fn ${name}(`), `${file} has no ${name}`);
      else assert.ok(file.endsWith('.test.ts') && readText(file).includes(name), `${file} has no: ${name}`);
    }
  }
});
