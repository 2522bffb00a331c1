// The checker of histories: every kind of wrong answer is found, by the meaning of the operations alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { by, refused, withoutRevisions } from './history-makers.js';
import { failed, type Illegal, ok, rejected, wrote } from './illegal.js';
import { checkHistory } from './linearizability/index.js';

const A = by(1, 0, 1).put('k', 'a', ok(1));
const B = by(1, 2, 3).put('k', 'b', ok(2));

const SINGLE: readonly Illegal[] = [
  {
    name: 'a stale read',
    history: [A, B, by(2, 4, 5).get('k', 'a@1')],
    finding: /get of k by client 2 at 4–5 returned "a" \(revision 1\), but .*2/,
  },
  { name: 'a lost write', history: [A, by(2, 4, 5).get('k', null)], finding: /returned no entry, but/ },
  { name: 'a value that nobody wrote', history: [A, by(2, 4, 5).get('k', 'x@7')], finding: /no write left "x"/ },
  {
    name: 'an append applied twice',
    history: [by(1, 0, 1).append('k', 'a;', { revision: 1, length: 2 }), by(2, 2, 3).get('k', 'a;a;@1')],
    finding: /returned "a;a;"/,
  },
  {
    name: 'appends in the wrong order',
    history: [
      by(1, 0, 1).append('k', 'a;', ok(1)),
      by(1, 2, 3).append('k', 'b;', ok(2)),
      by(2, 4, 5).get('k', 'b;a;@2'),
    ],
    finding: /returned "b;a;"/,
  },
  {
    name: 'an append lost between two others',
    history: [
      by(1, 0, 1).append('k', 'a;', ok(1)),
      by(1, 2, 3).append('k', 'b;', ok(2)),
      by(1, 4, 5).append('k', 'c;', ok(3)),
      by(2, 6, 7).get('k', 'a;c;@3'),
    ],
    finding: /returned "a;c;"/,
  },
  {
    name: 'the length after an append is of another value',
    history: [
      by(1, 0, 1).append('k', 'a;', { revision: 1, length: 2 }),
      by(1, 2, 3).append('k', 'b;', { revision: 2, length: 5 }),
    ],
    finding: /length 5/,
  },
  {
    name: 'a write that was not applied is seen',
    history: [A, refused(by(2, 2).put('k', 'x'), 3), by(3, 4, 5).get('k', 'x@2')],
    finding: /refused: put of k to "x" by client 2/,
  },
  {
    name: 'a read goes back behind another one',
    history: [A, by(1, 2, 9).put('k', 'b', ok(2)), by(2, 3, 4).get('k', 'b@2'), by(3, 5, 6).get('k', 'a@1')],
    finding: /get of k by client 3 at 5–6 returned "a"/,
  },
  {
    name: 'two readers see two writes in two orders',
    history: [
      by(1, 0, 9).put('k', 'a', ok(1)),
      by(2, 0, 9).put('k', 'b', ok(2)),
      by(3, 1, 2).get('k', 'a'),
      by(3, 3, 4).get('k', 'b'),
      by(4, 1, 2).get('k', 'b'),
      by(4, 3, 4).get('k', 'a'),
    ],
    finding: /get of k by client [34]/,
  },
  {
    name: 'a deleted key comes back',
    history: [A, by(1, 2, 3).delete('k', ok(2)), by(2, 4, 5).get('k', 'a@1')],
    finding: /delete of k/,
  },
  {
    name: 'a read from before its write was called',
    history: [by(2, 0, 1).get('k', 'a@1'), by(1, 2, 3).put('k', 'a', ok(1))],
    finding: /before its call/,
  },
  { name: 'has says no of a key that is there', history: [A, by(2, 2, 3).get('k', null)], finding: /no entry/ },
  { name: 'has says yes of a key that is not', history: [by(2, 2, 3).get('k', '')], finding: /no write left an entry/ },
  {
    name: 'the entry before is one that was written over',
    history: [A, B, by(2, 4, 5).put('k', 'c', wrote(3, 'a@1'))],
    finding: /the entry before: "a".*revision 2/,
  },
  {
    name: 'the entry before is missing',
    history: [A, by(2, 4, 5).put('k', 'c', wrote(3, null))],
    finding: /the entry before: no entry/,
  },
  {
    name: 'a delete found what another delete took',
    history: [A, by(2, 2, 3).delete('k', wrote(2, 'a@1')), by(2, 4, 5).delete('k', wrote(3, 'a@1'))],
    finding: /the entry before: "a"/,
  },
];

