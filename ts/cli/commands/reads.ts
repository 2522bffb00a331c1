// eraft get and eraft scan.
import type { Command } from 'commander';
import type { ReadOptions, ScanOptions } from '../../client/key-value.js';
import { EXIT, type ExitCode, UsageError } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import {
  type ClientFlags,
  type EncodingFlags,
  encodingOf,
  jsonBytes,
  keyOf,
  wholeNumber,
  withClient,
  withClientFlags,
} from './shared.js';

interface ReadFlags extends ClientFlags, EncodingFlags {
  readonly consistency?: string;
  readonly hexKey?: boolean;
}

interface ScanFlags extends ReadFlags {
  readonly prefix?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: string;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
  readonly snapshot?: boolean;
}

function withReadFlags(command: Command): Command {
  return withClientFlags(command)
    .option('--consistency <kind>', 'linearizable, or stale: from any replica, at once', 'linearizable')
    .option('--hex', 'print bytes as hexadecimal digits')
    .option('--base64', 'print bytes as base64')
    .option('--json', 'print JSON, with the revision')
    .option('--hex-key', 'keys are given as hexadecimal digits');
}

function readOptionsOf({ consistency }: ReadFlags): ReadOptions {
  if (consistency === undefined || consistency === 'linearizable' || consistency === 'stale') {
    return consistency === undefined ? {} : { consistency };
  }
  throw new UsageError(
    `unknown consistency ${JSON.stringify(consistency)}`,
    'there are two',
    'say linearizable or stale',
  );
}

async function get(given: string, flags: ReadFlags, io: Io): Promise<ExitCode> {
  const how = encodingOf(flags);
  const options = readOptionsOf(flags);
  const key = keyOf(given, flags.hexKey);
  const entry = await withClient(flags, io, (client) => client.getEntry(key, options));
  if (entry === undefined) {
    await write(io.stderr, `eraft: there is no ${JSON.stringify(given)}\n`);
    return EXIT.notFound;
  }
  if (how === 'json') {
    const shown = { key: jsonBytes(entry.key), value: jsonBytes(entry.value), revision: entry.revision };
    await write(io.stdout, `${JSON.stringify(shown)}\n`);
  } else if (how === 'text') {
    await write(io.stdout, entry.value);
    if (io.stdout.isTTY === true) await write(io.stdout, '\n');
  } else {
    await write(io.stdout, `${Buffer.from(entry.value).toString(how)}\n`);
  }
  return EXIT.ok;
}

function scanOptionsOf(flags: ScanFlags): ScanOptions {
  const options: ScanOptions = readOptionsOf(flags);
  if (flags.prefix !== undefined) options.prefix = keyOf(flags.prefix, flags.hexKey);
  if (flags.from !== undefined) options.gte = keyOf(flags.from, flags.hexKey);
  if (flags.to !== undefined) options.lt = keyOf(flags.to, flags.hexKey);
  if (flags.limit !== undefined) options.limit = wholeNumber('--limit', flags.limit, 1);
  if (flags.reverse === true) options.reverse = true;
  if (flags.keysOnly === true) options.keysOnly = true;
  if (flags.snapshot === true) options.snapshot = true;
  return options;
}

/** One line an entry: key, tab, value. Line by line means that text with newlines is better read with --json. */
async function scan(flags: ScanFlags, io: Io): Promise<ExitCode> {
  const how = encodingOf(flags);
  const options = scanOptionsOf(flags);
  const shown = (bytes: Uint8Array): string =>
    Buffer.from(bytes).toString(how === 'text' || how === 'json' ? 'utf8' : how);
  await withClient(flags, io, async (client) => {
    for await (const page of client.scan(options).pages()) {
      const lines = page.map(({ key, value, revision }) => {
        if (how === 'json') {
          const rest = flags.keysOnly === true ? {} : { value: jsonBytes(value) };
          return JSON.stringify({ key: jsonBytes(key), ...rest, revision });
        }
        return flags.keysOnly === true ? shown(key) : `${shown(key)}\t${shown(value)}`;
      });
      if (lines.length > 0) await write(io.stdout, `${lines.join('\n')}\n`);
      if (io.stdout.destroyed) return;
    }
  });
  return EXIT.ok;
}

export function addReads(program: Command, io: Io, run: (action: Action) => void): void {
  withReadFlags(
    program.command('get').argument('<key>').description('print the value of a key; exit 4 when there is none'),
  ).action((key: string, flags: ReadFlags) => run(() => get(key, flags, io)));
  withReadFlags(program.command('scan').description('print entries in the order of their keys: key, tab, value'))
    .option('--prefix <prefix>', 'keys that begin so')
    .option('--from <key>', 'keys from here on')
    .option('--to <key>', 'keys before this one')
    .option('--limit <number>', 'no more entries than this')
    .option('--reverse', 'from the last key to the first')
    .option('--keys-only', 'leave the values away')
    .option('--snapshot', 'all of one moment')
    .action((flags: ScanFlags) => run(() => scan(flags, io)));
}
