// What the commands that talk to a running cluster have in common: flags, connection, bytes in and out.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Client } from '../../client/client.js';
import { UsageError } from '../exit.js';
import { type Io, readAll } from '../io.js';

/** The client ports of a local cluster, as `eraft cluster` opens them. */
export const DEFAULT_ENDPOINTS = ['127.0.0.1:2460', '127.0.0.1:2461', '127.0.0.1:2462'];

export interface ClientFlags {
  readonly endpoints?: string;
  readonly timeout?: string;
}

export function withClientFlags(command: Command): Command {
  return command
    .option(
      '-e, --endpoints <list>',
      `replicas, as host:port,… (ERAFT_ENDPOINTS; default ${DEFAULT_ENDPOINTS.join(',')})`,
    )
    .option('--timeout <ms>', 'give up after so many milliseconds (ERAFT_TIMEOUT_MS; default 5000)');
}

export function endpointsOf(flags: ClientFlags, io: Io): readonly string[] {
  const given = flags.endpoints ?? io.environment.ERAFT_ENDPOINTS;
  if (given === undefined) return DEFAULT_ENDPOINTS;
  const list = given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (list.length > 0) return list;
  throw new UsageError(
    'no endpoints',
    `--endpoints or ERAFT_ENDPOINTS is ${JSON.stringify(given)}`,
    'name at least one host:port',
  );
}

export function timeoutOf(flags: ClientFlags, io: Io): number {
  const given = flags.timeout ?? io.environment.ERAFT_TIMEOUT_MS;
  return given === undefined ? 5_000 : wholeNumber('--timeout', given, 1, 2 ** 31 - 1);
}

/** @throws UsageError */
export function wholeNumber(name: string, given: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = /^-?\d+$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(
    `bad value ${JSON.stringify(given)} for ${name}`,
    `it must be a whole number ${range}`,
    'correct it',
  );
}

/** Connects, runs `work`, and leaves nothing behind. */
export async function withClient<R>(flags: ClientFlags, io: Io, work: (client: Client) => Promise<R>): Promise<R> {
  const endpoints = endpointsOf(flags, io);
  const timeoutMs = timeoutOf(flags, io);
  const { Client } = await import('../../client/client.js');
  const client = await Client.connect(endpoints, { timeoutMs });
  try {
    return await work(client);
  } finally {
    await client.close({ timeoutMs: 1 });
  }
}

export type Encoded = 'text' | 'hex' | 'base64';

export interface EncodingFlags {
  readonly hex?: boolean;
  readonly base64?: boolean;
  readonly json?: boolean;
}

/** @throws UsageError for more than one */
export function encodingOf({ hex, base64, json }: EncodingFlags): Encoded | 'json' {
  const chosen = [hex && 'hex', base64 && 'base64', json && 'json'].filter((each) => typeof each === 'string');
  if (chosen.length > 1) {
    throw new UsageError(`--${chosen.join(' and --')} together`, 'a value is printed in one way', 'choose one');
  }
  return (chosen[0] as 'hex' | 'base64' | 'json' | undefined) ?? 'text';
}

const strict = new TextDecoder('utf-8', { fatal: true });

/** For JSON: text where the bytes are text, else `{ base64 }`, so that nothing is lost. */
export function jsonBytes(bytes: Uint8Array): string | { readonly base64: string } {
  try {
    return strict.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') };
  }
}

/** A key as it was typed; with --hex-key as its bytes. */
export function keyOf(given: string, hexKey: boolean | undefined): string | Uint8Array {
  if (hexKey !== true) return given;
  if (/^([0-9a-fA-F]{2})+$/.test(given)) return new Uint8Array(Buffer.from(given, 'hex'));
  throw new UsageError(
    `the key ${JSON.stringify(given)} is not hexadecimal`,
    '--hex-key was given',
    'give pairs of digits, as in 00ff',
  );
}

/** A value from the command line, from standard input (`-`), or from a file. */
export async function valueBytes(given: string | undefined, file: string | undefined, io: Io): Promise<Uint8Array> {
  if (given !== undefined && file !== undefined) {
    throw new UsageError('a value and --file together', 'only one of them can be meant', 'leave one away');
  }
  if (file !== undefined) return readValueFile(file);
  if (given === undefined) {
    throw new UsageError(
      'no value',
      'neither an argument nor --file gives one',
      "add the value, or '-' to read it from standard input",
    );
  }
  return given === '-' ? readAll(io.stdin) : new TextEncoder().encode(given);
}

function readValueFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(
      `cannot read ${file}`,
      error instanceof Error ? error.message : String(error),
      'name a readable file',
    );
  }
}
