// One measurement of one work: benchmark.js for the rate, our own samples for the distribution.
import Benchmark from 'benchmark';
import { distributionOf, sampleAwaited, sampleCalls } from './samples.js';
import type { Work, WorkFigures } from './work.js';

/** @param seconds - shared between benchmark.js and our own clock */
export async function measureWork(work: Work, seconds: number): Promise<WorkFigures> {
  const half = seconds / 2;
  if ('sample' in work) return figuresOf(work, await work.sample(seconds), undefined);
  const counted = await countCalls(work, half);
  const values = 'call' in work ? sampleCalls(work.call, half) : await sampleAwaited(work.awaited, half);
  return figuresOf(work, values, counted);
}

function figuresOf(
  { perCall }: Work,
  values: readonly number[],
  counted: { readonly hertz: number; readonly marginPercent: number } | undefined,
): WorkFigures {
  const { mean, p50, p99 } = distributionOf(values);
  return {
    perSecond: counted === undefined ? undefined : counted.hertz * perCall,
    marginPercent: counted?.marginPercent,
    meanNanos: mean / perCall,
    p50Nanos: p50 / perCall,
    p99Nanos: p99 / perCall,
  };
}

interface Deferred {
  resolve(): void;
}

function countCalls(
  work: Exclude<Work, { readonly sample: unknown }>,
  seconds: number,
): Promise<{ readonly hertz: number; readonly marginPercent: number }> {
  const deferred = 'awaited' in work;
  const body = deferred ? (d: Deferred) => void work.awaited().then(() => d.resolve()) : work.call;
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark(work.name, body, {
      async: true,
      defer: deferred,
      maxTime: seconds,
      onComplete: () => {
        const { error } = benchmark as { error?: unknown };
        if (error !== undefined) reject(error);
        else resolve({ hertz: benchmark.hz, marginPercent: benchmark.stats.rme });
      },
    });
    benchmark.run();
  });
}
