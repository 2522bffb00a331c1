// What redis-benchmark prints.
import { BenchError } from '../lib/errors.js';

export interface ToolFigures {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * @param csv - a line of quoted names of columns, and one of quoted values for the one test
 * @throws BenchError for anything else
 */
export function parseRedisBenchmark(csv: string): ToolFigures {
  const lines = csv
    .split('\n')
    .filter((line) => line.startsWith('"'))
    .map((line) => line.trim().slice(1, -1).split('","'));
  const [names = [], values = []] = lines.slice(-2);
  const value = (name: string): number => {
    const found = Number(values[names.indexOf(name)] ?? Number.NaN);
    if (!Number.isFinite(found)) throw new BenchError(`redis-benchmark has printed no ${name}:\n${csv}`);
    return found;
  };
  return { opsPerSecond: value('rps'), p50Ms: value('p50_latency_ms'), p99Ms: value('p99_latency_ms') };
}
