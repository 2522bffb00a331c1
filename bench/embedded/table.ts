// The table of `bench:embedded`, for people and as JSON.
import { figure, ratio, table, times } from '../lib/report.js';
import type { Measured } from '../lib/rounds.js';
import type { Row } from './matrix.js';
import { SYSTEMS, type SystemName } from './store.js';
import type { EmbeddedFigures } from './worker.js';

export interface EmbeddedRow extends Row {
  readonly systems: Partial<Readonly<Record<SystemName, EmbeddedFigures>>>;
  /** Operations a second of eraft with one replica over those of each other system. */
  readonly ratios: Partial<Readonly<Record<SystemName, number>>>;
  /** The fastest of the other stores, and the ratio to it; undefined when none was measured. */
  readonly best: SystemName | undefined;
  readonly ratioToBest: number | undefined;
  /** Every measurement that the medians above are taken from. */
  readonly rounds: Readonly<Record<string, readonly EmbeddedFigures[]>>;
}

function isOther(name: SystemName): boolean {
  return !name.startsWith('eraft');
}

export function embeddedRow(row: Row, measured: Readonly<Record<string, Measured<EmbeddedFigures>>>): EmbeddedRow {
  const names = SYSTEMS.filter((name) => measured[name] !== undefined);
  const perSecond = (name: SystemName): number => measured[name]?.median.opsPerSecond ?? Number.NaN;
  const ours = measured.eraft?.median.opsPerSecond;
  const ratios = names
    .filter((name) => name !== 'eraft')
    .map((name) => [name, ratio(ours, perSecond(name))] as const)
    .filter(([, value]) => value !== undefined);
  const [best] = names.filter(isOther).sort((a, b) => perSecond(b) - perSecond(a));
  return {
    ...row,
    systems: Object.fromEntries(names.map((name) => [name, measured[name]?.median])),
    ratios: Object.fromEntries(ratios),
    best,
    ratioToBest: best === undefined ? undefined : ratio(ours, perSecond(best)),
    rounds: Object.fromEntries(names.map((name) => [name, measured[name]?.rounds ?? []])),
  };
}

const HEADER = ['work', 'value', 'in flight', 'system', 'ops/s', 'p50 µs', 'p99 µs', 'CPU µs/op', 'GC %', 'eraft / it'];

export function renderRows(rows: readonly EmbeddedRow[]): string {
  const lines = rows.flatMap((row) =>
    SYSTEMS.flatMap((name) => {
      const figures = row.systems[name];
      if (figures === undefined) return [];
      const { opsPerSecond, p50Micros, p99Micros, cpuMicrosPerOp, gcPercent } = figures;
      const mark = name === row.best ? `${name} (best)` : name;
      const measured = [opsPerSecond, p50Micros, p99Micros, cpuMicrosPerOp, gcPercent].map(figure);
      const compared = name === 'eraft' ? '' : times(row.ratios[name]);
      return [[row.work, `${row.valueBytes} B`, String(row.inFlight), mark, ...measured, compared]];
    }),
  );
  return table(HEADER, lines);
}
