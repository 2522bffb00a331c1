// One run of the load tool: connect, fill, warm up, measure, tell.
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '../../client/client.js';
import type { Io } from '../io.js';
import { fill, Load } from './load.js';
import type { BenchPlan } from './plan.js';
import { Recorder } from './recorder.js';
import { type BenchResult, duration, resultOf, startInterval } from './report.js';

/** The live line: every second on a terminal, every ten elsewhere. */
class Live {
  readonly #io: Io;
  readonly #everyMs: number;
  #last = Date.now();

  constructor(io: Io) {
    this.#io = io;
    this.#everyMs = io.stderr.isTTY === true ? 1_000 : 10_000;
  }

  due(): boolean {
    return Date.now() - this.#last >= this.#everyMs;
  }

  show(text: string): void {
    this.#last = Date.now();
    this.#io.stderr.write(this.#io.stderr.isTTY === true ? `\r\x1b[2K${text}` : `${text}\n`);
  }

  end(): void {
    if (this.#io.stderr.isTTY === true) this.#io.stderr.write('\r\x1b[2K');
  }
}

/** Ends early at Ctrl-C, with the result so far. */
export async function runBench(plan: BenchPlan, io: Io): Promise<BenchResult> {
  const clients = await Promise.all(
    Array.from({ length: plan.connections }, () => Client.connect(plan.endpoints, { timeoutMs: plan.timeoutMs })),
  );
  const live = new Live(io);
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  process.once('SIGINT', onSignal);
  try {
    if (plan.fill && plan.workload !== 'put') {
      await fill(plan, clients, (done) => {
        if (live.due()) live.show(`filling: ${done} of ${plan.keys} keys`);
      });
    }
    return await measure(plan, clients, live, interrupt.signal);
  } finally {
    process.removeListener('SIGINT', onSignal);
    live.end();
    await Promise.all(clients.map((client) => client.close({ timeoutMs: 1_000 })));
  }
}

async function measure(
  plan: BenchPlan,
  clients: readonly Client[],
  live: Live,
  interrupt: AbortSignal,
): Promise<BenchResult> {
  const warmup = new Recorder();
  const load = new Load(plan, clients, warmup);
  const running = load.run();
  await watch('warm-up', plan.warmupSeconds, warmup, live, interrupt);
  const recorder = new Recorder();
  load.recordTo(recorder);
  const interval = startInterval();
  await watch(plan.workload, plan.seconds, recorder, live, interrupt);
  const { behindMax } = load;
  const result = resultOf(plan, recorder, interval(), behindMax);
  load.stop();
  await running;
  return result;
}

async function watch(
  name: string,
  seconds: number,
  recorder: Recorder,
  live: Live,
  interrupt: AbortSignal,
): Promise<void> {
  const started = Date.now();
  let last = started;
  while (!interrupt.aborted) {
    const left = started + seconds * 1_000 - Date.now();
    if (left <= 0) return;
    await delay(Math.min(left, 250), undefined, { signal: interrupt }).catch(() => undefined);
    if (!live.due()) continue;
    const { operations, p50Us, p99Us } = recorder.takeRecent();
    const perSecond = Math.round((operations * 1_000) / Math.max(1, Date.now() - last));
    last = Date.now();
    const elapsed = Math.round((last - started) / 1_000);
    live.show(
      `${name} ${elapsed}/${seconds} s  ${perSecond}/s  p50 ${duration(p50Us)}  p99 ${duration(p99Us)}  errors ${recorder.errors}`,
    );
  }
}