const DECIDED: readonly Illegal[] = [
  {
    name: 'a compare-and-swap succeeds twice',
    history: [
      A,
      by(1, 2, 5).compareAndSwap({ key: 'k', value: 'a' }, 'b', ok(2)),
      by(2, 2, 5).compareAndSwap({ key: 'k', value: 'a' }, 'c', ok(3)),
    ],
    finding: /compareAndSwap of k to "[bc]"/,
  },
  {
    name: 'a compare-and-swap by revision succeeds behind another write',
    history: [A, B, by(2, 4, 5).compareAndSwap({ key: 'k', revision: 1 }, 'c', ok(3))],
    finding: /when k has revision 1/,
    byRevisionAlone: true,
  },
  {
    name: 'a compare-and-swap fails on what it asks for',
    history: [A, by(2, 2, 3).compareAndSwap({ key: 'k', value: 'a' }, 'b', failed('a@1'))],
    finding: /failed, as condition 0 found "a"/,
  },
  {
    name: 'a compare-and-swap fails on what was written over',
    history: [A, B, by(2, 4, 5).compareAndSwap({ key: 'k', value: 'b' }, 'c', failed('a@1'))],
    finding: /found "a"/,
  },
  {
    name: 'a failed compare-and-swap takes effect',
    history: [A, by(2, 2, 3).compareAndSwap({ key: 'k', value: 'x' }, 'b', failed('a@1')), by(2, 4, 5).get('k', 'b')],
    finding: /no write left "b"/,
  },
  {
    name: 'an increment is lost',
    history: [
      by(1, 0, 3).increment('k', 1, { revision: 1, value: 1 }),
      by(2, 0, 3).increment('k', 1, { revision: 2, value: 1 }),
    ],
    finding: /increment of k by 1/,
  },
  {
    name: 'an increment counts twice',
    history: [by(1, 0, 1).increment('k', 5, { revision: 1, value: 5 }), by(2, 2, 3).get('k', '10@1')],
    finding: /returned "10"/,
  },
  {
    name: 'an increment is refused on a number',
    history: [by(1, 0, 1).put('k', '7', ok(1)), by(1, 2, 3).increment('k', 1, { refused: true })],
    finding: /was refused/,
  },
  {
    name: 'a transaction succeeds in spite of its condition',
    history: [A, by(2, 2, 3).transact([{ key: 'k', exists: false }], [{ put: 'l', value: 'b' }], ok(2))],
    finding: /when k is absent/,
  },
  {
    name: 'a transaction tells of one failed condition, and there were two',
    history: [
      A,
      by(2, 2, 3).transact(
        [
          { key: 'k', value: 'x' },
          { key: 'k', exists: false },
        ],
        [{ delete: 'k' }],
        failed('a@1'),
      ),
    ],
    finding: /condition 0/,
  },
];

const XY = by(1, 0, 1).transact(
  [],
  [
    { put: 'x', value: '1' },
    { put: 'y', value: '1' },
  ],
  ok(1),
);
const XY_AGAIN = by(1, 2, 9).transact(
  [],
  [
    { put: 'x', value: '2' },
    { put: 'y', value: '2' },
  ],
  ok(2),
);
const P = by(1, 0, 1).put('pa', '1', ok(1));
const Q = by(1, 2, 3).put('pb', '2', ok(2));
const IN_P = { first: 'p', end: 'q' };

const SEVERAL: readonly Illegal[] = [
  {
    name: 'getMany shows half of a transaction',
    history: [XY, XY_AGAIN, by(2, 3, 4).getMany({ x: '2@2', y: '1@1' })],
    finding: /getMany of x, y/,
  },
  {
    name: 'getMany shows a write, and not the one before it at another key',
    history: [
      XY,
      by(1, 2, 3).put('y', '2', ok(2)),
      by(1, 4, 9).put('x', '3', ok(3)),
      by(2, 5, 6).getMany({ x: '3@3', y: '1@1' }),
    ],
    finding: /y was written at revision 2/,
  },
  {
    name: 'two reads show the halves of a transaction one after the other',
    history: [XY, XY_AGAIN, by(2, 3, 4).get('x', '2@2'), by(2, 5, 6).get('y', '1@1')],
    finding: /get of y/,
  },
  {
    name: 'a range is deleted in part',
    history: [P, Q, by(1, 4, 5).deleteRange(IN_P, { revision: 3, count: 2 }), by(2, 6, 7).get('pb', '2@2')],
    finding: /deleteRange/,
  },
  {
    name: 'a deleted range counts what is not there',
    history: [P, Q, by(1, 4, 5).deleteRange(IN_P, { revision: 3, count: 3 })],
    finding: /count 3/,
  },
  {
    name: 'a limited deleteRange takes the wrong end',
    history: [
      P,
      Q,
      by(1, 4, 5).deleteRange({ ...IN_P, limit: 1 }, { revision: 3, count: 1 }),
      by(2, 6, 7).get('pa', '1@1'),
    ],
    finding: /pa/,
  },
  { name: 'a scan misses a key', history: [P, Q, by(2, 4, 5).scan(IN_P, { pa: '1@1' })], finding: /scan of \[p, q\)/ },
  {
    name: 'a scan shows a key that nobody wrote',
    history: [P, by(2, 4, 5).scan(IN_P, { pa: '1@1', pz: '9@9' })],
    finding: /no write left "9"/,
  },
  {
    name: 'a scan of an empty range shows something',
    history: [by(2, 4, 5).scan(IN_P, { pz: '9' })],
    finding: /no write left "9"/,
  },
  {
    name: 'a scan shows a key from outside its range',
    history: [P, by(2, 4, 5).scan({ first: 'q' }, { pa: '1@1' })],
    finding: /scan/,
  },
  {
    name: 'a scan is in the wrong order',
    history: [P, Q, by(2, 4, 5).scan(IN_P, { pb: '2@2', pa: '1@1' })],
    finding: /pb: "2"/,
  },
  {
    name: 'a scan from the end begins at the start',
    history: [P, Q, by(2, 4, 5).scan({ ...IN_P, reverse: true, limit: 1 }, { pa: '1@1' })],
    finding: /from the end/,
  },
  {
    name: 'a page says that there is more, and there is not',
    history: [P, by(2, 4, 5).scan(IN_P, { pa: '1@1' }, true)],
    finding: /and more/,
  },
  {
    name: 'a scan is of two moments',
    history: [
      P,
      Q,
      by(1, 4, 5).put('pa', '3', ok(3)),
      by(1, 6, 9).put('pb', '4', ok(4)),
      by(2, 7, 8).scan(IN_P, { pa: '1@1', pb: '4@4' }),
    ],
    finding: /pa was written at revision 3/,
  },
];

