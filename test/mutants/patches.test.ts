// The mutants fit the sources that they are to break: whoever changes those lines sees it here, and renews the patch.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { listFiles, ROOT, readText } from '../checks/sources.js';

const patches = listFiles('test/mutants', ['.patch']);

test('there are mutants of the protocol', () => {
  assert.ok(patches.length >= 30, `${patches.length} mutants`);
});

for (const patch of patches) {
  test(`${patch} says what it breaks, and applies`, () => {
    const text = readText(patch);
    assert.match(text, /^Bug: \S.*\.\nSource: \S.*\n(With: \S+=\S+( \S+=\S+)*\n)?\n/);
    const touched = [...text.matchAll(/^\+\+\+ b\/(.+)$/gm)].map(([, path]) => path ?? '');
    assert.ok(touched.length > 0 && touched.every((path) => /^(ts|native)\//.test(path)), touched.join());
    execFileSync('git', ['apply', '--check', join(ROOT, patch)], { cwd: ROOT, stdio: 'pipe' });
  });
}
