// Data folders that cannot be used: exit 3, and a message that says what, why, what to do and what was touched.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EXIT } from '../../ts/cli/exit.js';
import { eraft } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'eraft-folder-'));
after(() => rmSync(folder, { recursive: true, force: true }));

for (const [what, path] of [
  ['a place where nobody may create a folder', '/proc/eraft'],
  ['a file', join(folder, 'file')],
] as const) {
  test(`${what} as a data folder`, async () => {
    if (path.startsWith(folder)) writeFileSync(path, '');
    const ran = await eraft(['serve', '--data-dir', path, '--listen', '127.0.0.1:0', '--log-level', 'silent']);
    assert.equal(ran.code, EXIT.environment);
    assert.match(ran.stderr, /^eraft: cannot use .+\n {2}why: {2}.+\n {2}do: {3}.+\n {2}code: ERAFT_IO; .+\n$/);
  });
}
