// The rows of the table: what is asked of every system, and by how many callers at once.
import { UsageError } from '../lib/errors.js';

export const WORKS = ['put', 'get-linearizable', 'get-linearizable-1m', 'get-stale'] as const;
export type Work = (typeof WORKS)[number];

export const KEY_BYTES = 8;
export const VALUE_BYTES = 256;
export const WARMUP_SECONDS = 2;

export interface Row {
  readonly work: Work;
  /** Callers, each with one unanswered operation. */
  readonly inFlight: number;
  /** What they share. */
  readonly connections: number;
  readonly keys: number;
}

const IN_FLIGHT: Readonly<Record<Work, readonly number[]>> = {
  put: [1, 50, 64, 1000],
  'get-linearizable': [1, 64, 1000],
  'get-stale': [1, 1000],
  'get-linearizable-1m': [1000], // last: the store is larger from then on
};

export const IN_FLIGHT_KNOWN: readonly number[] = [...new Set(Object.values(IN_FLIGHT).flat())].sort((a, b) => a - b);

/** A thousand callers share a hundred connections, fewer have one each. */
const connectionsFor = (inFlight: number): number => Math.min(inFlight, 100);

/**
 * @param inFlight - these counts alone
 * @throws UsageError when that leaves nothing
 */
export function rowsOf(works: readonly Work[], inFlight: readonly number[] = IN_FLIGHT_KNOWN): Row[] {
  const order = Object.keys(IN_FLIGHT) as Work[];
  const rows = order
    .filter((work) => works.includes(work))
    .flatMap((work) =>
      IN_FLIGHT[work]
        .filter((count) => inFlight.includes(count))
        .map((count) => ({
          work,
          inFlight: count,
          connections: connectionsFor(count),
          keys: work === 'get-linearizable-1m' ? 1_000_000 : 100_000,
        })),
    );
  if (rows.length > 0) return rows;
  throw new UsageError(`${works.join(', ')} with ${inFlight.join(', ')} in flight: there is no such row`);
}
