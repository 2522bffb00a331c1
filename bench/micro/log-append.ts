// The log's writer beside a bare loop of write and sync: both in Rust, in one process, in turns (native/core/examples).
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../lib/errors.js';
import { ratio } from '../lib/report.js';
import { medianOfEach } from '../lib/rounds.js';
import type { Workplace } from '../lib/workplace.js';

export const LOG_MODES = ['cached', 'direct'] as const;
export type LogMode = (typeof LOG_MODES)[number];
export const LOG_RECORD_BYTES = [4_096, 16_384, 65_536, 262_144, 1_048_576] as const;

const EXAMPLE = 'log_append';
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface AppendFigures {
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** What the example calls its systems: see there. */
export type AppendSystem = 'bare' | 'bare-fdatasync' | 'log' | 'log-lone';

export interface LogRow {
  readonly subject: 'log';
  readonly mode: LogMode;
  readonly recordBytes: number;
  readonly bare: AppendFigures;
  /** Direct only: O_DIRECT with a sync of its own, instead of O_DSYNC. */
  readonly bareFdatasync?: AppendFigures;
  readonly log: AppendFigures;
  readonly logLone: AppendFigures;
  /** log over bare. */
  readonly ratio: number | undefined;
}

/** Its lines, by system. @throws BenchError for a line that is not one */
export function parseAppends(output: string): Map<string, AppendFigures[]> {
  const bySystem = new Map<string, AppendFigures[]>();
  for (const line of output.split('\n').filter((each) => each !== '')) {
    const { system, operations, seconds, p50Micros, p99Micros } = parseLine(line);
    const figures = { perSecond: operations / seconds, p50Micros, p99Micros };
    bySystem.set(system, [...(bySystem.get(system) ?? []), figures]);
  }
  return bySystem;
}

interface AppendLine extends Omit<AppendFigures, 'perSecond'> {
  readonly system: string;
  readonly operations: number;
  readonly seconds: number;
}

function parseLine(line: string): AppendLine {
  try {
    const parsed = JSON.parse(line) as AppendLine;
    if (parsed.operations > 0 && parsed.seconds > 0) return parsed;
  } catch {
    // told below
  }
  throw new BenchError(`${EXAMPLE} printed ${JSON.stringify(line)}`);
}

export function logRow(mode: LogMode, recordBytes: number, output: string): LogRow {
  const bySystem = parseAppends(output);
  const of = (system: AppendSystem): AppendFigures => {
    const rounds = bySystem.get(system);
    if (rounds === undefined) throw new BenchError(`${EXAMPLE} did not measure ${system}`);
    return medianOfEach(rounds);
  };
  const bare = of('bare');
  const log = of('log');
  const more = mode === 'direct' ? { bareFdatasync: of('bare-fdatasync') } : {};
  const compared = ratio(log.perSecond, bare.perSecond);
  return { subject: 'log', mode, recordBytes, bare, ...more, log, logLone: of('log-lone'), ratio: compared };
}

/** Compiles what measures. @returns the program */
export async function buildLogAppend(): Promise<string> {
  const load = (name: string): Promise<unknown> =>
    import(new URL(`scripts/bootstrap/${name}.mjs`, `file://${ROOT}`).href);
  const paths = (await load('paths')) as { readonly TARGET: string; cargoEnvironment(): NodeJS.ProcessEnv };
  const { run } = (await load('run')) as {
    run(command: string, args: readonly string[], options: object): Promise<string>;
  };
  const { withTargetLock } = (await load('steps')) as {
    withTargetLock(progress: { line(text: string): void }, work: () => Promise<string>): Promise<string>;
  };
  const args = ['build', '--release', '--locked', '-p', 'eraft-core', '--example', EXAMPLE];
  const progress = { line: (text: string) => void process.stderr.write(`${text}\n`) };
  try {
    await withTargetLock(progress, () => run('cargo', args, { cwd: ROOT, env: paths.cargoEnvironment() }));
  } catch (error) {
    const { message, output = '' } = error as Error & { output?: string };
    throw new BenchError(`cannot compile ${EXAMPLE}: ${message}\n${output}`);
  }
  return join(paths.TARGET, 'release/examples', EXAMPLE);
}

export async function measureLogAppend(
  place: Workplace,
  program: string,
  plan: {
    readonly mode: LogMode;
    readonly recordBytes: number;
    readonly seconds: number;
    readonly rounds: number;
  },
): Promise<LogRow> {
  const { mode, recordBytes, seconds, rounds } = plan;
  const folder = join(place.folder, `log-${mode}-${recordBytes}`);
  mkdirSync(folder);
  try {
    const args = [folder, mode, String(recordBytes), String(seconds), String(rounds)];
    const { stdout } = await place.run(program, args);
    return logRow(mode, recordBytes, stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
