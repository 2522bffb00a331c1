// Histories in few words: `by(2, 5, 7).get('k', 'b@17')` is client 2, called at 5, answered at 7.
import type { Change, Condition, Input, Operation, Output, Seen } from './linearizability/index.js';

/** `null`: no entry. `'b@17'`: value and revision; `'b'`: the value alone; `'@17'`: the revision alone; `''`: an entry. */
export type Shown = string | null;

interface RangeWords {
  readonly first?: string;
  readonly end?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

interface ReadWords {
  readonly stale?: boolean;
  readonly minRevision?: number;
}

export interface Maker {
  get(key: string, shown: Shown, mode?: ReadWords): Operation;
  getMany(shown: Readonly<Record<string, Shown>>, mode?: ReadWords): Operation;
  scan(range: RangeWords & ReadWords, shown: Readonly<Record<string, string>>, more?: boolean): Operation;
  /** A write without output has an unknown outcome. */
  put(key: string, value: string, output?: Output): Operation;
  append(key: string, value: string, output?: Output): Operation;
  increment(key: string, by: number, output?: Output): Operation;
  delete(key: string, output?: Output): Operation;
  deleteRange(range: RangeWords, output?: Output): Operation;
  transact(when: readonly Condition[], changes: readonly Change[], output?: Output): Operation;
  compareAndSwap(when: Condition, value: string, output?: Output): Operation;
}

export function by(client: number, call: number, end = Number.POSITIVE_INFINITY): Maker {
  const made = (input: Input, output: Output | undefined): Operation => ({
    client,
    call,
    return: output === undefined ? Number.POSITIVE_INFINITY : end,
    input,
    outcome: output ?? 'unknown',
  });
  const transact = (when: readonly Condition[], changes: readonly Change[], output?: Output): Operation =>
    made({ op: 'transact', when, changes }, output);
  return {
    transact,
    get: (key, shown, mode = {}) => made({ op: 'get', keys: [key], ...mode }, { entries: [seenOf(shown)] }),
    getMany: (shown, mode = {}) =>
      made({ op: 'get', keys: Object.keys(shown), ...mode }, { entries: Object.values(shown).map(seenOf) }),
    scan: (range, shown, more) => {
      const entries = Object.entries(shown).map(([key, text]) => ({ key, ...seenOf(text) }));
      return made({ op: 'scan', first: '', end: '', ...range }, more === true ? { entries, more } : { entries });
    },
    put: (key, value, output) => made({ op: 'put', key, value }, output),
    append: (key, value, output) => made({ op: 'append', key, value }, output),
    increment: (key, amount, output) => made({ op: 'increment', key, by: amount }, output),
    delete: (key, output) => made({ op: 'delete', key }, output),
    deleteRange: (range, output) => made({ op: 'deleteRange', first: '', end: '', ...range }, output),
    compareAndSwap: (when, value, output) => transact([when], [{ put: when.key, value }], output),
  };
}

/** The same operation, but its caller was told that it was not applied. */
export function refused(op: Operation, end: number): Operation {
  return { ...op, outcome: 'not-applied', return: end };
}

export function seenOf(shown: Shown): Seen | null {
  if (shown === null) return null;
  const [value = '', revision] = shown.split('@');
  return { ...(value === '' ? {} : { value }), ...(revision === undefined ? {} : { revision: Number(revision) }) };
}

/** The same history as clients would tell it that never look at revisions. */
export function withoutRevisions(history: readonly Operation[]): Operation[] {
  return history.map((op) => {
    if (typeof op.outcome === 'string') return op;
    return { ...op, outcome: stripped(op.outcome) as Output };
  });
}

function stripped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([k, v]) => (k === 'revision' ? [] : [[k, stripped(v)]])));
}
