// Growth in a noisy series, without being taken in by single bad minutes.

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Slope {
  /** The median of the slopes of all pairs of points. */
  readonly perX: number;
  /** Bounds within which the true slope lies in 95 of 100 cases, were the points independent of each other. */
  readonly low: number;
  readonly high: number;
}

const Z_95 = 1.96;

/**
 * The Theil–Sen estimator with Sen's confidence bounds: up to 29 % of the points may lie anywhere.
 * Source: Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, JASA 63, 1968.
 *
 * @param points - each with another x, at least two
 */
export function theilSen(points: readonly Point[]): Slope {
  const slopes: number[] = [];
  for (const [i, a] of points.entries()) {
    for (const b of points.slice(i + 1)) slopes.push((b.y - a.y) / (b.x - a.x));
  }
  if (slopes.length === 0) throw new RangeError('a slope takes two points');
  slopes.sort((a, b) => a - b);
  const n = points.length;
  const spread = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18); // of Kendall's S when there is no trend
  const at = (rank: number): number => slopes[Math.min(slopes.length - 1, Math.max(0, rank))] ?? Number.NaN;
  const middle = (at((slopes.length - 1) >> 1) + at(slopes.length >> 1)) / 2;
  const low = Math.floor((slopes.length - spread) / 2) - 1;
  return { perX: middle, low: at(low), high: at(slopes.length - 1 - low) };
}
