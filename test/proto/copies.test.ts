// Ranges of an answer, copied.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Copies } from '../../ts/proto/copies.js';

test('ranges keep their bytes whatever becomes of the answer, and keep little else alive', () => {
  const lengths = fc.array(fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 6_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.nat({ max: 9 }), (sizes, padding) => {
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const bytes = Buffer.from(Array.from({ length: total + padding }, (_, i) => (i * 31) >> 3));
      const expected = Buffer.from(bytes);
      const copies = new Copies(bytes, total);
      let at = 0;
      const taken = sizes.map((size) => {
        const range = copies.take(at, size);
        at += size;
        return range;
      });
      bytes.fill(0xff);
      at = 0;
      for (const range of taken) {
        assert.equal(Object.getPrototypeOf(range), Uint8Array.prototype);
        assert.ok(expected.subarray(at, at + range.length).equals(range));
        assert.ok(range.buffer.byteLength <= (range.length > 1024 ? range.length : 4096));
        at += range.length;
      }
    }),
  );
});

test('ranges do not overlap: who changes one changes no other', () => {
  const copies = new Copies(new Uint8Array(100).fill(1), 100);
  const ranges = Array.from({ length: 10 }, (_, i) => copies.take(i * 10, 10));
  ranges[4]?.fill(9);
  assert.deepEqual(
    ranges.map((range) => [...range]),
    ranges.map((_, i) => new Array(10).fill(i === 4 ? 9 : 1)),
  );
  assert.ok(new Set(ranges.map((range) => range.buffer)).size === 1);
});

test('a range that goes back, and a single one', () => {
  const bytes = Uint8Array.from({ length: 50 }, (_, i) => i);
  const copies = new Copies(bytes, 50);
  assert.deepEqual([...copies.take(30, 3)], [30, 31, 32]);
  assert.deepEqual([...copies.take(10, 2)], [10, 11]);
  assert.equal(new Copies(bytes, 40).take(30, 10).buffer.byteLength, 10);
});
