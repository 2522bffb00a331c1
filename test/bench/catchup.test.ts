// The catch-up bench from beginning to end, on little data: its figures must be of a replica that came back.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CatchUpFigures } from '../../bench/catchup/catchup.js';
import { main } from '../../bench/catchup/main.js';

test('a replica that lacks megabytes comes back by the log, and is started once more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eraft-catchup-'));
  const file = join(folder, 'figures.json');
  try {
    const amounts = ['--only', 'log', '--megabytes', '4', '--rate', '200', '--seconds', '1'];
    assert.equal(await main([...amounts, '--json', file]), 0);
    const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: CatchUpFigures[] };
    const [row] = rows;
    assert.equal(rows.length, 1);
    assert.deepEqual([row?.way, row?.megabytes, row?.errors], ['log', 4, 0]);
    assert.ok((row?.seconds ?? 0) > 0 && (row?.p99BeforeMs ?? 0) > 0 && (row?.p99DuringMs ?? 0) > 0);
    assert.ok((row?.restartSeconds ?? 0) > 0 && (row?.restartLogBytes ?? 0) >= 4 * 1024 * 1024);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a way that there is not is a usage error', async () => {
  assert.equal(await main(['--only', 'hearsay']), 2);
});
