// Which keys of its part an operation looks at, and which it writes.
import { changesOf, keyOfChange, keysWithin, rangeOf, type Task } from './tasks.js';

export interface Footprint {
  /** What it does or says depends on what they hold. */
  readonly looks: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
}

/** @param keys - of the part, sorted */
export function footprintOf({ op, output, silent }: Task, keys: readonly string[]): Footprint {
  const { input } = op;
  const looks = new Set<string>();
  const writes = new Set<string>();
  const range = rangeOf(input);
  if (range !== null) {
    const within = keysWithin(range, keys);
    const isBlind = input.op === 'deleteRange' && range.limit === undefined && output?.count === undefined;
    if (!isBlind) for (const key of within) looks.add(key);
    if (input.op === 'deleteRange') for (const key of within) writes.add(key);
  }
  if (input.op === 'get') for (const key of input.keys) looks.add(key);
  if (input.op === 'transact') for (const { key } of input.when) looks.add(key);
  for (const change of changesOf(input)) {
    const key = keyOfChange(change);
    const looksAtIt = 'append' in change || 'increment' in change || output?.previous !== undefined;
    if (looksAtIt || silent) looks.add(key);
    writes.add(key);
  }
  return { looks, writes };
}

/**
 * What an operation makes of a write just before it:
 *
 * - nothing: they are about other keys, and can change places
 * - covered: it writes over all of the write without a look, which may as well not have happened
 * - used: anything else
 */
export function useOf(write: Footprint, next: Footprint): 'nothing' | 'covered' | 'used' {
  let isCovered = true;
  for (const key of write.writes) isCovered &&= next.writes.has(key) && !next.looks.has(key);
  if (isCovered) return 'covered';
  for (const keys of [write.looks, write.writes]) {
    for (const key of keys) if (next.looks.has(key) || next.writes.has(key)) return 'used';
  }
  return 'nothing';
}
