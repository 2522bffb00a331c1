// npm run bench:etcd: three replicas of eraft and three members of etcd, on one machine and one disk, in turns.
//
// All processes run from beginning to end, the idle ones too; what that costs is measured and told.
// Start at works.ts (what is measured), then systems.ts (how).
import { setTimeout as delay } from 'node:timers/promises';
import { Option } from 'commander';
import {
  type BenchContext,
  benchCommand,
  type CommonOptions,
  chosenOf,
  progressLine,
  runBench,
  startedAs,
} from '../lib/command.js';
import { UsageError } from '../lib/errors.js';
import { renderMachine } from '../lib/machine.js';
import { cpuMicrosOf, rssBytesOf, untilQuiet } from '../lib/processes.js';
import { writeJson } from '../lib/report.js';
import { measureInTurns } from '../lib/rounds.js';
import { type EtcdSource, findEtcd } from './etcd-programs.js';
import { type FrontName, type StoreSystem, startEraft, startEtcd } from './systems.js';
import { type EtcdRow, etcdRow, type Idle, renderIdle, renderRows } from './table.js';
import { IN_FLIGHT_KNOWN, type Row, rowsOf, WORKS } from './works.js';

interface EtcdOptions extends CommonOptions {
  readonly server: FrontName;
  readonly inFlight?: readonly number[];
  readonly etcd: EtcdSource;
}

const IDLE_SECONDS = 5;

export async function main(argv: readonly string[]): Promise<number> {
  const about = 'three replicas of eraft beside three members of etcd, everything synced';
  const command = benchCommand('etcd', about, WORKS, { rounds: 3, seconds: 10 })
    .option('--in-flight <numbers>', `of ${IN_FLIGHT_KNOWN.join(', ')}; with commas between`, inFlightList)
    .addOption(
      new Option('--server <name>', 'what eraft serves with; ws: beside uWebSockets.js')
        .choices(['uws', 'ws'])
        .default('uws'),
    )
    .addOption(
      new Option('--etcd <source>', 'built with Go, or the package of Debian')
        .choices(['auto', 'go', 'debian'])
        .default('auto'),
    );
  return runBench<EtcdOptions>(command, argv, bench);
}

function inFlightList(given: string): number[] {
  const counts = given.split(',').map(Number);
  const unknown = counts.filter((count) => !IN_FLIGHT_KNOWN.includes(count));
  if (unknown.length > 0) throw new UsageError(`--in-flight is of ${IN_FLIGHT_KNOWN.join(', ')}, not ${given}`);
  return counts;
}

async function bench(options: EtcdOptions, context: BenchContext): Promise<number> {
  const { place, note, report } = context;
  const rows = rowsOf(chosenOf(WORKS, options.only), options.inFlight);
  const programs = await findEtcd(options.etcd, place, note);
  const versions: Readonly<Record<string, string>> = { ...report.versions, etcd: programs.version };
  const systems = [
    await startEraft(context, 'eraft', options.server),
    ...(options.server === 'ws' ? [await startEraft(context, 'eraftOnUws', 'uws')] : []),
    await startEtcd(context, programs),
  ];
  const idle = await measureIdle(systems);
  const measured: EtcdRow[] = [];
  for (const row of rows) measured.push(await measureRow(row, systems, options, context));
  const loads =
    programs.loadTool === undefined
      ? 'callers over node:http2 (random keys; slower than its own tool)'
      : 'its own tool (reads: one key)';
  process.stdout.write(
    `\neraft ${versions.eraft} (serving with ${options.server}) beside etcd ${versions.etcd}, loaded with ${loads}\n` +
      `${renderMachine(report.machine)}${renderIdle(idle)}\n${renderRows(measured, options.server)}` +
      `\nmedians of ${options.rounds} rounds of ${options.seconds} s; ratios: eraft / etcd. docs/benchmarks.md says how to read them\n`,
  );
  const { rounds, seconds, server } = options;
  writeJson(options.json, { ...report, versions, rounds, seconds, server, etcdLoad: loads, idle, rows: measured });
  return 0;
}

async function measureIdle(systems: readonly StoreSystem[]): Promise<Record<string, Idle>> {
  await untilQuiet(systems.flatMap(({ pids }) => pids));
  const before = systems.map(({ pids }) => cpuMicrosOf(pids));
  await delay(IDLE_SECONDS * 1_000);
  const entries = systems.map(({ name, pids }, i) => {
    const cpuShare = (cpuMicrosOf(pids) - (before[i] ?? 0)) / (IDLE_SECONDS * 1e6);
    return [name, { rssBytes: pids.map(rssBytesOf), cpuShare }] as const;
  });
  return Object.fromEntries(entries);
}

async function measureRow(
  row: Row,
  systems: readonly StoreSystem[],
  { rounds, seconds }: EtcdOptions,
  { note }: BenchContext,
): Promise<EtcdRow> {
  const pids = systems.flatMap((system) => system.pids);
  if (row.work !== 'put') for (const system of systems) await system.fill(row.keys);
  const turns = systems.map((system) => ({
    name: system.name,
    measure: async () => {
      await untilQuiet(pids);
      return system.load(row, seconds);
    },
  }));
  const what = `${row.work}, ${row.inFlight} in flight`;
  const measured = await measureInTurns(turns, rounds, (system, round, figures) =>
    note(progressLine(what, system, round, rounds, figures.opsPerSecond)),
  );
  return etcdRow(row, measured);
}

await startedAs(import.meta.url, main);
