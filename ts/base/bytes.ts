// Keys and values as users give them, and as they travel.

/** A key or a value: text stands for its UTF-8. Always copied before the call that takes it returns. */
export type Bytes = string | Uint8Array;

const isWellFormedNatively = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed;

/** True when `text` has no lone surrogate, hence a UTF-8 form that leads back to it. */
export function isWellFormed(text: string): boolean {
  if (isWellFormedNatively !== undefined) return isWellFormedNatively.call(text);
  return !/\p{Surrogate}/u.test(text);
}

/**
 * Checks an argument that should be `Bytes`.
 *
 * @param what - names the argument in the message
 * @throws TypeError for other types, and for text with a lone surrogate, which UTF-8 cannot express
 */
export function demandBytes(value: unknown, what: string): asserts value is Bytes {
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw new TypeError(`${what} is not well-formed UTF-16: it holds a lone surrogate`);
  } else if (!(value instanceof Uint8Array)) {
    throw new TypeError(`${what} must be a string or a Uint8Array, not ${nameOfType(value)}`);
  }
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return value.constructor?.name ?? 'object';
}

/** How many bytes `value` has as UTF-8. */
export function byteLength(value: Bytes): number {
  return typeof value === 'string' ? Buffer.byteLength(value, 'utf8') : value.length;
}

/** The bytes of `value` in memory of their own. */
export function copyBytes(value: Bytes): Uint8Array<ArrayBuffer> {
  if (typeof value !== 'string') return new Uint8Array(value);
  const bytes = new Uint8Array(Buffer.byteLength(value, 'utf8'));
  Buffer.from(bytes.buffer).write(value, 'utf8');
  return bytes;
}

/** Unsigned bytewise order, a prefix first: negative, 0 or positive. JavaScript's `<` on strings differs from it. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** The least byte string above every one that starts with `prefix`; undefined when there is none (empty, or all 0xff). */
export function prefixEnd(prefix: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const end = new Uint8Array(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] ?? 0) + 1;
  return end;
}

/**
 * The least key above `key` among keys of at most `keyBytesMax` bytes; undefined when there is none.
 *
 * A key of full length has no longer one above it, so its successor is that of its prefix range.
 */
export function successor(key: Uint8Array, keyBytesMax: number): Uint8Array<ArrayBuffer> | undefined {
  if (key.length >= keyBytesMax) return prefixEnd(key);
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
