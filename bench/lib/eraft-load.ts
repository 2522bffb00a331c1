// Load on eraft with its own tool, `eraft bench`, in a process of its own.
import type { BenchResult } from '../../ts/cli/bench/report.js';
import { cleanEnvironment, ERAFT, type EraftCluster } from './eraft-cluster.js';
import { BenchError } from './errors.js';
import { CpuMeter } from './processes.js';
import type { Workplace } from './workplace.js';

/** What every system of a macro bench is measured by. */
export interface LoadFigures {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time of all processes, client included, for each operation. */
  readonly cpuMicrosPerOp: number | undefined;
}

export interface EraftLoad {
  readonly workload: 'put' | 'get';
  readonly connections: number;
  /** Of each connection. */
  readonly inFlight: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly keys: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly consistency?: 'linearizable' | 'stale';
}

/** Writes every key once. */
export async function fillEraft(
  place: Workplace,
  cluster: EraftCluster,
  keys: number,
  sizes: Pick<EraftLoad, 'keyBytes' | 'valueBytes'>,
): Promise<void> {
  const load = { ...sizes, workload: 'get', keys, connections: 10, inFlight: 1, seconds: 1, warmupSeconds: 0 } as const;
  await runTool(place, cluster, load, []);
}

export async function loadEraft(place: Workplace, cluster: EraftCluster, load: EraftLoad): Promise<LoadFigures> {
  const servers = CpuMeter.of(cluster.pids);
  const result = await runTool(place, cluster, load, ['--no-fill']).finally(() => servers.stop());
  return figuresOf('eraft', result, servers);
}

/** @throws BenchError for a load that was answered with errors, or not at all */
export function figuresOf(system: string, result: BenchResult, servers: CpuMeter): LoadFigures {
  const errors = Object.entries(result.errors).map(([code, count]) => `${count} × ${code}`);
  if (errors.length > 0) throw new BenchError(`${system} answered with errors: ${errors.join(', ')}`);
  const percentiles = (result.kinds.put ?? result.kinds.get)?.latency?.percentilesUs;
  if (percentiles === undefined) throw new BenchError(`${system} answered nothing`);
  const serverMicros = servers.between(Date.parse(result.startedAt), Date.parse(result.endedAt));
  return {
    opsPerSecond: result.operations / result.seconds,
    p50Ms: (percentiles.p50 ?? Number.NaN) / 1_000,
    p99Ms: (percentiles.p99 ?? Number.NaN) / 1_000,
    cpuMicrosPerOp: (serverMicros + result.cpuMicros) / result.operations,
  };
}

async function runTool(
  place: Workplace,
  cluster: EraftCluster,
  load: EraftLoad,
  more: readonly string[],
): Promise<BenchResult> {
  const [program, before] = ERAFT;
  const options = {
    endpoints: await cluster.leader(),
    timeout: 30_000,
    connections: load.connections,
    'in-flight': load.inFlight,
    duration: load.seconds,
    warmup: load.warmupSeconds,
    keys: load.keys,
    'key-size': load.keyBytes,
    'value-size': load.valueBytes,
    consistency: load.consistency ?? 'linearizable',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const args = [...before, 'bench', load.workload, '--json', ...flags, ...more];
  const { stdout } = await place.run(program, args, { env: cleanEnvironment() });
  return JSON.parse(stdout) as BenchResult;
}
