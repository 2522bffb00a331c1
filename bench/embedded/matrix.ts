// The rows of the table: what callers do, with values of which size, how many of them at once.
import { InvalidArgumentError } from 'commander';
import { WORKS, type Work } from './load.js';

export interface Row {
  readonly work: Work;
  readonly valueBytes: number;
  /** Callers, each awaiting one operation. */
  readonly inFlight: number;
}

export const VALUES_DEFAULT = [16, 128, 1024];
export const IN_FLIGHT_DEFAULT = [1, 1000, 4096];

/** For commander: whole numbers with commas between, or a clear refusal. */
export function wholeNumbers(most: number): (given: string) => number[] {
  return (given) => {
    const parts = given.split(',').map((part) => part.trim());
    const numbers = parts.map(Number);
    const good = parts.every((part) => /^\d+$/.test(part)) && numbers.every((number) => number >= 1 && number <= most);
    if (good) return numbers;
    throw new InvalidArgumentError(`It must be whole numbers from 1 to ${most}, with commas between.`);
  };
}

/** One key asked for again and again is asked for by one caller: what counts there is the time of a single call. */
export function rowsOf(works: readonly Work[], values: readonly number[], inFlight: readonly number[]): Row[] {
  return WORKS.filter((work) => works.includes(work)).flatMap((work) =>
    values.flatMap((valueBytes) =>
      (work === 'hot-get' ? [1] : inFlight).map((count) => ({ work, valueBytes, inFlight: count })),
    ),
  );
}
