// One measurement in a process of its own: opens a store, fills it, loads it, prints its figures as JSON.
import { mkdirSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuMicrosOf, untilQuiet } from '../lib/processes.js';
import { openEraft, openEraftOfThree } from './eraft-stores.js';
import { EmbeddedLoad, type Work } from './load.js';
import { openClassicLevel, openLmdb, openRocksdb } from './other-stores.js';
import type { MeasuredStore, SystemName } from './store.js';

export interface Task {
  readonly system: SystemName;
  readonly work: Work;
  readonly valueBytes: number;
  readonly inFlight: number;
  readonly keys: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Its folder, empty. */
  readonly dir: string;
  /** The folder with the packages of the other stores. */
  readonly packages: string;
}

export interface EmbeddedFigures {
  readonly opsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** User and system time of all threads and all replicas, for each operation. */
  readonly cpuMicrosPerOp: number;
  /** Of the time, how much the JavaScript thread of the callers spent in garbage collection. */
  readonly gcPercent: number;
  readonly [name: string]: number;
}

function open({ system, packages, dir }: Task): Promise<MeasuredStore> {
  switch (system) {
    case 'eraft':
      return openEraft(dir);
    case 'eraft-3':
      return openEraftOfThree(dir);
    case 'lmdb':
      return openLmdb(packages, dir);
    case 'classic-level':
      return openClassicLevel(packages, dir);
    case 'rocksdb':
      return openRocksdb(packages, dir);
  }
}

async function measure(store: MeasuredStore, load: EmbeddedLoad, task: Task): Promise<EmbeddedFigures> {
  let gcMs = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMs += duration;
  });
  observer.observe({ entryTypes: ['gc'] });
  const cpuBefore = process.cpuUsage();
  const peersBefore = cpuMicrosOf(store.pids);
  const started = performance.now();
  await load.run(task.inFlight, task.seconds);
  const ms = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuMicros = cpu.user + cpu.system + cpuMicrosOf(store.pids) - peersBefore;
  await delay(0); // for what the observer has not been told yet
  observer.disconnect();
  const { latencies } = load;
  return {
    opsPerSecond: (latencies.total * 1_000) / ms,
    p50Micros: latencies.percentileMs(0.5) * 1_000,
    p99Micros: latencies.percentileMs(0.99) * 1_000,
    cpuMicrosPerOp: cpuMicros / latencies.total,
    gcPercent: (gcMs * 100) / ms,
  };
}

async function main(task: Task): Promise<void> {
  mkdirSync(task.dir, { recursive: true });
  const store = await open(task);
  const load = new EmbeddedLoad(store, task.work, task.keys, task.valueBytes);
  await load.fill();
  // Stores write to their tables behind our back: that work is of the filling.
  await untilQuiet([process.pid, ...store.pids], { windowMs: 300, patienceMs: 5_000 });
  await load.run(task.inFlight, task.warmupSeconds);
  const figures = await measure(store, load, task);
  await store.close();
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

await main(JSON.parse(process.argv[2] ?? '') as Task);
