// What is asked of every system, and how eraft is asked.
import type { BenchContext } from '../lib/command.js';
import { EraftCluster } from '../lib/eraft-cluster.js';
import { fillEraft, type LoadFigures, loadEraft } from '../lib/eraft-load.js';

export const WORKS = ['put', 'get'] as const;
export type Work = (typeof WORKS)[number];
export const PIPELINES: readonly number[] = [1, 16];
export const CONNECTIONS = 50;
export const VALUE_BYTES = 256;
/** As long as the keys of redis-benchmark. */
export const KEY_BYTES = 16;
export const WARMUP_SECONDS = 1;

export interface Row {
  readonly work: Work;
  /** Unanswered operations of each connection. */
  readonly pipeline: number;
  readonly keys: number;
}

export const SYSTEMS = ['eraft', 'eraft-3', 'redis'] as const;
export type SystemName = (typeof SYSTEMS)[number];

export interface RedisBenchSystem {
  readonly name: SystemName;
  readonly pids: readonly number[];
  /** Writes every key once. */
  fill(keys: number): Promise<void>;
  load(row: Row, seconds: number): Promise<LoadFigures>;
}

export async function startEraft(
  { place, note }: BenchContext,
  name: 'eraft' | 'eraft-3',
  replicas: number,
): Promise<RedisBenchSystem> {
  const cluster = await EraftCluster.start(place, { replicas, name });
  const sizes = { keyBytes: KEY_BYTES, valueBytes: VALUE_BYTES };
  return {
    name,
    pids: cluster.pids,
    fill: (keys) => {
      note(`filling ${name} with ${keys} keys`);
      return fillEraft(place, cluster, keys, sizes);
    },
    load: ({ work, pipeline, keys }, seconds) =>
      loadEraft(place, cluster, {
        ...sizes,
        workload: work,
        connections: CONNECTIONS,
        inFlight: pipeline,
        seconds,
        warmupSeconds: WARMUP_SECONDS,
        keys,
      }),
  };
}
