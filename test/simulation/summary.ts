import type { Result } from './run-seed.js';

/** What many runs did, so that none of them idles unseen. */
export class Summary {
  seeds = 0;
  #events = 0;
  #simulatedMs = 0;
  #realMs = 0;
  #cpuMs = 0;
  readonly #operations: number[] = [];
  readonly #elections: number[] = [];
  readonly #faults: number[] = [];
  readonly #seedMs: number[] = [];
  #slowest = { seed: 0, cpuMs: 0 };

  add({ seed, events, simulatedMs, realMs, cpuMs, operations, elections, faults }: Result): void {
    this.seeds++;
    this.#seedMs.push(cpuMs);
    if (cpuMs > this.#slowest.cpuMs) this.#slowest = { seed, cpuMs };
    this.#events += events;
    this.#simulatedMs += simulatedMs;
    this.#realMs += realMs;
    this.#cpuMs += cpuMs;
    this.#operations.push(operations);
    this.#elections.push(elections);
    this.#faults.push(faults);
  }

  /** What the median run did too little of to mean anything; '' when it did enough. */
  get idle(): string {
    const least = [1_000, 3, 10];
    const [operations = 0, elections = 0, faults = 0] = this.#medians;
    const enough = [operations, elections, faults].every((median, i) => median >= (least[i] ?? 0));
    return enough ? '' : `a median run has ${operations} operations, ${elections} elections and ${faults} faults`;
  }

  get #medians(): number[] {
    return [this.#operations, this.#elections, this.#faults].map(medianOf);
  }

  get line(): string {
    const [perSecond, perCore] = [this.#realMs, this.#cpuMs].map((ms) => (value: number): string => {
      return Math.round((value * 1_000) / ms).toLocaleString('en');
    }) as [(value: number) => string, (value: number) => string];
    const [operations, elections, faults] = this.#medians;
    const simulated = `${perSecond(this.#simulatedMs / 1_000)} simulated seconds a second and process`;
    const speed = `${perCore(this.#events)} events a second of a processor's time`;
    const { seed, cpuMs } = this.#slowest;
    const cost = `a seed takes ${seconds(medianOf(this.#seedMs))} of it (median), seed ${seed} the most, ${seconds(cpuMs)}`;
    return `${simulated}, ${speed}; ${cost}; of each seed (median) ${operations} operations, ${elections} elections, ${faults} faults`;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
