// What a load is: the options of `eraft bench`, checked.
export const WORKLOADS = ['put', 'get', 'mixed'] as const;
export type Workload = (typeof WORKLOADS)[number];
export const DISTRIBUTIONS = ['uniform', 'zipf', 'sequential'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

export interface BenchPlan {
  readonly workload: Workload;
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  readonly connections: number;
  /** Operations in flight of each connection: in an open loop the most that there may be. */
  readonly inFlight: number;
  /** Operations a second of all connections together; 0: closed loop, each answer starts the next operation. */
  readonly rate: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly keys: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly distribution: Distribution;
  /** Of a mixed load: how many of 100 operations are reads. */
  readonly readPercent: number;
  readonly consistency: 'linearizable' | 'stale';
  /** Writes every key once before a load that reads. */
  readonly fill: boolean;
  readonly seed: number;
}
