// Time and chance as values that are handed in, so that a whole cluster can run in virtual time.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds, monotonic, with fractions. Only differences mean anything. */
  now(): number;
  /** Calls `run` once, `ms` milliseconds from now at the earliest. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` once, when what has arrived by now has been handled. */
  endOfTurn(run: () => void): void;
}

/** 0 <= x < 1. */
export type Random = () => number;

/** @param options.keepAlive - whether a pending timer keeps the process running */
export function systemClock(options: { readonly keepAlive: boolean }): Clock {
  return {
    now: () => performance.now(),
    after(ms, run) {
      const timer = setTimeout(run, ms);
      if (!options.keepAlive) timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    endOfTurn(run) {
      setImmediate(run);
    },
  };
}
