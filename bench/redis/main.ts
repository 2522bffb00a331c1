// npm run bench:redis: one replica of eraft, and three, beside a Redis that syncs before it answers.
//
// All processes run from beginning to end; the systems take turns, each loaded by its own tool over 50 connections.
// Start at systems.ts (what is asked), then redis-system.ts (how Redis is set).
import {
  type BenchContext,
  benchCommand,
  type CommonOptions,
  chosenOf,
  progressLine,
  runBench,
  startedAs,
  wholeNumber,
} from '../lib/command.js';
import type { LoadFigures } from '../lib/eraft-load.js';
import { renderMachine } from '../lib/machine.js';
import { untilQuiet } from '../lib/processes.js';
import { writeJson } from '../lib/report.js';
import { measureInTurns } from '../lib/rounds.js';
import { findRedis } from './redis-programs.js';
import { startRedis } from './redis-system.js';
import { CONNECTIONS, PIPELINES, type RedisBenchSystem, type Row, startEraft, VALUE_BYTES, WORKS } from './systems.js';
import { type RedisRow, redisRow, renderRows } from './table.js';

const KEYS_DEFAULT = 100_000;

interface RedisOptions extends CommonOptions {
  readonly keys: number;
}

export async function main(argv: readonly string[]): Promise<number> {
  const about = 'eraft with one replica and with three beside Redis with appendfsync always';
  const command = benchCommand('redis', about, WORKS, { rounds: 3, seconds: 5 }).option(
    '--keys <number>',
    'how many different keys, all written beforehand',
    wholeNumber(1),
    KEYS_DEFAULT,
  );
  return runBench<RedisOptions>(command, argv, bench);
}

async function bench(options: RedisOptions, context: BenchContext): Promise<number> {
  const { place, note, report } = context;
  const works = chosenOf(WORKS, options.only);
  const rows = works.flatMap((work) => PIPELINES.map((pipeline) => ({ work, pipeline, keys: options.keys })));
  const programs = await findRedis(place, note);
  const versions: Readonly<Record<string, string>> = { ...report.versions, redis: programs.version };
  const systems = [
    await startEraft(context, 'eraft', 1),
    await startEraft(context, 'eraft-3', 3),
    await startRedis(context, programs),
  ];
  for (const system of systems) await system.fill(options.keys);
  const measured: RedisRow[] = [];
  for (const row of rows) measured.push(await measureRow(row, systems, options, context));
  const { rounds, seconds, keys } = options;
  process.stdout.write(
    `\neraft ${versions.eraft} (one replica; eraft-3: three) beside redis ${versions.redis} (one, appendfsync always, log not rewritten)\n` +
      `${renderMachine(report.machine)}\n${renderRows(measured)}` +
      `\nmedians of ${rounds} rounds of ${seconds} s, ${keys} keys chosen at random, values of ${VALUE_BYTES} B; loaded with eraft bench and redis-benchmark\n`,
  );
  writeJson(options.json, { ...report, versions, rounds, seconds, rows: measured });
  return 0;
}

async function measureRow(
  row: Row,
  systems: readonly RedisBenchSystem[],
  { rounds, seconds }: RedisOptions,
  { note }: BenchContext,
): Promise<RedisRow> {
  const pids = systems.flatMap((system) => system.pids);
  const turns = systems.map((system) => ({
    name: system.name,
    measure: async (): Promise<LoadFigures> => {
      await untilQuiet(pids);
      return system.load(row, seconds);
    },
  }));
  const what = `${row.work}, ${CONNECTIONS} × ${row.pipeline} in flight`;
  const measured = await measureInTurns(turns, rounds, (system, round, figures) =>
    note(progressLine(what, system, round, rounds, figures.opsPerSecond)),
  );
  return redisRow(row, CONNECTIONS, measured);
}

await startedAs(import.meta.url, main);
