// What a load counts: latencies by kind of operation, errors by code.
import { EraftError } from '../../base/errors.js';
import { Histogram } from './histogram.js';

export type Kind = 'put' | 'get';

const PERCENTILES = [50, 90, 95, 99, 99.9, 99.99] as const;

export interface LatencySummary {
  readonly minUs: number;
  readonly meanUs: number;
  readonly maxUs: number;
  /** `p50`, `p99`, `p99.9`, … in microseconds. */
  readonly percentilesUs: Readonly<Record<string, number>>;
}

export interface KindSummary {
  readonly operations: number;
  readonly perSecond: number;
  readonly latency: LatencySummary | null;
}

const us = (ns: number): number => Math.round(ns / 10) / 100;

function summarize(histogram: Histogram): LatencySummary | null {
  if (histogram.count === 0) return null;
  const percentiles = PERCENTILES.map((each) => [`p${each}`, us(histogram.percentile(each))] as const);
  return {
    minUs: us(histogram.min),
    meanUs: us(histogram.mean),
    maxUs: us(histogram.max),
    percentilesUs: Object.fromEntries(percentiles),
  };
}

export class Recorder {
  readonly #histograms: Readonly<Record<Kind, Histogram>> = { put: new Histogram(), get: new Histogram() };
  readonly #errors = new Map<string, number>();
  #recent = new Histogram();
  #failed = 0;

  /** @param ns - from the intended start of the operation to its answer */
  done(kind: Kind, ns: number): void {
    this.#histograms[kind].record(ns);
    this.#recent.record(ns);
  }

  failed(error: unknown): void {
    const code = EraftError.is(error) ? error.code : error instanceof Error ? error.name : 'unknown';
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
    this.#failed += 1;
  }

  get operations(): number {
    return this.#histograms.put.count + this.#histograms.get.count;
  }

  get errors(): number {
    return this.#failed;
  }

  /** Since the last call: for the live line. */
  takeRecent(): { readonly operations: number; readonly p50Us: number; readonly p99Us: number } {
    const recent = this.#recent;
    this.#recent = new Histogram();
    return { operations: recent.count, p50Us: us(recent.percentile(50)), p99Us: us(recent.percentile(99)) };
  }

  summary(seconds: number): {
    readonly kinds: Partial<Record<Kind, KindSummary>>;
    readonly errors: Record<string, number>;
  } {
    const kinds: Partial<Record<Kind, KindSummary>> = {};
    for (const kind of ['put', 'get'] as const) {
      const histogram = this.#histograms[kind];
      if (histogram.count === 0) continue;
      kinds[kind] = {
        operations: histogram.count,
        perSecond: Math.round(histogram.count / seconds),
        latency: summarize(histogram),
      };
    }
    return { kinds, errors: Object.fromEntries([...this.#errors].sort()) };
  }
}
