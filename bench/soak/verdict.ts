// Has something grown that should not have? The judgement at the end of a soak.
import { KiB, MiB } from '../../ts/base/limits.js';
import { median } from '../lib/rounds.js';
import { theilSen } from './slope.js';

/** Fewer points allow no judgement: chance alone would often put three or four in order. */
export const POINTS_MIN = 5;

export type SeriesKind = 'rss' | 'disk' | 'p99';

/** Growth over all points that is taken for noise: a share of the level, or an amount, whichever is more. */
const TOLERANCE: Readonly<Record<SeriesKind, { readonly share: number; readonly amount: number }>> = {
  rss: { share: 0.05, amount: 16 * MiB },
  disk: { share: 0.1, amount: 64 * MiB }, // a file of the log
  p99: { share: 0.25, amount: 1 }, // ms
};

export interface Series {
  readonly name: string;
  readonly kind: SeriesKind;
  /** Once warm, one value for each period. Bytes, or milliseconds. */
  readonly values: readonly number[];
}

export interface SeriesVerdict {
  readonly name: string;
  readonly kind: SeriesKind;
  readonly verdict: 'steady' | 'drift' | 'too short';
  readonly median: number;
  /** In a period; `low`: the least that it is in 95 of 100 cases. */
  readonly slope: number;
  readonly slopeLow: number;
  /** What the slope makes of the whole series, and what is taken for noise. */
  readonly growth: number;
  readonly tolerance: number;
}

/** Drift is growth that is both certain, given the scatter, and large enough to matter. */
export function judge({ name, kind, values }: Series): SeriesVerdict {
  const level = values.length === 0 ? Number.NaN : median(values);
  const { share, amount } = TOLERANCE[kind];
  const tolerance = Math.max(share * level, amount);
  if (values.length < POINTS_MIN) {
    const unknown = { slope: Number.NaN, slopeLow: Number.NaN, growth: Number.NaN };
    return { name, kind, verdict: 'too short', median: level, ...unknown, tolerance };
  }
  const { perX, low } = theilSen(values.map((y, x) => ({ x, y })));
  const growth = perX * (values.length - 1);
  const verdict = low > 0 && growth > tolerance ? 'drift' : 'steady';
  return { name, kind, verdict, median: level, slope: perX, slopeLow: low, growth, tolerance };
}

export type Verdict = 'steady' | 'drift' | 'too short' | 'not held';

export interface Held {
  /** Operations a second, in each period once warm. */
  readonly perSecond: readonly number[];
  readonly asked: number;
  readonly errors: number;
}

const HELD_SHARE = 0.95;

/** Of the whole run. A load that was not held, or met errors, proves nothing. */
export function overall(series: readonly SeriesVerdict[], held: Held): Verdict {
  if (series.some(({ verdict }) => verdict === 'drift')) return 'drift';
  if (held.errors > 0 || held.perSecond.some((each) => each < HELD_SHARE * held.asked)) return 'not held';
  return series.some(({ verdict }) => verdict === 'too short') ? 'too short' : 'steady';
}

/** Of `kind`: bytes as MiB, milliseconds as they are. */
export function amountOf(kind: SeriesKind, value: number): string {
  if (!Number.isFinite(value)) return '-';
  return kind === 'p99' ? `${value.toFixed(2)} ms` : `${(value / KiB / KiB).toFixed(1)} MiB`;
}
