// npm run bench:catchup: a replica that lacks a gigabyte comes back while the others serve. Who notices?
import { Command } from 'commander';
import { chosenOf, type PlaceOptions, runBench, startedAs, wholeNumber } from '../lib/command.js';
import { figure, ratio, table, times, writeJson } from '../lib/report.js';
import { type CatchUpFigures, type CatchUpPlan, catchUp, WAYS } from './catchup.js';

interface CatchUpOptions extends PlaceOptions, CatchUpPlan {
  readonly only?: readonly string[];
}

function catchUpCommand(): Command {
  const names = (given: string): readonly string[] => chosenOf(WAYS, given.split(','));
  return new Command('npm run bench:catchup --')
    .description('a replica that lacks megabytes catches up, by log and by snapshot, while the load runs')
    .option('--megabytes <number>', 'that it lacks', wholeNumber(1, 100_000), 1_024)
    .option('--rate <number>', 'puts a second meanwhile', wholeNumber(1, 1_000_000), 5_000)
    .option('--seconds <number>', 'of load before, to compare with', wholeNumber(1, 3_600), 20)
    .option('--only <names>', `of ${WAYS.join(', ')}; with commas between`, names)
    .option('--json <file>', 'write the figures to a file, too')
    .option('--dir <folder>', 'where to put data while it runs (default: in the cache folder of the user)')
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(false);
}

const HEADER = ['by', 'MB', 'seconds', 'MB/s', 'p99 before', 'p99 during', 'ratio', 'elections', 'errors', 'restart s'];

function render(rows: readonly CatchUpFigures[]): string {
  return table(
    HEADER,
    rows.map((row) => [
      row.way,
      ...[row.megabytes, row.seconds, row.megabytesPerSecond, row.p99BeforeMs, row.p99DuringMs].map(figure),
      times(ratio(row.p99DuringMs, row.p99BeforeMs)),
      String(row.elections),
      String(row.errors),
      figure(row.restartSeconds),
    ]),
  );
}

export function main(argv: readonly string[]): Promise<number> {
  return runBench<CatchUpOptions>(catchUpCommand(), argv, async (options, context) => {
    const rows: CatchUpFigures[] = [];
    for (const way of WAYS) {
      if (options.only === undefined || options.only.includes(way)) rows.push(await catchUp(way, options, context));
    }
    process.stdout.write(render(rows));
    writeJson(options.json, { ...context.report, rows });
    return undefined;
  });
}

await startedAs(import.meta.url, main);
