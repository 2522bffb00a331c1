// The command line of a bench: the options that all have, how it ends, what a report begins with.
import { accessSync, constants, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { VERSION } from '../../ts/base/version.js';
import { BenchError, UsageError } from './errors.js';
import { describeMachine } from './machine.js';
import { ProcessFailed } from './processes.js';
import { figure, type Report } from './report.js';
import { Workplace } from './workplace.js';

/** What every bench is told about where it works. */
export interface PlaceOptions {
  readonly json?: string;
  readonly dir?: string;
}

export interface CommonOptions extends PlaceOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly only?: readonly string[];
}

/** For commander: a whole number within bounds, or a clear refusal. */
export function wholeNumber(least: number, most = 1_000_000_000): (given: string) => number {
  return (given) => {
    const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function list(given: string): string[] {
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** @param rows - the names that `--only` knows */
export function benchCommand(
  name: string,
  about: string,
  rows: readonly string[],
  defaults: { readonly rounds: number; readonly seconds: number },
): Command {
  return new Command(`npm run bench:${name} --`)
    .description(about)
    .option('--rounds <number>', 'measure each system so often; the median counts', wholeNumber(1, 99), defaults.rounds)
    .option('--seconds <number>', 'of each measurement', wholeNumber(1, 3_600), defaults.seconds)
    .option('--only <names>', `of ${rows.join(', ')}; with commas between`, (given) => chosenOf(rows, list(given)))
    .option('--json <file>', 'write the figures to a file, too')
    .option('--dir <folder>', 'where to put data while it runs (default: in the cache folder of the user)')
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(false);
}

/** @throws UsageError for a name that is not there */
export function chosenOf<T extends string>(names: readonly T[], only: readonly string[] | undefined): readonly T[] {
  if (only === undefined) return names;
  const unknown = only.filter((name) => !(names as readonly string[]).includes(name));
  if (unknown.length > 0) throw new UsageError(`--only knows no ${unknown.join(', ')}; it knows ${names.join(', ')}`);
  if (only.length === 0) throw new UsageError(`--only names nothing; it knows ${names.join(', ')}`);
  return names.filter((name) => only.includes(name));
}

/** What `work` is given besides the options. */
export interface BenchContext {
  readonly place: Workplace;
  /** What every report begins with. */
  readonly report: Omit<Report<never>, 'rows'>;
  /** A line of progress, on standard error. */
  note(text: string): void;
}

/**
 * Reads the options, does the work in a fresh folder, and leaves neither data nor processes behind.
 *
 * @param work - may return an exit code; none is 0
 * @returns the exit code: 0, 1 for a failure, 2 for a wrong command line
 */
export async function runBench<O extends PlaceOptions>(
  command: Command,
  argv: readonly string[],
  work: (options: O, context: BenchContext) => Promise<number | undefined>,
): Promise<number> {
  let place: Workplace | undefined;
  try {
    command.exitOverride().parse([...argv], { from: 'user' });
    const options = command.opts<O>();
    chosenJsonFile(options.json);
    if (process.platform !== 'linux') throw new BenchError('the benches read /proc: they need Linux');
    place = new Workplace(nameOf(command), options.dir === undefined ? undefined : resolve(options.dir));
    const report = {
      versions: { eraft: VERSION, node: process.version.slice(1) },
      machine: describeMachine(place.folder),
      date: new Date().toISOString(),
      command: [command.name(), ...argv].join(' '),
    };
    const note = (text: string): void => void process.stderr.write(`${text}\n`);
    return (await work(options, { place, report, note })) ?? 0;
  } catch (error) {
    return exitCodeOf(error);
  } finally {
    await place?.close();
  }
}

function nameOf(command: Command): string {
  return /bench:([\w-]+)/.exec(command.name())?.[1] ?? 'bench';
}

/** Known to be writable before the work of an hour is done. */
function chosenJsonFile(file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(dirname(resolve(file)), constants.W_OK);
  } catch {
    throw new UsageError(`--json ${file}: its folder is not there or not writable`);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    process.stderr.write(`error: ${error.message}\n`);
    return 2;
  }
  const known = error instanceof BenchError || error instanceof ProcessFailed;
  process.stderr.write(
    `error: ${known || !(error instanceof Error) ? String((error as Error).message) : error.stack}\n`,
  );
  return 1;
}

/** One line for a measurement, as it comes. */
export function progressLine(what: string, system: string, round: number, rounds: number, perSecond: number): string {
  return `${what}, round ${round} of ${rounds}: ${system} ${figure(perSecond)}/s`;
}

/** Runs `main` when `url` is the module that the process was started with. */
export async function startedAs(url: string, main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  const started = process.argv[1];
  if (started === undefined || realpathSync(started) !== fileURLToPath(url)) return;
  process.exitCode = await main(process.argv.slice(2));
}
