// What a disk must, and may, hold after a crash.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskImage, type Hard, type Head, type Recovered } from './disk-image.js';

const head = (index: number, term: number): Head => ({
  index,
  term,
  kind: 2,
  firstRevision: 0,
  count: 1,
  crc: index * 100 + term,
});
const hard = (term: number, vote: number): Hard => ({ term, vote, commit: 0 });

function found(entries: readonly number[], { term, vote }: Hard): Recovered {
  const termRuns = new Float64Array(entries.flatMap((entryTerm, i) => [i + 1, entryTerm]));
  return { term, vote, commit: 0, lastIndex: entries.length, termRuns, compactedIndex: 0, compactedTerm: 0 };
}

/** Entries 1/1 and 1/2 durable with a vote for 2 in term 1; then 2/2 over the second, and 2/3, with a vote for 3 in term 2. */
function image(): DiskImage {
  const disk = new DiskImage();
  disk.submit({ ticket: 1, hard: hard(1, 2), heads: [head(1, 1), head(2, 1)], batches: [] });
  disk.confirm(1, 1);
  disk.submit({ ticket: 2, hard: hard(2, 3), heads: [head(2, 2), head(3, 2)], batches: [] });
  return disk;
}

test('everything confirmed, or that and some of what was written behind it, in order, is what a disk may hold', () => {
  const legal: [number[], Hard][] = [
    [[1, 1], hard(1, 2)],
    [[1, 1], hard(2, 3)],
    [[1, 2], hard(2, 3)],
    [[1, 2, 2], hard(2, 3)],
  ];
  for (const [entries, vote] of legal) assert.equal(image().restart(found(entries, vote)), '', entries.join());
});

test('a lost entry, a lost vote and a log that never was are told', () => {
  const illegal: [number[], Hard, RegExp][] = [
    [[1], hard(1, 2), /1\/2 was durable, and 1\/1 is its last entry/],
    [[], hard(1, 2), /and 0\/0 is its last entry/],
    [[1, 1], hard(1, 0), /a vote for 2 in term 1 was durable, and there is one for 0 in term 1/],
    [[1, 1], hard(0, 0), /a vote for 2/],
    [[1, 1, 2], hard(2, 3), /entry 2 is of term 1, and 2 was written/],
    [[2, 2, 2], hard(2, 3), /entry 1 is of term 2, and 1 was written/],
  ];
  for (const [entries, vote, what] of illegal)
    assert.match(image().restart(found(entries, vote)), what, entries.join());
});

test('votes may be durable before the records that were submitted with them', () => {
  const disk = image();
  disk.confirm(1, 2);
  assert.deepEqual([disk.durableHard.term, disk.durableHard.vote, disk.durable.length], [2, 3, 2]);
  assert.equal(disk.restart(found([1, 1], hard(2, 3))), '');
  assert.match(image().restart(found([1, 1], hard(3, 1))), /there is one for 1 in term 3/);
});

test('a log that is cut short may end with what was replaced behind the cut', () => {
  const left = found([1, 1], hard(2, 3));
  const disk = image();
  disk.confirm(2, 2);
  assert.equal(disk.beginning(left).restart(left), '');
  assert.notEqual(disk.restart(left), '');
  const never = found([1, 3], hard(2, 3));
  assert.notEqual(disk.beginning(never).restart(never), '');
});

test('what was cut off in front is believed, and what follows is compared', () => {
  const disk = image();
  disk.confirm(2, 2);
  const recovered = { ...found([], hard(2, 3)), lastIndex: 3, compactedIndex: 2, compactedTerm: 2 };
  assert.equal(disk.restart({ ...recovered, termRuns: new Float64Array([3, 2]) }), '');
});

test('an installation that was interrupted is completed, also where the log has rotted', () => {
  const left = { ...found([], hard(2, 3)), lastIndex: 5, compactedIndex: 5, compactedTerm: 2 };
  const snapshot = [head(1, 1), head(2, 2), head(3, 2), head(4, 2), head(5, 2)];
  const disk = image();
  disk.confirm(2, 2);
  assert.notEqual(disk.beginning(left).restart(left), '', 'nobody has installed anything');
  disk.install(snapshot);
  assert.equal(disk.beginning(left).restart(left), '');
});
