// npm run bench:catchup: a replica that lacks a gigabyte comes back while the others serve; the log is cut while they do. Who
// notices?
import { Command } from 'commander';
import { chosenOf, type PlaceOptions, runBench, startedAs, wholeNumber } from '../lib/command.js';
import { figure, ratio, table, times, writeJson } from '../lib/report.js';
import { type CatchUpFigures, type CatchUpPlan, catchUp, WAYS } from './catchup.js';
import { type CompactionFigures, compaction } from './compaction.js';

const PARTS = [...WAYS, 'compaction'] as const;

interface CatchUpOptions extends PlaceOptions, CatchUpPlan {
  readonly rounds: number;
  readonly only?: readonly string[];
}

function catchUpCommand(): Command {
  const names = (given: string): readonly string[] => chosenOf(PARTS, given.split(','));
  return new Command('npm run bench:catchup --')
    .description('a replica that lacks megabytes catches up, by log and by snapshot, while the load runs')
    .option('--megabytes <number>', 'that it lacks', wholeNumber(1, 100_000), 1_024)
    .option('--rate <number>', 'puts a second meanwhile', wholeNumber(1, 1_000_000), 5_000)
    .option('--seconds <number>', 'of load before, to compare with', wholeNumber(1, 3_600), 20)
    .option('--rounds <number>', 'with and without compaction; the median counts', wholeNumber(1, 99), 3)
    .option('--only <names>', `of ${PARTS.join(', ')}; with commas between`, names)
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

function renderCompaction({ never, always, maxLogBytes, besideStoreBytes, snapshots }: CompactionFigures): string {
  const puts = [never.median.opsPerSecond, always.median.opsPerSecond] as const;
  return table(
    ['puts/s, log never cut', 'cut and snapshots made', 'ratio', 'snapshots', 'beside the store, in maxLogBytes'],
    [[...puts.map(figure), times(ratio(puts[1], puts[0])), String(snapshots), times(besideStoreBytes / maxLogBytes)]],
  );
}

export function main(argv: readonly string[]): Promise<number> {
  return runBench<CatchUpOptions>(catchUpCommand(), argv, async (options, context) => {
    const chosen = (name: string): boolean => options.only === undefined || options.only.includes(name);
    const rows: CatchUpFigures[] = [];
    for (const way of WAYS) if (chosen(way)) rows.push(await catchUp(way, options, context));
    if (rows.length > 0) process.stdout.write(render(rows));
    const compacting = chosen('compaction') ? await compaction(options, context) : undefined;
    if (compacting !== undefined) process.stdout.write(renderCompaction(compacting));
    writeJson(options.json, { ...context.report, rows, compaction: compacting });
    return undefined;
  });
}

await startedAs(import.meta.url, main);
