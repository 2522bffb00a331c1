// The table of `bench:redis`, for people and as JSON.
import type { LoadFigures } from '../lib/eraft-load.js';
import { figure, ratio, table, times } from '../lib/report.js';
import type { Measured } from '../lib/rounds.js';
import { type Row, SYSTEMS, type SystemName } from './systems.js';

export interface RedisRow extends Row {
  readonly connections: number;
  readonly systems: Readonly<Record<SystemName, LoadFigures>>;
  /** Over redis, figure by figure. */
  readonly ratios: Readonly<Record<'eraft' | 'eraft-3', LoadRatios>>;
  /** Every measurement that the medians above are taken from. */
  readonly rounds: Readonly<Record<string, readonly LoadFigures[]>>;
}

type LoadRatios = { readonly [N in keyof LoadFigures]: number | undefined };

function ratiosOf(ours: LoadFigures, theirs: LoadFigures): LoadRatios {
  return {
    opsPerSecond: ratio(ours.opsPerSecond, theirs.opsPerSecond),
    p50Ms: ratio(ours.p50Ms, theirs.p50Ms),
    p99Ms: ratio(ours.p99Ms, theirs.p99Ms),
    cpuMicrosPerOp: ratio(ours.cpuMicrosPerOp, theirs.cpuMicrosPerOp),
  };
}

export function redisRow(
  row: Row,
  connections: number,
  measured: Readonly<Record<string, Measured<LoadFigures>>>,
): RedisRow {
  const median = (name: SystemName): LoadFigures => {
    const found = measured[name]?.median;
    if (found === undefined) throw new RangeError(`${name} was not measured`);
    return found;
  };
  const [eraft, three, redis] = [median('eraft'), median('eraft-3'), median('redis')];
  return {
    ...row,
    connections,
    systems: { eraft, 'eraft-3': three, redis },
    ratios: { eraft: ratiosOf(eraft, redis), 'eraft-3': ratiosOf(three, redis) },
    rounds: Object.fromEntries(SYSTEMS.map((name) => [name, measured[name]?.rounds ?? []])),
  };
}

const HEADER = ['work', 'in flight', 'system', 'ops/s', 'p50 ms', 'p99 ms', 'CPU µs/op'];

export function renderRows(rows: readonly RedisRow[]): string {
  const lines = rows.flatMap(({ work, connections, pipeline, systems, ratios }) => [
    ...SYSTEMS.map((name) => [work, `${connections} × ${pipeline}`, name, ...cells(systems[name], figure)]),
    ['', '', 'eraft / redis', ...cells(ratios.eraft, times)],
    ['', '', 'eraft-3 / redis', ...cells(ratios['eraft-3'], times)],
  ]);
  return table(HEADER, lines);
}

function cells(figures: LoadRatios, show: (value: number | undefined) => string): string[] {
  return [figures.opsPerSecond, figures.p50Ms, figures.p99Ms, figures.cpuMicrosPerOp].map(show);
}
