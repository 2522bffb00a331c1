// The command line: one seed with everything about it, or many of them.
import { closeSync, openSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { runJobs } from './jobs.js';
import { describeOptions, drawOptions, override } from './options.js';
import { type Result, replayOf, runSeed } from './run-seed.js';
import { shrink } from './shrink.js';
import { Summary } from './summary.js';

interface MainOptions {
  readonly seed?: number;
  readonly from: number;
  readonly count: number;
  readonly minutes?: number;
  readonly jobs: number;
  readonly set: readonly string[];
  readonly log?: string;
  readonly history?: string;
  readonly shrink?: boolean;
}

const MINUTE = 60_000;

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number');
  return value;
}

function command(): Command {
  return new Command('simulate')
    .description('Runs whole clusters in virtual time, each as a seed decides, and checks what Raft and eraft promise.')
    .option('--seed <n>', 'run this one', integer)
    .option('--from <n>', 'the first of several', integer, 1)
    .option('--count <n>', 'how many', integer, 200)
    .option('--minutes <n>', 'as many as fit into this time, instead of a count', integer)
    .option('--jobs <n>', 'processes', integer, availableParallelism())
    .option(
      '--set <name=value>',
      'an option of the runs, instead of the one drawn',
      (text, all: string[]) => [...all, text],
      [],
    )
    .option('--log <file>', 'with --seed: write what happens, one line for each event')
    .option('--history <file>', 'with --seed: write what clients asked and heard, as lines of JSON')
    .option('--shrink', 'with --seed: look for a smaller set of options that fails in the same way');
}

/** @returns the exit code: 0 when all was well */
export async function main(argv: readonly string[]): Promise<number> {
  const program = command(); // ends the process itself, for --help and for options that it does not know
  program.parse(argv, { from: 'user' });
  const options = program.opts<MainOptions>();
  return options.seed === undefined ? runMany(options) : runOne(options, options.seed);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function runOne(o: MainOptions, seed: number): Promise<number> {
  const options = override(drawOptions(seed), o.set);
  print(describeOptions(options));
  const files: number[] = [];
  const sink = (path: string | undefined, end: string): ((line: string) => void) | null => {
    if (path === undefined) return null;
    const file = openSync(path, 'w');
    files.push(file);
    return (line) => writeSync(file, `${line}${end}`);
  };
  const result = await runSeed(options, { write: sink(o.log, '\n'), onHistory: sink(o.history, '') });
  for (const file of files) closeSync(file);
  const summary = new Summary();
  summary.add(result);
  print(summary.line);
  print(`trace ${result.hash}`);
  if (result.finding === null) return 0;
  printFailure(result);
  if (o.shrink === true) {
    const smaller = await shrink(options, (found, { finding }) => print(`  ${replayOf(found)}\n    ${finding}`));
    print(`smallest: ${replayOf(smaller)}`);
  }
  return 1;
}

function printFailure({ seed, finding, details, options, replay }: Result): void {
  print(`\nseed ${seed} failed: ${finding}\n${options}\n${details}\nreplay: ${replay}`);
}

async function runMany(o: MainOptions): Promise<number> {
  const until = o.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + o.minutes * MINUTE;
  const end = o.minutes === undefined ? o.from + o.count : Number.POSITIVE_INFINITY;
  print(
    `seeds from ${o.from}${end === Number.POSITIVE_INFINITY ? ` for ${o.minutes} minutes` : ` to ${end - 1}`}, ${o.jobs} processes`,
  );
  let seed = o.from;
  let failures = 0;
  const summary = new Summary();
  await runJobs({
    jobs: o.jobs,
    settings: o.set,
    next: () => (seed < end && Date.now() < until ? seed++ : null),
    onResult: (result) => {
      summary.add(result);
      if (result.finding === null) return;
      failures++;
      printFailure(result);
    },
  });
  print(summary.line);
  print(`${summary.seeds - failures} seeds passed, ${failures} failed`);
  return failures === 0 && summary.seeds > 0 ? 0 : 1;
}