const DOUBTFUL: readonly Illegal[] = [
  {
    name: 'a write in doubt is seen, then unseen',
    history: [A, by(2, 2).put('k', 'x'), by(3, 3, 4).get('k', 'x@2'), by(3, 5, 6).get('k', 'a@1')],
    finding: /get of k by client 3 at 5–6/,
  },
  {
    name: 'a write in doubt happens before its call',
    history: [A, by(3, 2, 3).get('k', 'x'), by(2, 4).put('k', 'x')],
    finding: /written later/,
  },
  {
    name: 'an append in doubt happens twice',
    history: [by(1, 0).append('k', 'a;'), by(2, 1, 2).append('k', 'b;', ok(2)), by(2, 3, 4).get('k', 'a;b;a;')],
    finding: /a;b;a;/,
  },
  {
    name: 'an increment in doubt happens twice',
    history: [by(1, 0).increment('k', 1), by(2, 1, 2).get('k', '1'), by(2, 3, 4).get('k', '2')],
    finding: /returned "2"/,
  },
  {
    name: 'a transaction in doubt happens by half',
    history: [
      XY,
      by(3, 2).transact(
        [],
        [
          { put: 'x', value: '2' },
          { put: 'y', value: '2' },
        ],
      ),
      by(2, 3, 4).getMany({ x: '2', y: '1' }),
    ],
    finding: /getMany of x, y/,
  },
  {
    name: 'a deletion in doubt is undone',
    history: [A, by(2, 2).delete('k'), by(3, 3, 4).get('k', null), by(3, 5, 6).get('k', 'a@1')],
    finding: /5–6 returned "a"/,
  },
  {
    name: 'one compare-and-swap in doubt lets two others succeed',
    history: [
      A,
      by(2, 2).compareAndSwap({ key: 'k', value: 'b' }, 'a'),
      by(3, 3, 4).compareAndSwap({ key: 'k', value: 'a' }, 'b', ok(2)),
      by(3, 5, 6).compareAndSwap({ key: 'k', value: 'a' }, 'b', ok(4)),
      by(3, 7, 8).compareAndSwap({ key: 'k', value: 'a' }, 'b', ok(6)),
    ],
    finding: /at 7–8/,
  },
];

const KINDS = { 'of one key': SINGLE, decided: DECIDED, 'of several keys': SEVERAL, 'in doubt': DOUBTFUL };
for (const [kind, cases] of Object.entries(KINDS)) rejected(kind, cases, { blind: true });

test('the finding comes with the operations that explain it, and with how far an order goes', () => {
  const others = Array.from({ length: 40 }, (_, i) => by(9, 10 + 2 * i, 11 + 2 * i).put('other', `o${i}`, ok(100 + i)));
  const verdict = checkHistory(withoutRevisions([A, B, ...others, by(2, 200, 201).get('k', 'a')]));
  assert.ok(!verdict.ok);
  assert.match(verdict.finding, /leaves k: "b"/);
  assert.deepEqual(
    verdict.around.map((op) => op.call),
    [0, 2, 200],
  );
  assert.deepEqual(
    verdict.prefix.map((op) => op.call),
    [0, 2],
  );
});
