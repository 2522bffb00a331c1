// Load on etcd with its own tool, `benchmark`. It knows no time to measure, only a number of operations.
import type { LoadFigures } from '../lib/eraft-load.js';
import { BenchError } from '../lib/errors.js';
import { CpuMeter } from '../lib/processes.js';
import type { Workplace } from '../lib/workplace.js';
import type { EtcdCluster } from './etcd-cluster.js';
import { KEY_BYTES, type Row, VALUE_BYTES, WARMUP_SECONDS } from './works.js';

/** What the tool says of a run. */
export interface ToolResult {
  readonly opsPerSecond: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @throws BenchError for errors among the answers, and for output of another form */
export function parseToolOutput(text: string): ToolResult {
  const errors = /Error distribution:\s*([\s\S]*)$/.exec(text)?.[1]?.trim();
  if (errors !== undefined && errors !== '') throw new BenchError(`etcd answered with errors: ${errors}`);
  const numberBehind = (pattern: RegExp): number => {
    const value = Number(pattern.exec(text)?.[1]);
    if (!(value > 0)) throw new BenchError(`etcd's load tool has printed no ${pattern.source}:\n${text}`);
    return value;
  };
  return {
    opsPerSecond: numberBehind(/Requests\/sec:\s*(\S+)/),
    seconds: numberBehind(/Total:\s*(\S+) secs/),
    p50Ms: numberBehind(/ 50% in (\S+) secs/) * 1_000,
    p99Ms: numberBehind(/ 99% in (\S+) secs/) * 1_000,
  };
}

/** The tool asks for one key, over and over; its own keys are binary and cannot be named on a command line. */
const READ_KEY = 'the-key!';
const FILL_CLIENTS = 1_000;
const FILL_CONNECTIONS = 100;
const CALIBRATED_SECONDS = 0.5;

export class EtcdTool {
  readonly #place: Workplace;
  readonly #cluster: EtcdCluster;
  readonly #tool: string;
  /** Operations a second by row, of the run before: what the next one is sized by. */
  readonly #rates = new Map<string, number>();

  constructor(place: Workplace, cluster: EtcdCluster, tool: string) {
    this.#place = place;
    this.#cluster = cluster;
    this.#tool = tool;
  }

  /** Writes every key once. */
  async fill(keys: number): Promise<void> {
    await this.#cluster.put(READ_KEY, new Uint8Array(VALUE_BYTES).fill(118));
    const how = [`--total=${keys}`, `--key-space-size=${keys}`, '--sequential-keys'];
    await this.#run(FILL_CLIENTS, FILL_CONNECTIONS, ['put', ...PUT_SIZES, ...how]);
  }

  /** Warms up, then measures for about so long. */
  async load(row: Row, seconds: number): Promise<LoadFigures> {
    const name = `${row.work} ${row.inFlight}`;
    const known = this.#rates.get(name) ?? (await this.#calibrate(row));
    const warm = await this.#runRow(row, known * WARMUP_SECONDS);
    const { figures } = await this.#runRow(row, warm.figures.opsPerSecond * seconds);
    this.#rates.set(name, figures.opsPerSecond);
    return figures;
  }

  /** Ever longer runs, until one lasts long enough to tell the rate. */
  async #calibrate(row: Row): Promise<number> {
    for (let operations = 100 + 20 * row.inFlight; ; operations *= 4) {
      const { seconds, figures } = await this.#runRow(row, operations);
      if (seconds >= CALIBRATED_SECONDS) return figures.opsPerSecond;
    }
  }

  async #runRow(row: Row, operations: number): Promise<{ readonly seconds: number; readonly figures: LoadFigures }> {
    const total = Math.max(row.inFlight, Math.round(operations));
    const servers = CpuMeter.of(this.#cluster.pids);
    const args = [...toolArguments(row), `--total=${total}`];
    const ran = await this.#run(row.inFlight, row.connections, args).finally(() => servers.stop());
    const { opsPerSecond, seconds, p50Ms, p99Ms } = parseToolOutput(ran.stdout);
    const cpuMicros = servers.between(ran.startedMs, ran.endedMs) + ran.cpuMicros;
    return { seconds, figures: { opsPerSecond, p50Ms, p99Ms, cpuMicrosPerOp: cpuMicros / total } };
  }

  async #run(clients: number, connections: number, args: readonly string[]) {
    const endpoint = await this.#cluster.leader();
    const common = [`--endpoints=${endpoint}`, `--clients=${clients}`, `--conns=${connections}`, '--precise'];
    return this.#place.run(this.#tool, [...common, ...args]);
  }
}

const PUT_SIZES = [`--key-size=${KEY_BYTES}`, `--val-size=${VALUE_BYTES}`];

export function toolArguments(row: Row): string[] {
  if (row.work === 'put') return ['put', ...PUT_SIZES, `--key-space-size=${row.keys}`];
  return ['range', READ_KEY, `--consistency=${row.work === 'get-stale' ? 's' : 'l'}`];
}
