// docs/protocol.md states numbers: they are those of the code.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KiB, LIMITS, MiB } from '../../ts/base/limits.js';
import { LINKED_DEFAULTS } from '../../ts/client/linked-key-value.js';
import { INFLIGHT_BYTES_MAX } from '../../ts/client/write-pipeline.js';
import { COMMAND } from '../../ts/proto/command-batch.js';
import { FRAME } from '../../ts/proto/frame.js';

const TEXT = readFileSync('docs/protocol.md', 'utf8');

/** The cells of the table row that begins with `first`. */
function row(first: string): string[] {
  const line = TEXT.split('\n').find((text) => text.startsWith(`| ${first} |`));
  assert.ok(line, `no row '${first}' in docs/protocol.md`);
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

test('every kind of frame is in the table', () => {
  const named = [
    ...TEXT.matchAll(
      /\| (\d+) \| (?:hello|write|read|scan|status|close view|welcome|written|values|page|view closed|leader \(unasked\)|error) /g,
    ),
  ];
  const kinds = named.map((match) => Number(match[1]));
  assert.deepEqual(new Set(kinds), new Set(Object.values(FRAME)));
});

test('every kind of command is in the table', () => {
  for (const name of ['put', 'append', 'delete', 'increment', 'deleteRange', 'transact', 'register'] as const) {
    assert.ok(TEXT.includes(`\n| ${COMMAND[name]} | ${name} |`), name);
  }
  assert.match(TEXT, new RegExp(`\\| ${COMMAND.revisionIs} … ${COMMAND.absent} \\| condition`));
});

test('the limits are those in force', () => {
  const limits: Record<string, string> = {
    'frame, either way': `${LIMITS.clientFrameBytesMax / MiB} MiB`,
    key: `${count(LIMITS.keyBytesMax)} bytes, at least 1`,
    value: `${LIMITS.valueBytesMax / MiB} MiB`,
    'headers of a CommandBatch': count(LIMITS.batchCommandsMax),
    'deleteRange commands of a CommandBatch': count(LIMITS.batchRangesMax),
    'bytes of a CommandBatch': `${LIMITS.batchBytesMax / MiB} MiB`,
    'keys of a ReadBatch': count(LIMITS.readKeysMax),
    'entries, bytes of a page': `${count(LIMITS.scanPageEntriesMax)}, ${LIMITS.scanPageBytesMax / MiB} MiB`,
    'keys of one deleteRange': count(LIMITS.deleteRangeKeysMax),
    'unanswered batches of a session': count(LIMITS.sessionWindow),
    'unanswered write bytes, and read bytes, of a `Client`': `${INFLIGHT_BYTES_MAX / MiB} MiB`,
    'calls that gather in a `Client`': `${count(LINKED_DEFAULTS.queueCommandsMax)}, ${LINKED_DEFAULTS.queueBytesMax / MiB} MiB`,
    'stored results of one batch': `${LIMITS.sessionResultBytesMax / KiB} KiB`,
  };
  for (const [what, most] of Object.entries(limits)) assert.equal(row(what)[1], most, what);
  assert.match(TEXT, new RegExp(`least recently used of ${count(LIMITS.sessionsMax)}`));
});
