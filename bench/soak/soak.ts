// One soak: fill, calibrate, then a steady load for as long as it is asked for, looked at period by period.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fill, Load } from '../../ts/cli/bench/load.js';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import { Recorder } from '../../ts/cli/bench/recorder.js';
import { Client } from '../../ts/client/client.js';
import type { BenchContext } from '../lib/command.js';
import { EraftCluster } from '../lib/eraft-cluster.js';
import { SteadyLoad } from './steady-load.js';
import { Watch, type Watched } from './watch.js';

const REPLICAS = 3;
const FOLDER = 'eraft';

export interface SoakPlan {
  readonly minutes: number;
  readonly periodSeconds: number;
  /** Periods at the beginning that are not judged. */
  readonly warmupPeriods: number;
  /** Share of the capacity. */
  readonly loadPercent: number;
  readonly calibrateSeconds: number;
  /** Operations a second; 0: to be found out. */
  readonly rate: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly readPercent: number;
  readonly connections: number;
}

/** What was seen in one period. */
export interface Period extends Watched {
  /** From 1. */
  readonly period: number;
  readonly warm: boolean;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface Soaked {
  /** Operations a second in a closed loop; undefined: was not looked for. */
  readonly capacity: number | undefined;
  readonly asked: number;
  readonly periods: readonly Period[];
  readonly errors: Readonly<Record<string, number>>;
}

/** Of each connection: enough together to keep the replicas busy in a closed loop. */
const CALLERS = 1_024;

function benchPlanOf(plan: SoakPlan, endpoints: readonly string[], rate: number): BenchPlan {
  return {
    workload: 'mixed',
    endpoints,
    timeoutMs: 5_000,
    connections: plan.connections,
    inFlight: Math.ceil(CALLERS / plan.connections),
    rate,
    seconds: plan.minutes * 60,
    warmupSeconds: 0,
    keys: plan.keys,
    keyBytes: 8,
    valueBytes: plan.valueBytes,
    distribution: 'uniform',
    readPercent: plan.readPercent,
    consistency: 'linearizable',
    fill: true,
    seed: 1,
  };
}

/** @param onPeriod - hears of each period as it ends */
export async function soak(plan: SoakPlan, context: BenchContext, onPeriod: (period: Period) => void): Promise<Soaked> {
  const cluster = await EraftCluster.start(context.place, { replicas: REPLICAS, name: FOLDER });
  const connect = (): Promise<Client> => Client.connect(cluster.endpoints, { timeoutMs: 5_000 });
  const clients = await Promise.all(Array.from({ length: plan.connections }, connect));
  try {
    const closed = benchPlanOf(plan, cluster.endpoints, 0);
    context.note(`filling ${plan.keys} keys`);
    await fill(closed, clients, () => undefined);
    const capacity = plan.rate > 0 ? undefined : await calibrate(closed, clients, plan.calibrateSeconds, context);
    const asked = capacity === undefined ? plan.rate : Math.round((capacity * plan.loadPercent) / 100);
    context.note(`steady load: ${asked} operations a second, for ${plan.minutes} min`);
    const replicas = cluster.pids.map((pid, i) => [`replica ${i + 1}`, pid] as const);
    const pids = { ...Object.fromEntries(replicas), load: process.pid };
    const watch = new Watch(pids, join(context.place.folder, FOLDER));
    const soaked = await keepUp(plan, benchPlanOf(plan, cluster.endpoints, asked), clients, watch, onPeriod);
    return { capacity, asked, ...soaked };
  } finally {
    await Promise.all(clients.map((client) => client.close({ timeoutMs: 1_000 })));
    await cluster.stop();
  }
}

/** The closed loop's rate in the later part of the time. */
async function calibrate(
  plan: BenchPlan,
  clients: readonly Client[],
  seconds: number,
  { note }: BenchContext,
): Promise<number> {
  const load = new Load(plan, clients, new Recorder());
  const running = load.run();
  await delay((seconds * 1_000) / 4);
  const recorder = new Recorder();
  load.recordTo(recorder);
  const started = performance.now();
  await delay((seconds * 1_000 * 3) / 4);
  const perSecond = (recorder.operations * 1_000) / (performance.now() - started);
  load.stop();
  await running;
  note(`capacity, closed loop of ${CALLERS} callers: ${Math.round(perSecond)} operations a second`);
  return perSecond;
}

async function keepUp(
  plan: SoakPlan,
  open: BenchPlan,
  clients: readonly Client[],
  watch: Watch,
  onPeriod: (period: Period) => void,
): Promise<Pick<Soaked, 'periods' | 'errors'>> {
  const recorder = new Recorder();
  const load = new SteadyLoad(open, clients, recorder);
  const periods: Period[] = [];
  const count = Math.round((plan.minutes * 60) / plan.periodSeconds);
  const started = performance.now();
  let before = started;
  let errors = 0;
  try {
    for (let period = 1; period <= count; period++) {
      await delay(started + period * plan.periodSeconds * 1_000 - performance.now());
      const { operations, p50Us, p99Us } = recorder.takeRecent();
      const now = performance.now();
      const seen = {
        period,
        warm: period > plan.warmupPeriods,
        perSecond: (operations * 1_000) / (now - before),
        p50Ms: p50Us / 1_000,
        p99Ms: p99Us / 1_000,
        errors: recorder.errors - errors,
        ...watch.take(),
      };
      before = now;
      errors = recorder.errors;
      periods.push(seen);
      onPeriod(seen);
    }
  } finally {
    watch.stop();
    await load.stop();
  }
  return { periods, errors: recorder.summary(1).errors };
}
