// What the checker must not blame: doubt, overlap, age that was asked for. And what it does with long histories.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { by, refused, withoutRevisions } from './history-makers.js';
import {
  type CheckOptions,
  checkHistory,
  explain,
  HistoryRecorder,
  type Operation,
  parseHistory,
} from './linearizability/index.js';

const ok = (revision: number): { revision: number } => ({ revision });
const A = by(1, 0, 1).put('k', 'a', ok(1));
const BOTH = [
  { put: 'x', value: '2' },
  { put: 'y', value: '2' },
];

const LEGAL: Readonly<Record<string, { readonly history: readonly Operation[]; readonly options?: CheckOptions }>> = {
  'nothing at all': { history: [] },
  'a write in doubt that never happened': {
    history: [A, by(2, 2).put('k', 'x'), by(3, 3, 4).get('k', 'a@1'), by(3, 90, 91).get('k', 'a@1')],
  },
  'a write in doubt that happened': {
    history: [A, by(2, 2).put('k', 'x'), by(3, 3, 4).get('k', 'x@2'), by(3, 90, 91).get('k', 'x@2')],
  },
  'a write in doubt that happened late, between other writes': {
    history: [
      A,
      by(2, 2).put('k', 'x'),
      by(1, 3, 4).put('k', 'b', ok(2)),
      by(3, 5, 6).get('k', 'x@5'),
      by(1, 7, 8).put('k', 'c', ok(7)),
    ],
  },
  'a write in doubt that was written over unseen': {
    history: [A, by(2, 2).put('k', 'x'), by(1, 3, 4).put('k', 'b', ok(9)), by(3, 5, 6).get('k', 'b@9')],
  },
  'equal writes in doubt, of which some happened': {
    history: [
      ...[1, 2, 3, 4].map((client) => by(client, client).increment('n', 1)),
      by(5, 6, 7).get('n', '2'),
      by(5, 8, 9).get('n', '3'),
    ],
  },
  'a transaction in doubt that happened': {
    history: [by(3, 2).transact([], BOTH), by(2, 3, 4).get('x', null), by(2, 5, 6).getMany({ x: '2@4', y: '2@4' })],
  },
  'a transaction in doubt whose condition failed': {
    history: [
      A,
      by(3, 2).transact([{ key: 'k', exists: false }], [{ put: 'k', value: 'b' }]),
      by(2, 5, 6).get('k', 'a@1'),
    ],
  },
  'a deleteRange in doubt': {
    history: [A, by(3, 2).deleteRange({ first: 'a' }), by(2, 3, 4).get('k', 'a@1'), by(2, 5, 6).get('k', null)],
  },
  'a write in doubt that only a condition showed': {
    history: [A, by(2, 2).put('k', 'x'), by(3, 3, 4).compareAndSwap({ key: 'k', value: 'x' }, 'c', ok(5))],
  },
  'a write in doubt that only a count showed': {
    history: [by(2, 2).put('k', 'x'), by(3, 3, 4).deleteRange({}, { revision: 5, count: 1 })],
  },
  'a write in doubt that only a length showed': {
    history: [
      by(2, 2).append('k', 'x;'),
      by(3, 3, 4).append('k', 'c;', { revision: 5, length: 4 }),
      by(3, 5, 6).delete('k', ok(6)),
    ],
  },
  'a write in doubt that let a limited deleteRange pass by': {
    history: [
      by(1, 0, 1).put('pb', '1', ok(1)),
      by(2, 2).put('pa', 'x'),
      by(3, 3, 4).deleteRange({ limit: 1 }, ok(5)),
      by(3, 5, 6).get('pb', '1@1'),
    ],
  },
  'two ways to one state, of which the second goes on': {
    history: [
      by(1, 0, 10).put('k', 'x', {}),
      by(2, 0, 9).compareAndSwap({ key: 'k', exists: false }, 'x', {}),
      by(3, 0, 8).get('k', 'y'),
      by(4, 0, 11).put('k', 'y', {}),
    ],
  },
  'two writes in doubt that one read shows': {
    history: [by(1, 0).put('x', '1'), by(2, 0).put('y', '2'), by(3, 1, 2).getMany({ x: '1', y: '2' })],
  },
  'four writes in doubt that one count shows': {
    history: [
      ...['a', 'b', 'c', 'd'].map((key, client) => by(client, 0).put(key, '1')),
      by(9, 1, 2).scan({}, {}),
      by(9, 3, 4).deleteRange({}, { count: 4 }),
    ],
  },
  'writes in doubt of which one made the other possible': {
    history: [
      by(1, 0).compareAndSwap({ key: 'x', exists: true }, '2'),
      by(2, 0).put('x', '1'),
      by(3, 1, 2).get('x', null),
      by(3, 3, 4).get('x', '2'),
    ],
  },
  'writes in doubt that do the same once, of which the right one must be kept for later': {
    history: [
      A,
      by(2, 2).put('k', '2'),
      by(3, 3).compareAndSwap({ key: 'k', exists: true }, '2'),
      by(4, 4, 5).get('k', '2'),
      by(4, 6, 7).delete('k', ok(9)),
      by(4, 8, 9).get('k', '2'),
    ],
  },
  'a refused write, unseen': { history: [A, refused(by(2, 2).put('k', 'x'), 3), by(3, 4, 5).get('k', 'a@1')] },
  'a read that failed': { history: [A, { ...by(3, 4).get('k', 'zzz'), outcome: 'unknown' }] },
  'overlapping writes in either order': {
    history: [by(1, 0, 9).put('k', 'a', ok(2)), by(2, 0, 9).put('k', 'b', ok(1)), by(3, 10, 11).get('k', 'a@2')],
  },
  'a read beside a write, before or after it': {
    history: [A, by(1, 2, 9).put('k', 'b', ok(2)), by(2, 3, 4).get('k', 'a@1'), by(2, 5, 6).get('k', 'b@2')],
  },
  'operations that touch overlap': { history: [by(1, 0, 5).put('k', 'a', ok(1)), by(2, 5, 6).get('k', null)] },
  'gaps in the revisions': {
    history: [by(1, 0, 1).put('k', 'a', ok(100)), by(1, 2, 3).put('k', 'b', ok(7_000)), by(2, 4, 5).get('k', 'b@7000')],
  },
  'getMany between two writes': {
    history: [
      by(1, 0, 1).put('x', '1', ok(1)),
      by(1, 2, 9).put('x', '2', ok(2)),
      by(2, 2, 9).put('y', '3', ok(3)),
      by(3, 3, 4).getMany({ x: '2@2', y: null }),
    ],
  },
  'a page that ends early': {
    history: [A, by(1, 2, 3).put('l', 'b', ok(2)), by(2, 4, 5).scan({}, { k: 'a@1' }, true)],
  },
  'a scan that shows keys alone': {
    history: [A, by(1, 2, 3).put('l', 'b', ok(2)), by(2, 4, 5).scan({}, { k: '', l: '' })],
  },
  'a scan to its limit': {
    history: [A, by(1, 2, 3).put('l', 'b', ok(2)), by(2, 4, 5).scan({ limit: 1, reverse: true }, { l: 'b@2' })],
  },
  'keys in the order of their bytes': {
    history: [
      by(1, 0, 1).put('\u{1f600}', 'a', ok(1)),
      by(1, 2, 3).put('\uff5e', 'b', ok(2)),
      by(2, 4, 5).scan({}, { '\uff5e': 'b@2', '\u{1f600}': 'a@1' }),
    ],
  },
  'a number that is refused': {
    history: [A, by(1, 2, 3).increment('k', 1, { refused: true }), by(2, 4, 5).get('k', 'a@1')],
  },
  'a stale read of long ago': {
    history: [
      A,
      by(1, 2, 3).put('k', 'b', ok(2)),
      by(2, 4, 5).get('k', null, { stale: true }),
      by(2, 6, 7).get('k', 'a', { stale: true }),
    ],
  },
  'a stale read that goes back': {
    history: [A, by(2, 2, 3).get('k', 'a@1', { stale: true }), by(2, 4, 5).get('k', null, { stale: true })],
  },
  'a stale read of a write in doubt': {
    history: [A, by(2, 2).put('k', 'x'), by(3, 4, 5).get('k', 'x@9', { stale: true, minRevision: 4 })],
  },
  'a stale read within its session': {
    history: [
      A,
      by(2, 2, 3).get('k', 'a@1', { stale: true }),
      by(1, 4, 5).put('k', 'b', ok(2)),
      by(2, 6, 7).get('k', 'a@1', { stale: true }),
    ],
    options: { sessions: true },
  },
};

