// What the checks ask of an operation: which keys it names, what it showed of them, what it may leave behind.
import type { Change, History, Input, Operation, Output, Seen } from './history.js';

/** An operation that the search must place: all that was answered, stale reads aside, and writes that may have happened. */
export interface Task {
  readonly op: Operation;
  /** null: unknown. */
  readonly output: Output | null;
  /** It changes nothing, and says what it saw. */
  readonly silent: boolean;
  /** Its revision, 0: not told. Found out later for some whose outcome is unknown. */
  told: number;
  /** It has taken effect before this place in the order of events. Infinity: if it ever does. */
  until: number;
  /** It took effect after these: a value that somebody saw says so. */
  readonly after: Set<Task>;
  /** Values that it saw, of which each can have stood at its key but once. */
  readonly sawOnce: { readonly key: string; readonly value: string }[];
}

export interface KeyRange {
  readonly first: string;
  readonly end: string;
  readonly limit?: number | undefined;
  readonly reverse?: boolean | undefined;
}

export function isRead(input: Input): boolean {
  return input.op === 'get' || input.op === 'scan';
}

export function isStale(input: Input): boolean {
  return (input.op === 'get' || input.op === 'scan') && input.stale === true;
}

export function outputOf(op: Operation): Output | null {
  return typeof op.outcome === 'string' ? null : op.outcome;
}

/** Reads that failed say nothing, writes that were not applied must do nothing: both are left out. */
export function tasksOf(history: History): Task[] {
  const tasks: Task[] = [];
  for (const op of history) {
    const output = outputOf(op);
    if (isStale(op.input) || op.outcome === 'not-applied') continue;
    if (output === null && isRead(op.input)) continue;
    const silent = output !== null && (isRead(op.input) || output.failed !== undefined || output.refused === true);
    const told = silent ? 0 : (output?.revision ?? 0);
    const until = output === null ? Number.POSITIVE_INFINITY : op.return;
    tasks.push({ op, output, silent, told, until, after: new Set(), sawOnce: [] });
  }
  return tasks;
}

/** The one range of an operation, if it has one. */
export function rangeOf(input: Input): KeyRange | null {
  return input.op === 'scan' || input.op === 'deleteRange' ? input : null;
}

/** The keys that an operation names; those of its range, if it has one, are for the history to tell. */
export function keysOf(input: Input): readonly string[] {
  if (input.op === 'get') return input.keys;
  if (input.op === 'scan' || input.op === 'deleteRange') return [];
  if (input.op === 'transact') return [...input.when.map((each) => each.key), ...input.changes.map(keyOfChange)];
  return [input.key];
}

export function keyOfChange(change: Change): string {
  if ('put' in change) return change.put;
  if ('append' in change) return change.append;
  return 'delete' in change ? change.delete : change.increment;
}

/** The changes of a write that names its keys, in their order. */
export function changesOf(input: Input): readonly Change[] {
  if (input.op === 'put') return [{ put: input.key, value: input.value }];
  if (input.op === 'append') return [{ append: input.key, value: input.value }];
  if (input.op === 'increment') return [{ increment: input.key, by: input.by }];
  if (input.op === 'delete') return [{ delete: input.key }];
  return input.op === 'transact' ? input.changes : [];
}

/** What an answer showed of single keys. Of a scan: the entries that it found. */
export function* observationsOf(op: Operation): Generator<{ readonly key: string; readonly seen: Seen | null }> {
  const output = outputOf(op);
  if (output === null) return;
  const { input } = op;
  if (input.op === 'get') {
    for (const [place, key] of input.keys.entries()) {
      const seen = output.entries?.[place];
      if (seen !== undefined) yield { key, seen };
    }
  } else if (input.op === 'scan') {
    for (const seen of output.entries ?? []) if (seen?.key !== undefined) yield { key: seen.key, seen };
  } else if (input.op === 'put' || input.op === 'delete') {
    if (output.previous !== undefined) yield { key: input.key, seen: output.previous };
  } else if (input.op === 'transact') {
    for (const { index, current } of output.failed ?? []) {
      const key = input.when[index]?.key;
      if (key !== undefined) yield { key, seen: current };
    }
  }
}

/** Unsigned and bytewise, as the store orders its keys: JavaScript's `<` differs for text beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function isWithin(range: KeyRange, key: string): boolean {
  return compareKeys(key, range.first) >= 0 && (range.end === '' || compareKeys(key, range.end) < 0);
}

/** The part of `keys`, which is sorted, that lies within a range. */
export function keysWithin(range: KeyRange, keys: readonly string[]): readonly string[] {
  const first = lowerBound(keys, range.first);
  return keys.slice(first, range.end === '' ? keys.length : Math.max(first, lowerBound(keys, range.end)));
}

function lowerBound(keys: readonly string[], key: string): number {
  let [from, to] = [0, keys.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (compareKeys(keys[middle] ?? '', key) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Every key that a history names, sorted. */
export function allKeys(history: History): string[] {
  const keys = new Set<string>();
  for (const op of history) {
    for (const key of keysOf(op.input)) keys.add(key);
    for (const { key } of observationsOf(op)) keys.add(key);
  }
  return [...keys].sort(compareKeys);
}
