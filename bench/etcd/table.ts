// The table of `bench:etcd`, for people and as JSON.
import type { LoadFigures } from '../lib/eraft-load.js';
import { figure, ratio, table, times } from '../lib/report.js';
import type { Measured } from '../lib/rounds.js';
import type { FrontName, SystemName } from './systems.js';
import type { Row } from './works.js';

export interface EtcdRow {
  readonly work: Row['work'];
  readonly inFlight: number;
  readonly connections: number;
  readonly keys: number;
  readonly eraft: LoadFigures;
  readonly etcd: LoadFigures;
  /** With `--server ws`: the same load on replicas that serve with uWebSockets.js. */
  readonly eraftOnUws?: LoadFigures;
  /** eraft over etcd, figure by figure. */
  readonly ratios: LoadRatios;
  /** With `--server ws`: eraft on ws over eraft on uWebSockets.js. */
  readonly ratiosToUws?: LoadRatios;
  /** Every measurement that the medians above are taken from. */
  readonly rounds: Readonly<Record<string, readonly LoadFigures[]>>;
}

type LoadRatios = { readonly [N in keyof LoadFigures]: number | undefined };

export function ratiosOf(ours: LoadFigures, theirs: LoadFigures): LoadRatios {
  return {
    opsPerSecond: ratio(ours.opsPerSecond, theirs.opsPerSecond),
    p50Ms: ratio(ours.p50Ms, theirs.p50Ms),
    p99Ms: ratio(ours.p99Ms, theirs.p99Ms),
    cpuMicrosPerOp: ratio(ours.cpuMicrosPerOp, theirs.cpuMicrosPerOp),
  };
}

export function etcdRow(
  { work, inFlight, connections, keys }: Row,
  measured: Readonly<Record<string, Measured<LoadFigures>>>,
): EtcdRow {
  const median = (name: SystemName): LoadFigures | undefined => measured[name]?.median;
  const [eraft, etcd, eraftOnUws] = [median('eraft'), median('etcd'), median('eraftOnUws')];
  if (eraft === undefined || etcd === undefined) throw new RangeError('a row has eraft and etcd');
  const rounds = Object.fromEntries(Object.entries(measured).map(([name, each]) => [name, each.rounds]));
  const uws = eraftOnUws === undefined ? {} : { eraftOnUws, ratiosToUws: ratiosOf(eraft, eraftOnUws) };
  return { work, inFlight, connections, keys, eraft, etcd, ...uws, ratios: ratiosOf(eraft, etcd), rounds };
}

const HEADER = ['work', 'in flight', 'system', 'ops/s', 'p50 ms', 'p99 ms', 'CPU µs/op'];

export function renderRows(rows: readonly EtcdRow[], front: FrontName): string {
  const lines = rows.flatMap((row) => {
    const fallback = row.eraftOnUws !== undefined && row.ratiosToUws !== undefined;
    return [
      [row.work, String(row.inFlight), front === 'ws' ? 'eraft on ws' : 'eraft', ...cells(row.eraft, figure)],
      ...(fallback ? [['', '', 'eraft on uws', ...cells(row.eraftOnUws, figure)]] : []),
      ['', '', 'etcd', ...cells(row.etcd, figure)],
      ...(fallback ? [['', '', 'ws / uws', ...cells(row.ratiosToUws, times)]] : []),
      ['', '', 'eraft / etcd', ...cells(row.ratios, times)],
    ];
  });
  return table(HEADER, lines);
}

function cells(figures: LoadRatios, show: (value: number | undefined) => string): string[] {
  return [figures.opsPerSecond, figures.p50Ms, figures.p99Ms, figures.cpuMicrosPerOp].map(show);
}

/** What the processes of a system take while nobody asks them anything. */
export interface Idle {
  /** Resident memory, process by process. */
  readonly rssBytes: readonly number[];
  /** Processor time of all of them: 1 is one core. */
  readonly cpuShare: number;
}

export function renderIdle(idle: Readonly<Record<string, Idle>>): string {
  const lines = Object.entries(idle).map(([name, { rssBytes, cpuShare }]) => {
    const megabytes = rssBytes.map((bytes) => Math.round(bytes / 1e6)).join(', ');
    return `  ${name}: ${megabytes} MB, ${(cpuShare * 100).toFixed(1)} % of a core for all`;
  });
  return `idle processes, before any load:\n${lines.join('\n')}\n`;
}
