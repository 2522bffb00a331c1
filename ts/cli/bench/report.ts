// The result of a load, for people and for programs.
import type { BenchPlan } from './plan.js';
import type { Kind, Recorder } from './recorder.js';

/** When something was measured, without filling and warm-up, and what it cost here. */
export interface Interval {
  readonly seconds: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly endedAt: string;
  /** User and system time of this process. The servers have theirs: `/proc`, or their metrics. */
  readonly cpuMicros: number;
}

export interface BenchResult extends Interval {
  readonly plan: BenchPlan;
  readonly operations: number;
  readonly perSecond: number;
  readonly kinds: ReturnType<Recorder['summary']>['kinds'];
  /** Error code to how often. Errors are not in the latencies. */
  readonly errors: Readonly<Record<string, number>>;
  /** Open loop: the most operations that were due and could not begin, because too many were unanswered. */
  readonly behindMax: number;
}

/** Begins an interval. @returns a function that tells it as it is by then */
export function startInterval(): () => Interval {
  const startedAt = new Date().toISOString();
  const started = process.hrtime.bigint();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    const seconds = Math.max(0.001, Number(process.hrtime.bigint() - started) / 1e9);
    return { seconds, startedAt, endedAt: new Date().toISOString(), cpuMicros: user + system };
  };
}

export function resultOf(plan: BenchPlan, recorder: Recorder, interval: Interval, behindMax: number): BenchResult {
  const operations = recorder.operations;
  const { seconds } = interval;
  return {
    plan,
    ...interval,
    operations,
    perSecond: Math.round(operations / seconds),
    ...recorder.summary(seconds),
    behindMax,
  };
}

const count = new Intl.NumberFormat('en-US');

export function duration(us: number): string {
  if (us < 1_000) return `${us.toFixed(0)} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

export function renderResult(result: BenchResult): string {
  const { plan } = result;
  const loop = plan.rate > 0 ? `open loop, ${count.format(plan.rate)}/s asked for` : 'closed loop';
  const lines = [
    `${plan.workload}, ${loop}: ${plan.connections} connections, ${plan.inFlight} in flight each, keys of ${plan.keyBytes} B, values of ${plan.valueBytes} B`,
    `${count.format(result.operations)} operations in ${result.seconds.toFixed(1)} s: ${count.format(result.perSecond)}/s`,
  ];
  for (const kind of ['put', 'get'] as const satisfies readonly Kind[]) {
    const summary = result.kinds[kind];
    if (summary?.latency == null) continue;
    const { minUs, meanUs, maxUs, percentilesUs } = summary.latency;
    const percentiles = Object.entries(percentilesUs).map(([name, value]) => `${name} ${duration(value)}`);
    lines.push(
      `${kind}  ${count.format(summary.perSecond)}/s  min ${duration(minUs)}  mean ${duration(meanUs)}  max ${duration(maxUs)}`,
      `     ${percentiles.join('  ')}`,
    );
  }
  if (result.behindMax > 0)
    lines.push(
      `the schedule was missed: up to ${count.format(result.behindMax)} operations had to wait for their turn (counted in the latencies)`,
    );
  const errors = Object.entries(result.errors).map(([code, times]) => `${code} ${count.format(times)}`);
  lines.push(errors.length === 0 ? 'no errors' : `errors: ${errors.join(', ')}`);
  return `${lines.join('\n')}\n`;
}