for (const [name, { history, options = {} }] of Object.entries(LEGAL)) {
  test(`accepted: ${name}`, () => {
    const verdict = checkHistory(history, options);
    assert.ok(verdict.ok, explain(verdict));
    const blind = checkHistory(withoutRevisions(history), options);
    assert.ok(blind.ok, `without revisions: ${explain(blind)}`);
  });
}

test('a history survives its lines, and a torn last one', () => {
  const lines: string[] = [];
  const recorder = new HistoryRecorder((line) => lines.push(line));
  const put = recorder.call(1, { op: 'put', key: 'k', value: 'a' }, 10);
  const doubtful = recorder.call(2, { op: 'append', key: 'k', value: '\n"b"' }, 11);
  recorder.returned(put, { revision: 3, previous: null }, 12.5);
  const no = recorder.call(1, { op: 'increment', key: 'k', by: -1 }, 13);
  recorder.failed(no, 'not-applied', 14);
  recorder.failed(doubtful, 'unknown', 15);
  recorder.call(3, { op: 'get', keys: ['k', 'l'], stale: true }, 16);
  assert.equal(lines.length, 7);
  assert.deepEqual(
    recorder.operations().map((op) => op.return),
    [2, Number.POSITIVE_INFINITY, 4, Number.POSITIVE_INFINITY],
  );
  assert.deepEqual(parseHistory(`${lines.join('')}{"ev":"ret","op":4,`), recorder.operations());
  assert.deepEqual(
    parseHistory(lines.slice(0, 2).join('')).map((op) => op.outcome),
    ['unknown', 'unknown'],
  );
  assert.throws(() => parseHistory('{"ev":"ret","op":4,"t":1,"out":{}}\n'), /line 1/);
  assert.throws(() => parseHistory('junk\n'), /line 1/);
});

