// What a micro bench measures, and the figures that it gets.

/** Something small, done again and again. */
export type Work = {
  readonly name: string;
  /** What figures are told for: 'call', 'command', 'entry', … */
  readonly unit: string;
  /** So many units are done by one call. */
  readonly perCall: number;
} & (
  | { readonly call: () => unknown }
  | { readonly awaited: () => Promise<unknown> }
  /** Measures itself: what it needs has to be made ready while the clock stands still. @returns nanoseconds of each call */
  | { readonly sample: (seconds: number) => Promise<readonly number[]> }
);

/** Works that share what they need. */
export interface Subject {
  readonly name: string;
  /** @param folder - for data, on a real disk; it exists */
  open(folder: string): Promise<{ readonly works: readonly Work[]; close(): Promise<void> }>;
}

/** Of one unit of a work. */
export interface WorkFigures {
  /** As benchmark.js counts; undefined where a work cannot be repeated at will. */
  readonly perSecond: number | undefined;
  /** Its margin of error, in percent. */
  readonly marginPercent: number | undefined;
  /** By our own clock. p99 is what one unit cost in the slowest hundredth of short runs of calls. */
  readonly meanNanos: number;
  readonly p50Nanos: number;
  readonly p99Nanos: number;
}

/** A subject without anything to open or close. */
export function pureSubject(name: string, works: () => readonly Work[]): Subject {
  return { name, open: async () => ({ works: works(), close: async () => undefined }) };
}
