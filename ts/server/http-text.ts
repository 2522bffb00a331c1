// Bytes in URLs, headers and JSON.
import { isWellFormed } from '../base/bytes.js';
import { EraftError } from '../base/errors.js';

/** How JSON says bytes: text as it is, what is not UTF-8 as base64. */
export type JsonBytes = string | { readonly base64: string };

export function badRequest(message: string): EraftError {
  return new EraftError('ERAFT_BAD_REQUEST', message);
}

/** The bytes that percent-encoded text stands for. @throws ERAFT_BAD_REQUEST, also for characters that must be encoded */
export function percentDecode(text: string, what: string): Uint8Array {
  if (!/^[\x21-\x7e]*$/.test(text)) throw badRequest(`${what}: characters beyond ASCII must be percent-encoded`);
  const source = Buffer.from(text, 'latin1');
  const bytes = new Uint8Array(source.length);
  let length = 0;
  for (let i = 0; i < source.length; i += 1) {
    let byte = source[i] as number;
    if (byte === 0x25) {
      const high = hexDigit(source[i + 1]);
      const low = hexDigit(source[i + 2]);
      if (high < 0 || low < 0) throw badRequest(`${what}: % must be followed by two hexadecimal digits`);
      byte = high * 16 + low;
      i += 2;
    }
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** The parameters of a query string. */
export class Query {
  readonly #values = new Map<string, Uint8Array>();

  /** @throws ERAFT_BAD_REQUEST for a parameter that is not in `known`, and one that is given twice */
  constructor(text: string, known: readonly string[]) {
    for (const part of text.split('&')) {
      if (part === '') continue;
      const [name, value] = splitOnce(part.replaceAll('+', '%20'), '=');
      if (!known.includes(name)) {
        throw badRequest(`unknown parameter ${JSON.stringify(name)}; known here: ${known.join(', ') || 'none'}`);
      }
      if (this.#values.has(name)) throw badRequest(`parameter ${name} is given twice`);
      this.#values.set(name, percentDecode(value, `parameter ${name}`));
    }
  }

  bytes(name: string): Uint8Array | undefined {
    return this.#values.get(name);
  }

  text(name: string): string | undefined {
    const bytes = this.#values.get(name);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  }

  /** @throws ERAFT_BAD_REQUEST unless it is absent, or a whole number from `min` to `max` */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : integerIn(text, min, max, `parameter ${name}`);
  }

  /** `?name`, `?name=true`, `?name=1` are true. @throws ERAFT_BAD_REQUEST */
  flag(name: string): boolean {
    const text = this.text(name);
    if (text === undefined || text === 'false' || text === '0') return false;
    if (text === '' || text === 'true' || text === '1') return true;
    throw badRequest(`parameter ${name} must be true or false`);
  }

  /** @throws ERAFT_BAD_REQUEST */
  consistency(): 'linearizable' | 'stale' {
    const text = this.text('consistency') ?? 'linearizable';
    if (text === 'linearizable' || text === 'stale') return text;
    throw badRequest('parameter consistency must be linearizable or stale');
  }
}

/** @throws ERAFT_BAD_REQUEST unless `text` is a whole number in decimal digits from `min` to `max` */
export function integerIn(text: string, min: number, max: number, what: string): number {
  const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw badRequest(`${what} must be a whole number from ${min} to ${max}`);
  return value;
}

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function jsonBytes(bytes: Uint8Array): JsonBytes {
  try {
    return STRICT.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') };
  }
}

/** @throws ERAFT_BAD_REQUEST unless `value` is JsonBytes */
export function bytesOfJson(value: unknown, what: string): Uint8Array {
  if (typeof value === 'string') {
    if (!isWellFormed(value)) throw badRequest(`${what} holds a lone surrogate: give its bytes as {"base64": "…"}`);
    return Buffer.from(value, 'utf8');
  }
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 1 && 'base64' in value) {
    const text = value.base64;
    if (typeof text === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      const bytes = Buffer.from(text, 'base64');
      if (bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '')) return bytes;
    }
  }
  throw badRequest(`${what} must be a string, or {"base64": "…"} for bytes`);
}

/** The decimal text of the one entity tag in `header`. @throws ERAFT_BAD_REQUEST for lists, weak tags and other forms */
export function revisionOfTag(header: string, name: string): number {
  const match = /^"(\d{1,16})"$/.exec(header.trim());
  const revision = Number(match?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(revision)) throw badRequest(`${name} must be one ETag of this server, such as "42", or *`);
  return revision;
}

export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
