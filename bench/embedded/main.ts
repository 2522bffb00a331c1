// npm run bench:embedded: eraft's Store in process beside other stores for Node, everything synced.
//
// Every measurement is a process of its own (worker.ts), in which the callers and the store live; the systems take turns.
// Start at store.ts (who is compared, and how each one is set), then load.ts (what callers do).
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
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
import { renderMachine } from '../lib/machine.js';
import { writeJson } from '../lib/report.js';
import { measureInTurns } from '../lib/rounds.js';
import { WORKS } from './load.js';
import { IN_FLIGHT_DEFAULT, type Row, rowsOf, VALUES_DEFAULT, wholeNumbers } from './matrix.js';
import { installPackages, packageVersions } from './packages.js';
import { SETTINGS, SYSTEMS, type SystemName } from './store.js';
import { type EmbeddedRow, embeddedRow, renderRows } from './table.js';
import type { EmbeddedFigures, Task } from './worker.js';

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));
const WARMUP_SECONDS = 1;
const KEYS_DEFAULT = 100_000;

interface EmbeddedOptions extends CommonOptions {
  readonly values: readonly number[];
  readonly inFlight: readonly number[];
  readonly systems: readonly SystemName[];
  readonly keys: number;
}

export async function main(argv: readonly string[]): Promise<number> {
  const about = 'the Store of eraft in process, beside other stores for Node, everything synced';
  const command = benchCommand('embedded', about, WORKS, { rounds: 3, seconds: 3 })
    .option('--values <bytes>', 'sizes of values, with commas between', wholeNumbers(1024 * 1024), VALUES_DEFAULT)
    .option('--in-flight <numbers>', 'callers, with commas between', wholeNumbers(100_000), IN_FLIGHT_DEFAULT)
    .option('--systems <names>', `of ${SYSTEMS.join(', ')}`, chosenSystems, SYSTEMS)
    .option('--keys <number>', 'how many different keys, all written beforehand', wholeNumber(1), KEYS_DEFAULT);
  return runBench<EmbeddedOptions>(command, argv, bench);
}

async function bench(options: EmbeddedOptions, context: BenchContext): Promise<number> {
  const { place, note, report } = context;
  const rows = rowsOf(chosenOf(WORKS, options.only), options.values, options.inFlight);
  const { systems } = options;
  const others = systems.some((name) => !name.startsWith('eraft'));
  const packages = others ? await installPackages(place, note) : '';
  const versions = { ...report.versions, ...(others ? packageVersions() : {}) };
  const measured: EmbeddedRow[] = [];
  for (const row of rows) measured.push(await measureRow(row, systems, packages, options, context));
  const settings = systems.map((name) => `  ${name}: ${SETTINGS[name]}\n`).join('');
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  process.stdout.write(
    `\n${told.join(', ')}\n${renderMachine(report.machine)}${settings}\n${renderRows(measured)}` +
      `\nmedians of ${options.rounds} rounds of ${options.seconds} s, ${options.keys} keys of 16 B, chosen at random; hot-get: one key\n`,
  );
  const { rounds, seconds, keys } = options;
  writeJson(options.json, { ...report, versions, rounds, seconds, keys, settings: SETTINGS, rows: measured });
  return 0;
}

/** For commander. */
function chosenSystems(given: string): readonly SystemName[] {
  const names = given.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !(SYSTEMS as readonly string[]).includes(name));
  if (unknown.length === 0) return SYSTEMS.filter((name) => names.includes(name));
  throw new InvalidArgumentError(`It must be of ${SYSTEMS.join(', ')}, with commas between.`);
}

async function measureRow(
  row: Row,
  systems: readonly SystemName[],
  packages: string,
  { rounds, seconds, keys }: EmbeddedOptions,
  { place, note }: BenchContext,
): Promise<EmbeddedRow> {
  const dir = join(place.folder, 'store');
  const turns = systems.map((system) => ({
    name: system,
    measure: async (): Promise<EmbeddedFigures> => {
      const task: Task = { ...row, system, keys, seconds, warmupSeconds: WARMUP_SECONDS, dir, packages };
      try {
        const { stdout } = await place.run(process.execPath, [WORKER, JSON.stringify(task)]);
        return JSON.parse(stdout) as EmbeddedFigures;
      } finally {
        rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
      }
    },
  }));
  const what = `${row.work}, ${row.valueBytes} B, ${row.inFlight} in flight`;
  const measured = await measureInTurns(turns, rounds, (system, round, figures) =>
    note(progressLine(what, system, round, rounds, figures.opsPerSecond)),
  );
  return embeddedRow(row, measured);
}

await startedAs(import.meta.url, main);
