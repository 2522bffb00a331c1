// From bytes to what a view of the store hands out.
import { type Bytes, copyBytes } from '../base/bytes.js';
import type { E, Encoding } from './key-value.js';

const STRICT_TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes given to `key` and `value` are the codec's to keep. */
export interface Codec<K, V> {
  /** A key that the caller gave, as it is handed out. */
  keyOf(given: Bytes): K;
  key(bytes: Uint8Array<ArrayBuffer>): K;
  value(bytes: Uint8Array<ArrayBuffer>): V;
}

const asBytes = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => bytes;

/** @throws TypeError for bytes that are not UTF-8 */
function asText(bytes: Uint8Array): string {
  try {
    return STRICT_TEXT.decode(bytes);
  } catch (cause) {
    throw new TypeError(`${bytes.length} bytes are not UTF-8: read them with as('bytes', 'bytes')`, { cause });
  }
}

const OF: { readonly [A in E]: (bytes: Uint8Array<ArrayBuffer>) => Encoding[A] } = { bytes: asBytes, utf8: asText };

export function codecOf<A extends E, B extends E>(key: A, value: B): Codec<Encoding[A], Encoding[B]> {
  const decodeKey = demandEncoding(key);
  const decodeValue = demandEncoding(value);
  return { keyOf: (given) => decodeKey(copyBytes(given)), key: decodeKey, value: decodeValue };
}

function demandEncoding<A extends E>(name: A): (bytes: Uint8Array<ArrayBuffer>) => Encoding[A] {
  if (!Object.hasOwn(OF, name)) throw new TypeError(`the encodings are 'utf8' and 'bytes', not ${String(name)}`);
  return OF[name];
}
