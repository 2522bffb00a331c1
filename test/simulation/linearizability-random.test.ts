// The checker against one that tries everything, on small random histories: right ones, and right ones with something changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execute, isLinearizable, type Store } from './exhaustive.js';
import { withoutRevisions } from './history-makers.js';
import {
  checkHistory,
  describe,
  explain,
  type Input,
  type Operation,
  type Output,
  type Seen,
} from './linearizability/index.js';

type Random = () => number;

/** mulberry32. */
function randomOf(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Shape {
  readonly keys: readonly string[];
  readonly kinds: readonly Input['op'][];
  /** Values that are told apart; else there are but two. */
  readonly unique: boolean;
  /** Conditions on revisions, too. */
  readonly byRevision?: boolean;
  readonly operations: number;
  /** How many writes have an unknown outcome. Default 0.2. */
  readonly doubt?: number;
}

function pick<T>(random: Random, list: readonly T[]): T {
  const item = list[Math.floor(random() * list.length)];
  if (item === undefined) throw new RangeError('an empty list');
  return item;
}

function randomInput(random: Random, shape: Shape, number: number): Input {
  const op = pick(random, shape.kinds);
  const key = pick(random, shape.keys);
  const text = shape.unique ? `${number}` : pick(random, ['1', '2']);
  const value = shape.kinds.includes('append') ? `${text};` : text;
  const range = { first: '', end: '', ...(random() < 0.5 ? { limit: 1 } : {}), reverse: random() < 0.5 };
  if (op === 'get') return { op, keys: random() < 0.5 ? [key] : [...shape.keys] };
  if (op === 'scan') return { op, ...range };
  if (op === 'deleteRange') return { op, ...range };
  if (op === 'delete') return { op, key };
  if (op === 'increment') return { op, key, by: pick(random, [1, 2]) };
  if (op !== 'transact') return { op, key, value };
  const condition = pick(random, [
    { key, exists: random() < 0.5 },
    { key, value: pick(random, ['1', '2', '3;']) },
    shape.byRevision === true ? { key, revision: Math.floor(random() * 4) } : { key, exists: true },
  ]);
  const other = pick(random, shape.keys);
  const change = pick(random, [{ put: other, value }, { delete: other }, { append: other, value }]);
  return {
    op,
    when: random() < 0.7 ? [condition] : [],
    changes: [change, ...(random() < 0.3 ? [{ put: key, value }] : [])],
  };
}

/** What a store answers to overlapping calls, each of which it executes at one moment between call and return. */
function rightHistory(random: Random, shape: Shape): Operation[] {
  const drafts = Array.from({ length: shape.operations }, (_, i) => {
    const call = random() * 10;
    const end = call + random() * 4;
    const input = randomInput(random, shape, i + 1);
    const isRead = input.op === 'get' || input.op === 'scan';
    const doubt = random() - (isRead ? 0.1 : (shape.doubt ?? 0.2));
    const outcome = doubt < 0 ? 'unknown' : doubt < 0.05 ? 'not-applied' : 'ok';
    const happens = outcome === 'ok' || (outcome === 'unknown' && random() < 0.6);
    const at = outcome === 'ok' ? call + random() * (end - call) : call + random() * (12 - call);
    return { input, client: i, call, end, outcome, happens, at };
  });
  let store: Store = new Map();
  let revision = 0;
  const outputs = new Map<object, Output>();
  for (const draft of drafts.filter((each) => each.happens).sort((a, b) => a.at - b.at)) {
    revision += random() < 0.2 ? 2 : 1;
    const { output, store: after } = execute(store, draft.input, revision);
    store = after;
    outputs.set(draft, output);
  }
  return drafts.map((draft): Operation => {
    const { client, call, end, input } = draft;
    const output = draft.outcome === 'ok' ? outputs.get(draft) : undefined;
    const outcome = output ?? (draft.outcome === 'not-applied' ? 'not-applied' : 'unknown');
    return { client, call, return: outcome === 'unknown' ? Number.POSITIVE_INFINITY : end, input, outcome };
  });
}

/** Changes an answer, or a time. What comes out may be right all the same. */
function changed(random: Random, history: readonly Operation[]): Operation[] {
  const answered = history.filter((op) => typeof op.outcome !== 'string');
  if (answered.length === 0) return [...history];
  const victim = pick(random, answered);
  const seen = history.flatMap((op): (Seen | null)[] =>
    typeof op.outcome === 'string' ? [] : [...(op.outcome.entries ?? [])],
  );
  return history.map((op): Operation => {
    if (op !== victim || typeof op.outcome === 'string') return op;
    if (random() < 0.3) {
      const call = random() * 10;
      return { ...op, call, return: call + random() };
    }
    return { ...op, outcome: changedOutput(random, op, op.outcome, seen) };
  });
}

function changedOutput(random: Random, op: Operation, output: Output, seen: readonly (Seen | null)[]): Output {
  const entry = random() < 0.3 || seen.length === 0 ? null : pick(random, seen);
  const keyed = (old: Seen | null): Seen | null => {
    if (entry === null) return null;
    const { value, revision } = entry;
    return { ...(old?.key === undefined ? {} : { key: old.key }), value, revision };
  };
  if (output.entries !== undefined && output.entries.length > 0) {
    const at = Math.floor(random() * output.entries.length);
    const entries = output.entries.map((old, place) => (place === at ? keyed(old) : old));
    return { ...output, entries: op.input.op === 'scan' && random() < 0.5 ? entries.slice(1) : entries };
  }
  if (output.previous !== undefined && random() < 0.7) return { ...output, previous: keyed(output.previous) };
  if (output.failed !== undefined) return { revision: 1 + Math.floor(random() * 8) };
  if (output.length !== undefined && random() < 0.5) return { ...output, length: output.length + 2 };
  if (output.value !== undefined && random() < 0.5) return { ...output, value: output.value + 1 };
  if (output.count !== undefined && random() < 0.5) return { ...output, count: output.count + 1 };
  if (output.revision !== undefined)
    return { ...output, revision: Math.max(1, output.revision + (random() < 0.5 ? 1 : -1)) };
  return output;
}

const ALL: readonly Input['op'][] = ['get', 'scan', 'put', 'append', 'increment', 'delete', 'deleteRange', 'transact'];
const SHAPES: Readonly<Record<string, Shape>> = {
  'puts of one key': { keys: ['k'], kinds: ['get', 'put', 'put'], unique: true, operations: 7 },
  'puts that look alike': { keys: ['k'], kinds: ['get', 'put', 'put', 'delete'], unique: false, operations: 7 },
  'appends of one key': { keys: ['k'], kinds: ['get', 'append', 'append', 'put'], unique: true, operations: 7 },
  increments: { keys: ['k'], kinds: ['get', 'increment', 'increment', 'put'], unique: true, operations: 7 },
  'transactions of one key': {
    keys: ['k'],
    kinds: ['get', 'transact', 'transact', 'put'],
    unique: true,
    byRevision: true,
    operations: 7,
  },
  'everything, of two keys': { keys: ['k', 'l'], kinds: ALL, unique: true, operations: 6 },
  'much doubt, of two keys': {
    keys: ['k', 'l'],
    kinds: ['get', 'get', 'put', 'put', 'delete', 'append'],
    unique: true,
    doubt: 0.6,
    operations: 7,
  },
  'much doubt, alike': {
    keys: ['k', 'l'],
    kinds: ['get', 'get', 'put', 'deleteRange', 'transact'],
    unique: false,
    doubt: 0.5,
    operations: 7,
  },
  'everything, alike': { keys: ['k', 'l'], kinds: ALL, unique: false, operations: 6 },
};
const ROUNDS = 400;

const seed = process.env.ERAFT_SEED === undefined ? 1_729 : Number(process.env.ERAFT_SEED);
for (const [name, shape] of Object.entries(SHAPES)) {
  test(`agrees with an exhaustive search: ${name}; ERAFT_SEED=${seed}`, () => {
    const random = randomOf(seed);
    const counts = { legal: 0, illegal: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const right = rightHistory(random, shape);
      const told = random() < 0.4 ? right : changed(random, right);
      // Where conditions name revisions, all are told: else the exhaustive search would have to guess them all.
      const isBlind = shape.byRevision !== true && random() < 0.5;
      const history = isBlind ? withoutRevisions(told) : told;
      const verdict = checkHistory(history);
      const expected = isLinearizable(history);
      counts[expected ? 'legal' : 'illegal']++;
      const story = (): string => `round ${round}: ${explain(verdict)}\n${history.map(describe).join('\n')}`;
      if (told === right)
        assert.ok(expected, `a store's own answers are not legal to the exhaustive search: ${story()}`);
      // Across parts, revisions say less than one order of all would: what is found there is wrong, but not all is found.
      const isWhole = shape.keys.length === 1 || isBlind;
      if (verdict.ok !== expected && (isWhole || expected))
        assert.fail(`${expected ? 'legal' : 'illegal'}, but: ${story()}`);
    }
    assert.ok(counts.legal > ROUNDS / 20 && counts.illegal > ROUNDS / 20, JSON.stringify(counts));
  });
}