/** Clients that never rest, one key, some answers lost. Every operation happens in the middle of its time. */
function busyHistory(clients: number, count: number, doubtEvery: number): Operation[] {
  const history: Operation[] = [];
  let [value, revision] = ['', 0];
  for (let i = 0; i < count; i++) {
    const [client, call, end] = [i % clients, 10 * i, 10 * (i + clients) - 5];
    const make = by(client, call, end);
    if (i % 2 === 0) history.push(make.get('k', value === '' ? null : `${value}@${revision}`));
    else if (i % doubtEvery === 1) {
      const isApplied = i % (2 * doubtEvery) === 1;
      if (isApplied) [value, revision] = [`v${i}`, revision + 1];
      history.push(make.put('k', `v${i}`));
    } else {
      [value, revision] = [`v${i}`, revision + 1];
      history.push(make.put('k', value, ok(revision)));
    }
  }
  return history;
}

test('the work for a long history of one busy key grows with its length', () => {
  const history = busyHistory(8, 5_000, 20);
  const verdict = checkHistory(history);
  assert.ok(verdict.ok, explain(verdict));
  assert.ok(verdict.steps < 12 * history.length, `${verdict.steps} steps`);
  const blind = checkHistory(withoutRevisions(history));
  assert.ok(blind.ok, explain(blind));
  assert.ok(blind.steps < 60 * history.length, `${blind.steps} steps`);
});

test('one wrong answer in a long history is found', () => {
  const history = busyHistory(8, 5_000, 20);
  const at = 4_002;
  const read = history[at];
  assert.ok(read !== undefined);
  history[at] = { ...read, outcome: { entries: [{ value: 'v3001' }] } };
  const verdict = checkHistory(history);
  assert.ok(!verdict.ok && verdict.kind === 'illegal', explain(verdict));
  assert.equal(verdict.operation?.call, 10 * at);
  const blind = checkHistory(withoutRevisions(history));
  assert.ok(!blind.ok && blind.kind === 'illegal', explain(blind));
  assert.ok(blind.prefix.length > 2_900);
});

test('a search that is given up is a failure that says so', () => {
  const verdict = checkHistory(busyHistory(8, 1_000, 20), { stepsMax: 500 });
  assert.ok(!verdict.ok);
  assert.equal(verdict.kind, 'unfinished');
  assert.match(verdict.finding, /^unfinished after 50\d steps: \d+ operations on k/);
});

test('many writes in doubt cost no power of two', () => {
  const doubts = Array.from({ length: 60 }, (_, i) => by(i, i).put('k', `x${i}`));
  const counts = Array.from({ length: 60 }, (_, i) => by(i, i).increment('n', 1));
  const reads = [by(99, 100, 101).get('k', 'x7'), by(99, 102, 103).get('k', 'x3'), by(99, 104, 105).get('n', '30')];
  const verdict = checkHistory([...doubts, ...counts, ...reads, by(99, 106, 107).get('n', '31')]);
  assert.ok(verdict.ok, explain(verdict));
  assert.ok(verdict.steps < 20_000, `${verdict.steps} steps`);
});
