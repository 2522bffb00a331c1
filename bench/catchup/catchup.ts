// One catch-up: a replica misses so many megabytes, and gets them back while the others serve a steady load.
import { setTimeout as delay } from 'node:timers/promises';
import { fill } from '../../ts/cli/bench/load.js';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import { Recorder } from '../../ts/cli/bench/recorder.js';
import { Client } from '../../ts/client/client.js';
import type { BenchContext } from '../lib/command.js';
import { EraftCluster } from '../lib/eraft-cluster.js';
import { BenchError } from '../lib/errors.js';
import { SteadyLoad } from '../soak/steady-load.js';

export const WAYS = ['log', 'snapshot'] as const;
/** How the replica gets back what it misses: by the log that was kept for it, or by a snapshot since it was not. */
export type Way = (typeof WAYS)[number];

export interface CatchUpPlan {
  /** That the replica misses. */
  readonly megabytes: number;
  /** Puts a second, of 256 B, before and meanwhile. */
  readonly rate: number;
  /** How long the load is measured before. */
  readonly seconds: number;
}

export interface CatchUpFigures {
  readonly way: Way;
  readonly megabytes: number;
  /** From the start of the process until it has applied what was committed at that moment. */
  readonly seconds: number;
  readonly megabytesPerSecond: number;
  readonly p99BeforeMs: number;
  /** Since its process serves. */
  readonly p99DuringMs: number;
  /** Terms begun meanwhile. */
  readonly elections: number;
  readonly errors: number;
  /** Of the other follower, killed with all of that in its log: until it serves. By log only. */
  readonly restartSeconds?: number;
  readonly restartLogBytes?: number;
}

const MIB = 1024 * 1024;
const VALUE_BYTES = 4_096;
const CONNECTIONS = 8;
const POLL_MS = 100;
/** In less there are hardly any operations to tell of. */
const DURING_MS_MIN = 1_000;
/** After the writes that one replica misses: the stores still merge files, and the system still writes some. */
const SETTLE_SECONDS = 15;

/** Of `log`, all of it is kept; of `snapshot`, less than is missed, and no less than there can be. */
function flagsOf(way: Way, { megabytes }: CatchUpPlan): string[] {
  return ['--max-log-bytes', way === 'log' ? '-1' : String(Math.max(256, megabytes / 8) * MIB)];
}

export async function catchUp(way: Way, plan: CatchUpPlan, { place, note }: BenchContext): Promise<CatchUpFigures> {
  const cluster = await EraftCluster.start(place, { replicas: 3, name: way, flags: flagsOf(way, plan) });
  const connect = (): Promise<Client> => Client.connect(cluster.endpoints, { timeoutMs: 30_000 });
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, connect));
  try {
    const absent = (await cluster.leaderId()) === 3 ? 2 : 3;
    await cluster.killReplica(absent);
    note(`${way}: writing ${plan.megabytes} MB that replica ${absent} misses`);
    await fill(fillPlan(plan, cluster.endpoints), clients, () => undefined);
    const restarted = way === 'log' ? await restart(cluster, absent, note) : {};
    return { ...(await measure(way, plan, cluster, clients, absent)), ...restarted };
  } finally {
    await Promise.all(clients.map((client) => client.close({ timeoutMs: 1_000 })));
    await cluster.stop();
  }
}

async function measure(
  way: Way,
  plan: CatchUpPlan,
  cluster: EraftCluster,
  clients: readonly Client[],
  absent: number,
): Promise<CatchUpFigures> {
  const recorder = new Recorder();
  const load = new SteadyLoad(loadPlan(plan, cluster.endpoints), clients, recorder);
  try {
    await delay(Math.min(SETTLE_SECONDS, plan.seconds) * 1_000);
    recorder.takeRecent();
    await delay(plan.seconds * 1_000);
    const before = recorder.takeRecent();
    const termBefore = await termOf(cluster);
    const started = performance.now();
    await cluster.startReplica(absent);
    const serves = performance.now();
    recorder.takeRecent(); // a process that begins takes a processor, whatever it has to catch up with
    await untilCaughtUp(cluster, absent);
    const seconds = (performance.now() - started) / 1_000;
    await delay(Math.max(0, serves + DURING_MS_MIN - performance.now()));
    const during = recorder.takeRecent();
    return {
      way,
      megabytes: plan.megabytes,
      seconds,
      megabytesPerSecond: plan.megabytes / seconds,
      p99BeforeMs: before.p99Us / 1_000,
      p99DuringMs: during.p99Us / 1_000,
      elections: (await termOf(cluster)) - termBefore,
      errors: recorder.errors,
    };
  } finally {
    await load.stop();
  }
}

/** Kills and starts the follower that has everything; the log is kept since another one lacks it. */
async function restart(
  cluster: EraftCluster,
  absent: number,
  note: (text: string) => void,
): Promise<Pick<CatchUpFigures, 'restartSeconds' | 'restartLogBytes'>> {
  const leader = await cluster.leaderId();
  const follower = [1, 2, 3].find((id) => id !== absent && id !== leader) ?? 0;
  const logBytes = (await cluster.facts()).find(({ id }) => id === follower)?.logBytes ?? Number.NaN;
  note(`log: restarting replica ${follower} with ${Math.round(logBytes / MIB)} MiB of log`);
  await cluster.killReplica(follower);
  const started = performance.now();
  await cluster.startReplica(follower);
  return { restartSeconds: (performance.now() - started) / 1_000, restartLogBytes: logBytes };
}

async function untilCaughtUp(cluster: EraftCluster, replica: number): Promise<void> {
  let goal = 0;
  for (;;) {
    const facts = await cluster.facts();
    const committed = Math.max(...facts.map(({ commitIndex }) => commitIndex ?? 0));
    if (goal === 0) goal = committed;
    if ((facts.find(({ id }) => id === replica)?.appliedIndex ?? 0) >= goal) return;
    await delay(POLL_MS);
  }
}

async function termOf(cluster: EraftCluster): Promise<number> {
  const facts = await cluster.facts();
  if (facts.length === 0) throw new BenchError('no replica tells its status');
  return Math.max(...facts.map(({ term }) => term ?? 0));
}

function fillPlan(plan: CatchUpPlan, endpoints: readonly string[]): BenchPlan {
  const keys = Math.ceil((plan.megabytes * MIB) / VALUE_BYTES);
  return { ...loadPlan(plan, endpoints), keys, valueBytes: VALUE_BYTES };
}

function loadPlan(plan: CatchUpPlan, endpoints: readonly string[]): BenchPlan {
  return {
    workload: 'put',
    endpoints,
    timeoutMs: 30_000,
    connections: CONNECTIONS,
    inFlight: 128,
    rate: plan.rate,
    seconds: plan.seconds,
    warmupSeconds: 0,
    keys: 10_000,
    keyBytes: 8,
    valueBytes: 256,
    distribution: 'uniform',
    readPercent: 0,
    consistency: 'linearizable',
    fill: true,
    seed: 1,
  };
}
