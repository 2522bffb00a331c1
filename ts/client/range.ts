// A range of keys as it is asked for, and as it is sent: first inclusive, end exclusive.
import { type Bytes, compareBytes, copyBytes, demandBytes, prefixEnd, successor } from '../base/bytes.js';
import { LIMITS } from '../base/limits.js';
import { keyTooLarge } from './write-intake.js';

export interface RangeOptions {
  readonly prefix?: Bytes;
  readonly gte?: Bytes;
  readonly gt?: Bytes;
  readonly lt?: Bytes;
  readonly lte?: Bytes;
}

export interface Range {
  /** Empty: from the start. */
  readonly first: Uint8Array;
  /** Empty: to the end. */
  readonly end: Uint8Array;
}

const OPEN = new Uint8Array(0);

/** A range that holds no key and can be sent. */
export const EMPTY_RANGE: Range = { first: new Uint8Array([0]), end: new Uint8Array([0]) };

/**
 * The range in which all given bounds hold; EMPTY_RANGE itself when no key can be in it.
 *
 * @throws TypeError, ERAFT_KEY_TOO_LARGE
 */
export function rangeOf(o: RangeOptions): Range {
  const firsts: (Uint8Array | undefined)[] = [];
  const ends: (Uint8Array | undefined)[] = [];
  if (o.prefix !== undefined) {
    const prefix = bound(o.prefix, 'prefix');
    firsts.push(prefix);
    const end = prefixEnd(prefix);
    if (end !== undefined) ends.push(end);
  }
  if (o.gte !== undefined) firsts.push(bound(o.gte, 'gte'));
  if (o.gt !== undefined) firsts.push(after(bound(o.gt, 'gt')));
  if (o.lt !== undefined) ends.push(bound(o.lt, 'lt'));
  if (o.lte !== undefined) {
    const lte = bound(o.lte, 'lte');
    if (lte.length === 0) return EMPTY_RANGE;
    const end = after(lte);
    if (end !== undefined) ends.push(end);
  }
  return narrowest(firsts, ends);
}

/** undefined among `firsts`: above every key. */
function narrowest(firsts: readonly (Uint8Array | undefined)[], ends: readonly (Uint8Array | undefined)[]): Range {
  let first: Uint8Array = OPEN;
  for (const candidate of firsts) {
    if (candidate === undefined) return EMPTY_RANGE;
    if (compareBytes(candidate, first) > 0) first = candidate;
  }
  let end: Uint8Array | undefined;
  for (const candidate of ends) {
    if (candidate !== undefined && (end === undefined || compareBytes(candidate, end) < 0)) end = candidate;
  }
  if (end === undefined) return { first, end: OPEN };
  return compareBytes(first, end) < 0 && end.length > 0 ? { first, end } : EMPTY_RANGE;
}

/** What is left of a range behind `key` (before it, in reverse). */
export function rangeBeyond(range: Range, key: Uint8Array, reverse: boolean): Range {
  if (reverse) return compareBytes(range.first, key) < 0 ? { first: range.first, end: key } : EMPTY_RANGE;
  const first = after(key);
  if (first === undefined || (range.end.length > 0 && compareBytes(first, range.end) >= 0)) return EMPTY_RANGE;
  return { first, end: range.end };
}

function after(key: Uint8Array): Uint8Array | undefined {
  return successor(key, LIMITS.keyBytesMax);
}

function bound(value: Bytes, what: string): Uint8Array {
  demandBytes(value, what);
  const bytes = copyBytes(value);
  if (bytes.length > LIMITS.keyBytesMax) throw keyTooLarge(bytes.length, LIMITS.keyBytesMax);
  return bytes;
}
