// eraft bench: the load tool.
import { Argument, type Command } from 'commander';
import { type BenchPlan, DISTRIBUTIONS, type Distribution, WORKLOADS, type Workload } from '../bench/plan.js';
import { EXIT, type ExitCode, UsageError } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import { type ClientFlags, endpointsOf, timeoutOf, wholeNumber, withClientFlags } from './shared.js';

interface BenchFlags extends ClientFlags {
  readonly connections: string;
  readonly inFlight: string;
  readonly rate: string;
  readonly duration: string;
  readonly warmup: string;
  readonly keys: string;
  readonly keySize: string;
  readonly valueSize: string;
  readonly distribution: string;
  readonly readPercent: string;
  readonly consistency: string;
  readonly fill: boolean;
  readonly seed: string;
  readonly json?: boolean;
}

function oneOf<T extends string>(name: string, given: string, names: readonly T[]): T {
  const found = names.find((each) => each === given);
  if (found !== undefined) return found;
  throw new UsageError(
    `bad value ${JSON.stringify(given)} for ${name}`,
    'it is not known',
    `say one of ${names.join(', ')}`,
  );
}

export function planOf(workload: Workload, flags: BenchFlags, io: Io): BenchPlan {
  const plan: BenchPlan = {
    workload,
    endpoints: endpointsOf(flags, io),
    timeoutMs: timeoutOf(flags, io),
    connections: wholeNumber('--connections', flags.connections, 1, 10_000),
    inFlight: wholeNumber('--in-flight', flags.inFlight, 1, 1_000_000),
    rate: wholeNumber('--rate', flags.rate, 0, 10_000_000),
    seconds: wholeNumber('--duration', flags.duration, 1, 86_400),
    warmupSeconds: wholeNumber('--warmup', flags.warmup, 0, 86_400),
    keys: wholeNumber('--keys', flags.keys, 1, 100_000_000),
    keyBytes: wholeNumber('--key-size', flags.keySize, 1, 4_096),
    valueBytes: wholeNumber('--value-size', flags.valueSize, 0, 1024 * 1024),
    distribution: oneOf<Distribution>('--distribution', flags.distribution, DISTRIBUTIONS),
    readPercent: wholeNumber('--read-percent', flags.readPercent, 0, 100),
    consistency: oneOf('--consistency', flags.consistency, ['linearizable', 'stale'] as const),
    fill: flags.fill,
    seed: wholeNumber('--seed', flags.seed, 0, 2 ** 32 - 1),
  };
  const digits = String(plan.keys - 1).length;
  if (plan.keyBytes < digits) {
    throw new UsageError(
      `${plan.keys} keys of ${plan.keyBytes} bytes`,
      `they need ${digits} digits each`,
      'raise --key-size or lower --keys',
    );
  }
  return plan;
}

async function bench(workload: Workload, flags: BenchFlags, io: Io): Promise<ExitCode> {
  const plan = planOf(workload, flags, io);
  const [{ runBench }, { renderResult }] = await Promise.all([import('../bench/run.js'), import('../bench/report.js')]);
  const result = await runBench(plan, io);
  await write(io.stdout, flags.json === true ? `${JSON.stringify(result, null, 2)}\n` : renderResult(result));
  return result.operations > 0 ? EXIT.ok : EXIT.failure;
}

export function addBench(program: Command, io: Io, run: (action: Action) => void): void {
  withClientFlags(
    program.command('bench').addArgument(new Argument('<workload>', 'what to do').choices([...WORKLOADS])),
  )
    .description('put load on a cluster and measure it; it writes keys that are numbers, and leaves them there')
    .option('--connections <number>', 'connections, each a client of its own', '8')
    .option('--in-flight <number>', 'unanswered operations of each connection; with --rate, at most', '64')
    .option('--rate <number>', 'operations a second (open loop); 0: each answer starts the next one', '0')
    .option('--duration <seconds>', 'how long to measure', '10')
    .option('--warmup <seconds>', 'how long to run before that', '2')
    .option('--keys <number>', 'how many different keys', '10000')
    .option('--key-size <bytes>', 'length of a key', '16')
    .option('--value-size <bytes>', 'length of a value', '128')
    .option('--distribution <kind>', `which keys: ${DISTRIBUTIONS.join(', ')}`, 'uniform')
    .option('--read-percent <number>', 'reads of a mixed load, of 100', '50')
    .option('--consistency <kind>', 'of reads: linearizable or stale', 'linearizable')
    .option('--no-fill', 'do not write every key before a load that reads')
    .option('--seed <number>', 'the same seed: the same sequence of keys', '1')
    .option('--json', 'print JSON')
    .action((workload: Workload, flags: BenchFlags) => run(() => bench(workload, flags, io)));
}
