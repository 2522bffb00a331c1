// What a load counts: latencies by kind of operation, errors by code.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { EraftError } from '../../base/errors.js';

export type Kind = 'put' | 'get';

const PERCENTILES = [50, 90, 95, 99, 99.9, 99.99] as const;
const HIGHEST_NS = 3_600_000_000_000;

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

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: HIGHEST_NS, figures: 3 });
}

const us = (ns: number): number => Math.round(ns / 10) / 100;

function summarize(histogram: RecordableHistogram): LatencySummary | null {
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
  readonly #histograms: Readonly<Record<Kind, RecordableHistogram>> = { put: newHistogram(), get: newHistogram() };
  readonly #errors = new Map<string, number>();
  #recent = newHistogram();
  #failed = 0;

  /** @param ns - from the intended start of the operation to its answer */
  done(kind: Kind, ns: number): void {
    const value = Math.min(HIGHEST_NS, Math.max(1, Math.round(ns)));
    this.#histograms[kind].record(value);
    this.#recent.record(value);
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
    this.#recent = newHistogram();
    const at = (each: number): number => (recent.count === 0 ? 0 : us(recent.percentile(each)));
    return { operations: recent.count, p50Us: at(50), p99Us: at(99) };
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
