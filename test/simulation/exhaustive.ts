// The slowest checker there is: tries every order, and every revision that was not told. It shares nothing with the one that
// it is held against but the form of a history, and says by its own words what a store does.
import type { Change, Condition, Input, Operation, Output, Seen } from './linearizability/index.js';

export type Store = ReadonlyMap<string, { readonly value: string; readonly revision: number }>;

/** What a store answers, told in full, and what it is afterwards. */
export function execute(
  store: Store,
  input: Input,
  revision: number,
): { readonly output: Output; readonly store: Store } {
  if (input.op === 'get') return { store, output: { entries: input.keys.map((key) => shownOf(store, key)) } };
  if (input.op === 'scan')
    return { store, output: { entries: rangeIn(store, input).map((key) => ({ key, ...shownOf(store, key) })) } };
  if (input.op === 'deleteRange') {
    const gone = rangeIn(store, input);
    const left = new Map([...store].filter(([key]) => !gone.includes(key)));
    return { store: left, output: { revision, count: gone.length } };
  }
  if (input.op === 'transact') return transact(store, input, revision);
  const after = new Map(store);
  const change =
    input.op === 'put'
      ? { put: input.key, value: input.value }
      : input.op === 'append'
        ? { append: input.key, value: input.value }
        : input.op === 'delete'
          ? { delete: input.key }
          : { increment: input.key, by: input.by };
  if (!changeIt(after, change, revision)) return { store, output: { refused: true } };
  const value = after.get(input.key)?.value ?? '';
  const output: Output = { revision };
  if (input.op === 'put' || input.op === 'delete')
    return { store: after, output: { ...output, previous: shownOf(store, input.key) } };
  if (input.op === 'append') return { store: after, output: { ...output, length: Buffer.from(value).length } };
  return { store: after, output: { ...output, value: Number(value) } };
}

function transact(store: Store, input: Input & { op: 'transact' }, revision: number): { output: Output; store: Store } {
  const failed = input.when.flatMap((condition, index) =>
    holds(store, condition) ? [] : [{ index, current: shownOf(store, condition.key) }],
  );
  if (failed.length > 0) return { store, output: { failed } };
  const after = new Map(store);
  for (const change of input.changes) {
    if (!changeIt(after, change, revision)) return { store, output: { refused: true } };
  }
  return { store: after, output: { revision } };
}

function changeIt(store: Map<string, { value: string; revision: number }>, change: Change, revision: number): boolean {
  if ('put' in change) store.set(change.put, { value: change.value, revision });
  else if ('append' in change) {
    store.set(change.append, { value: `${store.get(change.append)?.value ?? ''}${change.value}`, revision });
  } else if ('delete' in change) store.delete(change.delete);
  else {
    const text = store.get(change.increment)?.value ?? '0';
    if (String(Number.parseInt(text, 10)) !== text) return false;
    store.set(change.increment, { value: String(Number.parseInt(text, 10) + change.by), revision });
  }
  return true;
}

function holds(store: Store, condition: Condition): boolean {
  const entry = store.get(condition.key);
  if ('exists' in condition) return condition.exists === store.has(condition.key);
  if ('value' in condition) return entry !== undefined && entry.value === condition.value;
  return (entry?.revision ?? 0) === condition.revision;
}

function shownOf(store: Store, key: string): Seen | null {
  return store.get(key) ?? null;
}

/** Keys are plain ASCII here. */
function rangeIn(store: Store, range: Input & { op: 'scan' | 'deleteRange' }): string[] {
  const keys = [...store.keys()].filter((key) => key >= range.first && (range.end === '' || key < range.end)).sort();
  if (range.reverse === true) keys.reverse();
  return keys.slice(0, range.limit ?? keys.length);
}

/** Stale reads are not for it; scans are whole. */
export function isLinearizable(history: readonly Operation[]): boolean {
  return hasOrder(history, new Map(), 0, new Set(revisionsIn(history)));
}

/** @param named - revisions that somebody told, saw or asked for */
function hasOrder(left: readonly Operation[], store: Store, last: number, named: ReadonlySet<number>): boolean {
  const open = left.filter((op) => typeof op.outcome !== 'string');
  if (open.length === 0) return true;
  const soonest = Math.min(...open.map((op) => op.return));
  for (const op of left) {
    if (op.call > soonest || op.outcome === 'not-applied') continue;
    if (op.outcome === 'unknown' && (op.input.op === 'get' || op.input.op === 'scan')) continue;
    const rest = left.filter((other) => other !== op);
    for (const revision of revisionsFor(op, last, named)) {
      const { output, store: after } = execute(store, op.input, revision);
      if (typeof op.outcome !== 'string' && !agrees(op.outcome, output)) continue;
      if (hasOrder(rest, after, Math.max(last, revision), named)) return true;
    }
  }
  return false;
}

/** One that was not told is any that was named, or one between, of which there are always enough. */
function revisionsFor(op: Operation, last: number, named: ReadonlySet<number>): number[] {
  const told = typeof op.outcome === 'string' ? undefined : op.outcome;
  const silent =
    op.input.op === 'get' || op.input.op === 'scan' || told?.failed !== undefined || told?.refused === true;
  if (silent) return [last];
  if (told?.revision !== undefined) return told.revision > last ? [told.revision] : [];
  return [...[...named].filter((each) => each > last), last + 1 / 1024];
}

/** What was told must be so; what was not told may be anything. But a success is no failure. */
function agrees(told: Output, real: Output): boolean {
  if ((told.failed === undefined) !== (real.failed === undefined)) return false;
  if ((told.refused ?? false) !== (real.refused ?? false)) return false;
  return covers(told, real);
}

function covers(told: unknown, real: unknown): boolean {
  if (told === undefined) return true;
  if (Array.isArray(told)) {
    return Array.isArray(real) && told.length === real.length && told.every((each, at) => covers(each, real[at]));
  }
  if (typeof told !== 'object' || told === null) return told === real;
  if (typeof real !== 'object' || real === null) return false;
  return Object.entries(told).every(([name, value]) => covers(value, (real as Record<string, unknown>)[name]));
}

function* revisionsIn(history: readonly Operation[]): Generator<number> {
  for (const { input, outcome } of history) {
    if (input.op === 'transact') for (const each of input.when) if ('revision' in each) yield each.revision;
    if (typeof outcome === 'string') continue;
    const seen = [...(outcome.entries ?? []), outcome.previous, ...(outcome.failed ?? []).map((each) => each.current)];
    for (const revision of [outcome.revision, ...seen.map((each) => each?.revision)])
      if (revision !== undefined) yield revision;
  }
}
