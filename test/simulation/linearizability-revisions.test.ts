// The checker of histories: what only revisions tell, and stale reads, which no search can judge.
import { by } from './history-makers.js';
import { type Illegal, ok, rejected } from './illegal.js';

const A = by(1, 0, 1).put('k', 'a', ok(1));
const B = by(1, 2, 3).put('k', 'b', ok(2));

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

const REVISIONS: readonly Illegal[] = [
  {
    name: 'a later write has a smaller revision',
    history: [by(1, 0, 1).put('k', 'a', ok(5)), by(1, 2, 3).put('l', 'b', ok(4))],
    finding: /revision 5 was out before its call/,
  },
  {
    name: 'two writes have one revision',
    history: [by(1, 0, 9).put('k', 'a', ok(5)), by(2, 0, 9).put('l', 'b', ok(5))],
    finding: /revision 5 was told for put of k/,
  },
  {
    name: 'an entry has the revision of another write',
    history: [A, B, by(2, 4, 5).get('k', 'b@1')],
    finding: /revision 1 is that of put of k to "a"/,
  },
  {
    name: 'one revision has two values',
    history: [
      by(1, 0).append('k', 'x'),
      by(2, 1, 2).get('k', 'x@3'),
      by(2, 3, 4).get('k', 'xx@3'),
      by(3, 0).append('k', 'x'),
    ],
    finding: /shown otherwise/,
  },
  {
    name: 'a write in doubt is seen with two revisions',
    history: [by(1, 0).put('k', 'x'), by(2, 1, 2).get('k', 'x@3'), by(2, 3, 4).get('k', 'x@4')],
    finding: /revision 4/,
  },
  {
    name: 'a read lacks a write that is older than what was seen of another key',
    history: [
      by(1, 0, 99).put('k', 'a', ok(3)),
      by(2, 0, 99).put('l', 'b', ok(4)),
      by(3, 1, 2).get('l', 'b@4'),
      by(3, 5, 6).get('k', null),
    ],
    finding: /revision 4 was out before its call/,
  },
  {
    name: 'a write is older than what was seen before its call',
    history: [by(2, 0, 99).put('l', 'b', ok(4)), by(3, 1, 2).get('l', 'b@4'), by(1, 3, 4).put('k', 'a', ok(3))],
    finding: /revision 4 was out before its call/,
  },
  {
    name: 'a read is older than the revision that it asked for',
    history: [A, B, by(1, 4, 9).put('k', 'c', ok(3)), by(2, 5, 6).get('k', 'b@2', { minRevision: 3 })],
    finding: /must be of revision 3 or later/,
  },
];

const STALE: readonly Illegal[] = [
  {
    name: 'older than the revision that it asked for',
    history: [A, B, by(2, 4, 5).get('k', 'a@1', { stale: true, minRevision: 2 })],
    finding: /stale get.*revision 2 or later/,
  },
  {
    name: 'without revision, older than it asked for',
    history: [A, B, by(2, 4, 5).get('k', 'a', { stale: true, minRevision: 2 })],
    finding: /revision 2 or later/,
  },
  {
    name: 'of a value that came twice, older than it asked for',
    history: [
      A,
      B,
      by(1, 4, 5).put('k', 'a', ok(3)),
      by(1, 6, 7).put('k', 'b', ok(4)),
      by(2, 8, 9).get('k', 'a', { stale: true, minRevision: 4 }),
    ],
    finding: /revision 4 or later, and k was written at revision 4/,
  },
  {
    name: 'absent, older than it asked for',
    history: [A, by(2, 4, 5).get('k', null, { stale: true, minRevision: 1 })],
    finding: /revision 1 or later/,
  },
  {
    name: 'of what nobody wrote',
    history: [A, by(2, 4, 5).get('k', 'x', { stale: true })],
    finding: /no write left "x"/,
  },
  {
    name: 'of what was written later',
    history: [by(2, 0, 1).get('k', 'a@1', { stale: true }), by(1, 2, 3).put('k', 'a', ok(1))],
    finding: /before its call/,
  },
  {
    name: 'of two moments',
    history: [XY, XY_AGAIN, by(2, 12, 13).getMany({ x: '2@2', y: '1@1' }, { stale: true })],
    finding: /stale getMany/,
  },
  {
    name: 'a scan that misses a key between two others',
    history: [
      P,
      Q,
      by(1, 4, 5).put('pc', '3', ok(3)),
      by(2, 6, 7).scan({ ...IN_P, stale: true }, { pa: '1@1', pc: '3@3' }),
    ],
    finding: /pb was written at revision 2/,
  },
  {
    name: 'of before what its own client wrote',
    history: [A, B, by(1, 4, 5).get('k', 'a@1', { stale: true })],
    options: { sessions: true },
    finding: /revision 2 was out/,
  },
  {
    name: 'of before what its own client read',
    history: [A, B, by(2, 4, 5).get('k', 'b@2', { stale: true }), by(2, 6, 7).get('k', 'a@1', { stale: true })],
    options: { sessions: true },
    finding: /revision 2 was out/,
  },
];

rejected('by revision', REVISIONS, { blind: false });
rejected('stale', STALE, { blind: false });
