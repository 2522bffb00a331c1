// Load on etcd with callers of our own: see grpc-caller.ts.
import { fileURLToPath } from 'node:url';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import type { BenchResult } from '../../ts/cli/bench/report.js';
import { figuresOf, type LoadFigures } from '../lib/eraft-load.js';
import { CpuMeter } from '../lib/processes.js';
import type { Workplace } from '../lib/workplace.js';
import type { EtcdCluster } from './etcd-cluster.js';
import { KEY_BYTES, type Row, VALUE_BYTES, WARMUP_SECONDS } from './works.js';

const CALLER = fileURLToPath(new URL('./grpc-caller.js', import.meta.url));

export class GrpcLoad {
  readonly #place: Workplace;
  readonly #cluster: EtcdCluster;

  constructor(place: Workplace, cluster: EtcdCluster) {
    this.#place = place;
    this.#cluster = cluster;
  }

  /** Writes every key once. */
  async fill(keys: number): Promise<void> {
    await this.#run({ work: 'get-stale', inFlight: 100, connections: 100, keys }, 1, 0, true);
  }

  async load(row: Row, seconds: number): Promise<LoadFigures> {
    const servers = CpuMeter.of(this.#cluster.pids);
    const result = await this.#run(row, seconds, WARMUP_SECONDS, false).finally(() => servers.stop());
    return figuresOf('etcd', result, servers);
  }

  async #run(row: Row, seconds: number, warmupSeconds: number, fill: boolean): Promise<BenchResult> {
    const plan: BenchPlan = {
      workload: row.work === 'put' ? 'put' : 'get',
      endpoints: [await this.#cluster.leader()],
      timeoutMs: 30_000,
      connections: row.connections,
      inFlight: row.inFlight / row.connections,
      rate: 0,
      seconds,
      warmupSeconds,
      keys: row.keys,
      keyBytes: KEY_BYTES,
      valueBytes: VALUE_BYTES,
      distribution: 'uniform',
      readPercent: 0,
      consistency: row.work === 'get-stale' ? 'stale' : 'linearizable',
      fill,
      seed: 1,
    };
    const { stdout } = await this.#place.run(process.execPath, [CALLER, JSON.stringify(plan)]);
    return JSON.parse(stdout) as BenchResult;
  }
}
