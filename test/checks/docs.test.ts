// Facts that stand in two places stand there alike: errors, limits, options.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../ts/base/errors.js';
import { LIMITS } from '../../ts/base/limits.js';
import { readText } from './sources.js';

/** Rows of the first table of a Markdown file whose first cell is code, without the backticks. */
function tableRows(path: string): string[][] {
  return readText(path)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

test('docs/errors.md lists every error with its facts', () => {
  const documented = tableRows('docs/errors.md').map(([code, wire, retryable, outcome]) => [
    code,
    wire,
    retryable,
    outcome,
  ]);
  const known = Object.entries(ERRORS).map(([code, facts]) => [
    code,
    String(facts.wire),
    facts.retryable ? 'yes' : 'no',
    facts.outcome,
  ]);
  assert.deepEqual(documented, known);
});

test('docs/errors.md says of every error what it means and what to do', () => {
  for (const row of tableRows('docs/errors.md'))
    assert.ok((row[4] ?? '').length > 10 && (row[5] ?? '').length > 5, row[0]);
});

test('no wire number is used twice, and what is unknown is never retryable', () => {
  const facts = Object.values(ERRORS);
  assert.equal(new Set(facts.map((each) => each.wire)).size, facts.length);
  for (const each of facts) assert.ok(!(each.retryable && (each.outcome as string) === 'unknown'));
});

/** `4 * 1024` and `16_384`: products of integers, nothing else. */
function product(text: string): number {
  assert.match(text, /^[\d_]+( \* [\d_]+)*$/);
  return text.split(' * ').reduce((value, factor) => value * Number(factor.replaceAll('_', '')), 1);
}

test('Rust has the limits of ts/base/limits.ts', () => {
  const lines = readText('native/core/src/command/limits.rs').matchAll(/^pub const (\w+): usize = ([^;]+);$/gm);
  const rust = [...lines].map(([, name = '', value = '']) => {
    const camel = name.toLowerCase().replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    return [camel, product(value)] as const;
  });
  assert.deepEqual(Object.fromEntries(rust), LIMITS);
});
