// Keys and values as bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  byteLength,
  compareBytes,
  copyBytes,
  demandBytes,
  equalBytes,
  isWellFormed,
  prefixEnd,
  successor,
} from '../../ts/base/bytes.js';

const seed = process.env.ERAFT_SEED;
const runs = seed === undefined ? {} : { seed: Number(seed) };

/** Few different bytes, 255 among them, so that ranges touch. */
const small = fc.uint8Array({ maxLength: 4, max: 2 }).map((bytes) => bytes.map((b) => (b === 2 ? 255 : b)));

test('a lone surrogate is not text', () => {
  for (const good of ['', 'ü', '\u{1f600}', '\ufeff', '\u0000']) assert.equal(isWellFormed(good), true);
  for (const bad of ['\ud800', 'a\udc00b', '\udc00\ud800', '\u{1f600}\ud83d']) {
    assert.equal(isWellFormed(bad), false);
    assert.throws(() => demandBytes(bad, 'key'), { name: 'TypeError', message: /key .* lone surrogate/ });
  }
});

test('other types are named in the error', () => {
  for (const [value, name] of [
    [null, 'null'],
    [5, 'number'],
    [[], 'Array'],
    [new ArrayBuffer(1), 'ArrayBuffer'],
    [new Uint16Array(1), 'Uint16Array'],
  ] as const) {
    assert.throws(() => demandBytes(value, 'value'), {
      name: 'TypeError',
      message: `value must be a string or a Uint8Array, not ${name}`,
    });
  }
  demandBytes(Buffer.from('x'), 'value');
});

test('a copy is plain and has memory of its own', () => {
  for (const value of ['äb', Buffer.from('äb'), new Uint8Array([0xc3, 0xa4, 0x62])]) {
    const copy = copyBytes(value);
    assert.deepEqual(copy, new Uint8Array([0xc3, 0xa4, 0x62]));
    assert.equal(Object.getPrototypeOf(copy), Uint8Array.prototype);
    assert.equal(copy.buffer.byteLength, 3);
    assert.equal(byteLength(value), 3);
  }
});

test('order is unsigned and bytewise, a prefix first', () => {
  const sorted = ['', '\0', '\0\0', 'a', 'aa', 'b', 'ü', '\uffff', '\u{10000}'].map((text) => copyBytes(text));
  for (let i = 1; i < sorted.length; i++)
    assert.ok(compareBytes(sorted[i - 1] ?? new Uint8Array(), sorted[i] ?? new Uint8Array()) < 0);
  assert.ok('\uffff' > '\u{10000}', 'where JavaScript says otherwise');
  assert.equal(equalBytes(copyBytes('a'), copyBytes('a')), true);
  assert.equal(equalBytes(copyBytes('a'), copyBytes('ab')), false);
});

test('prefixEnd is the least string above every one with the prefix', () => {
  fc.assert(
    fc.property(small, small, (prefix, other) => {
      const end = prefixEnd(prefix);
      const starts = compareBytes(other.subarray(0, prefix.length), prefix) === 0;
      const inside = compareBytes(other, prefix) >= 0 && (end === undefined || compareBytes(other, end) < 0);
      assert.equal(inside, starts);
    }),
    { numRuns: 2_000, ...runs },
  );
});

test('nothing of at most n bytes lies between a key and its successor', () => {
  fc.assert(
    fc.property(small, small, (key, other) => {
      const next = successor(key, 4);
      if (next === undefined) assert.ok(compareBytes(other, key) <= 0);
      else {
        assert.ok(next.length <= 4 && compareBytes(next, key) > 0);
        assert.ok(compareBytes(other, key) <= 0 || compareBytes(other, next) >= 0);
      }
    }),
    { numRuns: 2_000, ...runs },
  );
});
