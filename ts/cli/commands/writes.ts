// eraft put, append, delete, increment and cas.
import type { Command } from 'commander';
import type { Condition } from '../../client/key-value.js';
import { EXIT, type ExitCode, UsageError } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import { type ClientFlags, jsonBytes, keyOf, valueBytes, wholeNumber, withClient, withClientFlags } from './shared.js';

interface WriteFlags extends ClientFlags {
  readonly json?: boolean;
  readonly hexKey?: boolean;
  readonly file?: string;
}

interface CasFlags extends WriteFlags {
  readonly ifRevision?: string;
  readonly ifValue?: string;
  readonly ifAbsent?: boolean;
  readonly ifPresent?: boolean;
}

/** Prints facts as JSON, or as one line of words. */
async function tell(io: Io, flags: WriteFlags, facts: Readonly<Record<string, unknown>>, words: string): Promise<void> {
  await write(io.stdout, flags.json === true ? `${JSON.stringify(facts)}\n` : `${words}\n`);
}

async function put(given: string, value: string | undefined, flags: WriteFlags, io: Io): Promise<ExitCode> {
  const key = keyOf(given, flags.hexKey);
  const bytes = await valueBytes(value, flags.file, io);
  const { revision } = await withClient(flags, io, (client) => client.put(key, bytes));
  await tell(io, flags, { revision }, `revision ${revision}`);
  return EXIT.ok;
}

async function append(given: string, value: string | undefined, flags: WriteFlags, io: Io): Promise<ExitCode> {
  const key = keyOf(given, flags.hexKey);
  const bytes = await valueBytes(value, flags.file, io);
  const { revision, length } = await withClient(flags, io, (client) => client.append(key, bytes));
  await tell(io, flags, { revision, length }, `revision ${revision}, ${length} bytes`);
  return EXIT.ok;
}

async function remove(given: string, flags: WriteFlags, io: Io): Promise<ExitCode> {
  const key = keyOf(given, flags.hexKey);
  const { revision } = await withClient(flags, io, (client) => client.delete(key));
  await tell(io, flags, { revision }, `revision ${revision}`);
  return EXIT.ok;
}

async function increment(given: string, by: string | undefined, flags: WriteFlags, io: Io): Promise<ExitCode> {
  const key = keyOf(given, flags.hexKey);
  const summand = by === undefined ? 1 : wholeNumber('<by>', by, Number.MIN_SAFE_INTEGER);
  const { revision, value } = await withClient(flags, io, (client) => client.increment(key, summand));
  await tell(io, flags, { revision, value }, String(value));
  return EXIT.ok;
}

/** @throws UsageError unless exactly one condition was given */
function conditionOf(key: string | Uint8Array, flags: CasFlags): Condition {
  const found: Condition[] = [];
  if (flags.ifRevision !== undefined) found.push({ key, revision: wholeNumber('--if-revision', flags.ifRevision, 0) });
  if (flags.ifValue !== undefined) found.push({ key, value: flags.ifValue });
  if (flags.ifAbsent === true) found.push({ key, exists: false });
  if (flags.ifPresent === true) found.push({ key, exists: true });
  const [only] = found;
  if (found.length === 1 && only !== undefined) return only;
  throw new UsageError(
    `${found.length} conditions`,
    'cas needs exactly one',
    'give --if-revision, --if-value, --if-absent or --if-present',
  );
}

async function compareAndSwap(given: string, value: string | undefined, flags: CasFlags, io: Io): Promise<ExitCode> {
  const key = keyOf(given, flags.hexKey);
  const condition = conditionOf(key, flags);
  const bytes = await valueBytes(value, flags.file, io);
  const decision = await withClient(flags, io, (client) => client.compareAndSwap(condition, bytes));
  if (decision.ok) {
    await tell(io, flags, { ok: true, revision: decision.revision }, `revision ${decision.revision}`);
    return EXIT.ok;
  }
  const current = decision.failed[0]?.current;
  const shown = current === undefined ? null : { value: jsonBytes(current.value), revision: current.revision };
  const words = current === undefined ? 'the key is not there' : `the key is at revision ${current.revision}`;
  await tell(io, flags, { ok: false, current: shown }, `not changed: ${words}`);
  return EXIT.notFound;
}

function withWriteFlags(command: Command, hasValue: boolean): Command {
  withClientFlags(command).option('--json', 'print JSON').option('--hex-key', 'the key is given as hexadecimal digits');
  return hasValue ? command.option('--file <path>', 'read the value from a file') : command;
}

export function addWrites(program: Command, io: Io, run: (action: Action) => void): void {
  const value = "the value, or '-' for standard input";
  withWriteFlags(program.command('put').argument('<key>').argument('[value]', value), true)
    .description('write a value')
    .action((key: string, given: string | undefined, flags: WriteFlags) => run(() => put(key, given, flags, io)));
  withWriteFlags(program.command('append').argument('<key>').argument('[value]', value), true)
    .description('add to the end of a value')
    .action((key: string, given: string | undefined, flags: WriteFlags) => run(() => append(key, given, flags, io)));
  withWriteFlags(program.command('delete').argument('<key>'), false)
    .description('delete a key; no error when there is none')
    .action((key: string, flags: WriteFlags) => run(() => remove(key, flags, io)));
  withWriteFlags(
    program
      .command('increment')
      .argument('<key>')
      .argument('[by]', 'a whole number; after -- when negative (default 1)'),
    false,
  )
    .description('add to a number and print it')
    .action((key: string, by: string | undefined, flags: WriteFlags) => run(() => increment(key, by, flags, io)));
  withWriteFlags(program.command('cas').argument('<key>').argument('[value]', value), true)
    .description('write a value if a condition holds (compare and swap); exit 4 when it does not')
    .option('--if-revision <revision>', 'the key is at this revision (0: not there)')
    .option('--if-value <value>', 'the key has this value')
    .option('--if-absent', 'the key is not there')
    .option('--if-present', 'the key is there')
    .action((key: string, given: string | undefined, flags: CasFlags) =>
      run(() => compareAndSwap(key, given, flags, io)),
    );
}
