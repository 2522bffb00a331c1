// The kinds of values that options have: how each is read from text and shown again.
import { parseHostPort } from '../../transport/address.js';

export type Peers = Readonly<Record<number, string>>;
export type Value = string | number | boolean | Peers;

export interface Kind {
  /** Shown in help: `--cache-bytes <bytes>`. Empty for a flag without a value. */
  readonly placeholder: string;
  /** @throws Error whose message says what the value must look like */
  parse(value: unknown): Value;
  show(value: Value): string;
}

function textOf(value: unknown, wanted: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Error(`must be ${wanted}`);
}

const plain = (value: Value): string => String(value);

export const text: Kind = { placeholder: '<text>', parse: (value) => textOf(value, 'text'), show: plain };
export const path: Kind = { placeholder: '<path>', parse: (value) => textOf(value, 'a path'), show: plain };

export const address: Kind = {
  placeholder: '<host:port>',
  parse(value) {
    const given = textOf(value, 'host:port, as in 127.0.0.1:2460');
    try {
      parseHostPort(given);
    } catch {
      throw new Error('must be host:port, as in 127.0.0.1:2460');
    }
    return given;
  },
  show: plain,
};

export const flag: Kind = {
  placeholder: '',
  parse(value) {
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0') return false;
    throw new Error('must be true or false');
  },
  show: plain,
};

/** @param least - the smallest that makes sense; what is too small for other options is said by what uses it */
export function integer(least: number, placeholder = '<number>'): Kind {
  const wanted = `must be a whole number of at least ${least}`;
  return {
    placeholder,
    parse(value) {
      const number = typeof value === 'number' ? value : /^-?\d+$/.test(String(value)) ? Number(value) : Number.NaN;
      if (!Number.isSafeInteger(number) || number < least) throw new Error(wanted);
      return number;
    },
    show: plain,
  };
}

export const milliseconds = integer(1, '<ms>');

const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `67108864` or `64MiB`. */
export function bytes(least: number): Kind {
  return {
    placeholder: '<bytes>',
    parse(value) {
      const [, digits, unit = ''] = /^(-?\d+)\s*(KiB|MiB|GiB)?$/.exec(String(value)) ?? [];
      const number = digits === undefined ? Number.NaN : Number(digits) * (UNITS[unit] ?? Number.NaN);
      if (!Number.isSafeInteger(number) || number < least) {
        throw new Error(`must be bytes, at least ${least}, as in 67108864 or 64MiB`);
      }
      return number;
    },
    show(value) {
      const unit = ['GiB', 'MiB', 'KiB'].find((name) => Number(value) > 0 && Number(value) % (UNITS[name] ?? 1) === 0);
      return unit === undefined ? String(value) : `${Number(value) / (UNITS[unit] ?? 1)}${unit}`;
    },
  };
}

export function choice(...names: readonly string[]): Kind {
  return {
    placeholder: `<${names.join('|')}>`,
    parse(value) {
      if (typeof value === 'string' && names.includes(value)) return value;
      throw new Error(`must be one of ${names.join(', ')}`);
    },
    show: plain,
  };
}

/** `1=host:port,2=host:port`, or in a file a table of the same. */
export const peers: Kind = {
  placeholder: '<id=host:port,…>',
  parse(value) {
    const pairs =
      typeof value === 'string'
        ? value
            .split(',')
            .filter((part) => part.trim() !== '')
            .map(splitPair)
        : tableOf(value);
    const found: Record<number, string> = {};
    for (const [name, where] of pairs) {
      const id = Number(name);
      if (!/^\d+$/.test(name) || id < 1 || id > 0xffff_ffff)
        throw new Error(`has the id ${JSON.stringify(name)}; ids are whole numbers from 1`);
      if (id in found) throw new Error(`names replica ${id} twice`);
      try {
        parseHostPort(where);
      } catch {
        throw new Error(`gives replica ${id} the address ${JSON.stringify(where)}; it must be host:port`);
      }
      found[id] = where;
    }
    return found;
  },
  show: (value) =>
    Object.entries(value)
      .map(([id, where]) => `${id}=${where}`)
      .join(','),
};

function splitPair(part: string): [string, string] {
  const at = part.indexOf('=');
  if (at < 0) throw new Error('must be id=host:port, separated by commas');
  return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
}

function tableOf(value: unknown): [string, string][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('must be a table of id = "host:port"');
  return Object.entries(value).map(([id, where]) => [id, String(where)]);
}
