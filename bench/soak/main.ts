// npm run bench:soak: three replicas under a steady load, and whether anything grows that should not.
import { Command } from 'commander';
import { type BenchContext, type PlaceOptions, runBench, startedAs, wholeNumber } from '../lib/command.js';
import { UsageError } from '../lib/errors.js';
import { figure, table, writeJson } from '../lib/report.js';
import { type Period, type Soaked, type SoakPlan, soak } from './soak.js';
import { amountOf, judge, overall, POINTS_MIN, type Series, type SeriesVerdict, type Verdict } from './verdict.js';

const MIB = 1024 * 1024;

interface SoakOptions extends PlaceOptions, Omit<SoakPlan, 'periodSeconds' | 'warmupPeriods' | 'loadPercent'> {
  readonly period: number;
  readonly warmup?: number;
  readonly load: number;
}

function soakCommand(): Command {
  const KEYS_MAX = 100_000_000; // of 8 digits
  return new Command('npm run bench:soak --')
    .description('three replica processes under a steady load of reads and writes: does anything grow?')
    .option('--minutes <number>', 'how long', wholeNumber(1, 100_000), 20)
    .option('--period <seconds>', 'look and tell so often', wholeNumber(1, 3_600), 60)
    .option('--warmup <periods>', 'not judged (default: the first quarter)', wholeNumber(0))
    .option('--load <percent>', 'of the capacity in a closed loop, measured first', wholeNumber(1, 100), 70)
    .option('--calibrate-seconds <number>', 'for measuring the capacity', wholeNumber(1, 3_600), 20)
    .option('--rate <number>', 'operations a second, instead of a share of the capacity', wholeNumber(0), 0)
    .option('--keys <number>', 'how many; they are written again and again', wholeNumber(1, KEYS_MAX), 100_000)
    .option('--value-bytes <number>', 'length of a value', wholeNumber(0, MIB), 256)
    .option('--read-percent <number>', 'of 100 operations', wholeNumber(0, 100), 50)
    .option('--connections <number>', 'each a client of its own', wholeNumber(1, 1_024), 16)
    .option('--json <file>', 'write the figures to a file, too')
    .option('--dir <folder>', 'where to put data while it runs (default: in the cache folder of the user)')
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(false);
}

/** @throws UsageError when nothing would be left to look at */
export function planOf(options: SoakOptions): SoakPlan {
  const { period, warmup, load, ...rest } = options;
  const periods = Math.round((options.minutes * 60) / period);
  if (periods < 1) throw new UsageError(`--period ${period} is longer than --minutes ${options.minutes}`);
  const warmupPeriods = warmup ?? Math.ceil(periods / 4);
  if (warmupPeriods >= periods) throw new UsageError(`--warmup ${warmupPeriods} leaves none of ${periods} periods`);
  const calibrateSeconds = options.calibrateSeconds;
  return { ...rest, calibrateSeconds, periodSeconds: period, warmupPeriods, loadPercent: load };
}

const COLUMNS = [9, 10, 8, 8, 34, 10, 7] as const;
const HEADER = ['period', 'ops/s', 'p50 ms', 'p99 ms', 'RSS MiB: replicas 1 2 3, load', 'disk MiB', 'errors'];

const mebibytes = (bytes: number): string => (bytes / MIB).toFixed(0);

function line(cells: readonly string[]): string {
  return `${cells.map((cell, i) => cell.padStart(COLUMNS[i] ?? 0)).join(' ')}\n`;
}

function renderPeriod({ period, warm, perSecond, p50Ms, p99Ms, rssBytes, diskBytes, errors }: Period): string {
  const name = warm ? String(period) : `(${period})`;
  const memory = Object.values(rssBytes).map(mebibytes).join(' ');
  const latencies = [p50Ms, p99Ms].map((ms) => ms.toFixed(2));
  return line([name, figure(perSecond), ...latencies, memory, mebibytes(diskBytes), String(errors)]);
}

/** What is judged, of the periods that are warm. */
export function seriesOf(periods: readonly Period[]): Series[] {
  const warm = periods.filter((each) => each.warm);
  const names = Object.keys(periods[0]?.rssBytes ?? {});
  return [
    ...names.map(
      (name): Series => ({
        name: `RSS, ${name}`,
        kind: 'rss',
        values: warm.map((p) => p.rssBytes[name] ?? Number.NaN),
      }),
    ),
    { name: 'disk, all folders', kind: 'disk', values: warm.map((p) => p.diskBytes) },
    { name: 'p99', kind: 'p99', values: warm.map((p) => p.p99Ms) },
  ];
}

function verdictOf({ periods, asked }: Soaked, series: readonly SeriesVerdict[]): Verdict {
  const warm = periods.filter((each) => each.warm);
  const errors = warm.reduce((sum, each) => sum + each.errors, 0);
  return overall(series, { perSecond: warm.map((each) => each.perSecond), asked, errors });
}

const EXPLAINED: Readonly<Record<Verdict, string>> = {
  steady: 'nothing grows beyond noise',
  drift: 'something grows beyond noise',
  'too short': `a judgement takes ${POINTS_MIN} periods after the warm-up`,
  'not held': 'the load was not held, or met errors: nothing can be said',
};

function renderVerdict(series: readonly SeriesVerdict[], verdict: Verdict, soaked: Soaked): string {
  const rows = series.map(({ name, kind, verdict: of, median, slope, slopeLow, growth, tolerance }) => [
    ...[name, ...[median, slope, slopeLow, growth, tolerance].map((value) => amountOf(kind, value)), of],
  ]);
  const header = ['series', 'median', 'slope a period', 'at least', 'growth', 'noise up to', 'verdict'];
  const errors = Object.entries(soaked.errors).map(([code, times]) => `${code} ${times}`);
  const met = errors.length === 0 ? '' : `errors: ${errors.join(', ')}\n`;
  return `\n${table(header, rows)}\n${met}verdict: ${verdict}: ${EXPLAINED[verdict]}\n`;
}

async function run(options: SoakOptions, context: BenchContext): Promise<number> {
  const plan = planOf(options);
  process.stdout.write(line(HEADER));
  const soaked = await soak(plan, context, (period) => void process.stdout.write(renderPeriod(period)));
  const series = seriesOf(soaked.periods).map(judge);
  const verdict = verdictOf(soaked, series);
  process.stdout.write(renderVerdict(series, verdict, soaked));
  const { periods, ...more } = soaked;
  writeJson(options.json, { ...context.report, plan, ...more, rows: periods, series, verdict });
  return verdict === 'drift' || verdict === 'not held' ? 1 : 0;
}

export function main(argv: readonly string[]): Promise<number> {
  return runBench<SoakOptions>(soakCommand(), argv, run);
}

await startedAs(import.meta.url, main);
