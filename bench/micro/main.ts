// npm run bench:micro: what the parts cost, each by itself.
//
// Two clocks: benchmark.js for the rate, and our own samples for the distribution that a mean hides. Every figure is the
// median of the rounds; the works of a subject take turns. The log is compared with a bare loop, see log-append.ts.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchContext, benchCommand, type CommonOptions, chosenOf, runBench, startedAs } from '../lib/command.js';
import { figure, table, times, writeJson } from '../lib/report.js';
import { measureInTurns } from '../lib/rounds.js';
import { frames } from './frame-subject.js';
import { get } from './get-subject.js';
import { buildLogAppend, LOG_MODES, LOG_RECORD_BYTES, type LogRow, measureLogAppend } from './log-append.js';
import { measureWork } from './measure.js';
import { raft } from './raft-subject.js';
import { apply, border, encoding, verification } from './storage-subjects.js';
import type { Subject, WorkFigures } from './work.js';

const SUBJECTS: readonly Subject[] = [border, encoding, verification, apply, raft, frames, get];
const LOG = 'log';
const NAMES: readonly string[] = [...SUBJECTS.map(({ name }) => name), LOG];
const QUICK = { rounds: 1, seconds: 0.2 };

interface MicroOptions extends CommonOptions {
  readonly quick?: boolean;
}

interface WorkRow extends WorkFigures {
  readonly subject: string;
  readonly work: string;
  readonly unit: string;
}

interface Plan {
  readonly rounds: number;
  readonly seconds: number;
}

async function measureSubject(subject: Subject, plan: Plan, { place }: BenchContext): Promise<WorkRow[]> {
  const folder = join(place.folder, subject.name);
  mkdirSync(folder);
  const { works, close } = await subject.open(folder);
  try {
    const systems = works.map((work) => ({ name: work.name, measure: () => measureWork(work, plan.seconds) }));
    const measured = await measureInTurns<WorkFigures>(systems, plan.rounds);
    return works.flatMap(({ name, unit }) => {
      const figures = measured[name]?.median;
      return figures === undefined ? [] : [{ subject: subject.name, work: name, unit, ...figures }];
    });
  } finally {
    await close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureLog(plan: Plan, { place, note }: BenchContext): Promise<LogRow[]> {
  note('log: compiling its bench');
  const program = await buildLogAppend();
  const rows: LogRow[] = [];
  for (const mode of LOG_MODES) {
    for (const recordBytes of LOG_RECORD_BYTES) {
      note(`log: ${mode}, records of ${recordBytes} bytes`);
      rows.push(await measureLogAppend(place, program, { mode, recordBytes, ...plan }));
    }
  }
  return rows;
}

function renderWorks(rows: readonly WorkRow[]): string {
  const header = ['subject', 'work', 'unit', 'benchmark.js/s', '± %', 'mean µs', 'p50 µs', 'p99 µs'];
  const micros = (nanos: number): string => (nanos / 1_000).toFixed(nanos < 10_000 ? 3 : 1);
  const lines = rows.map((row) => [
    ...[row.subject, row.work, row.unit, figure(row.perSecond)],
    row.marginPercent === undefined ? '-' : row.marginPercent.toFixed(1),
    ...[row.meanNanos, row.p50Nanos, row.p99Nanos].map(micros),
  ]);
  return table(header, lines);
}

function renderLog(rows: readonly LogRow[]): string {
  const header = [
    'log',
    'record',
    'bare/s',
    'log/s',
    'ratio',
    'bare p50 µs',
    'p99',
    'log p50 µs',
    'p99',
    'lone p50 µs',
    'p99',
  ];
  const lines = rows.map(({ mode, recordBytes, bare, log, logLone, ratio }) => [
    ...[mode, `${recordBytes / 1_024} KiB`, figure(bare.perSecond), figure(log.perSecond), times(ratio)],
    ...[bare, log, logLone].flatMap(({ p50Micros, p99Micros }) => [figure(p50Micros), figure(p99Micros)]),
  ]);
  return table(header, lines);
}

export function main(argv: readonly string[]): Promise<number> {
  const command = benchCommand('micro', 'what the parts cost, each by itself', NAMES, { rounds: 3, seconds: 1 }).option(
    '--quick',
    'one short round: shows that everything works, and nothing else',
  );
  return runBench<MicroOptions>(command, argv, async (options, context) => {
    const chosen = chosenOf(NAMES, options.only);
    const plan: Plan = options.quick === true ? QUICK : options;
    const works: WorkRow[] = [];
    for (const subject of SUBJECTS.filter(({ name }) => chosen.includes(name))) {
      context.note(`${subject.name}: measuring`);
      works.push(...(await measureSubject(subject, plan, context)));
    }
    const logs = chosen.includes(LOG) ? await measureLog(plan, context) : [];
    const tables = [works.length > 0 ? renderWorks(works) : '', logs.length > 0 ? renderLog(logs) : ''];
    process.stdout.write(tables.filter((text) => text !== '').join('\n'));
    writeJson(options.json, { ...context.report, rows: [...works, ...logs] });
    return undefined;
  });
}

await startedAs(import.meta.url, main);
