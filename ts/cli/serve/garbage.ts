// When V8 collects the whole heap of a replica process.
import { setFlagsFromString } from 'node:v8';

/**
 * By how much the heap may grow from one full collection to the next, percent.
 *
 * A replica keeps some 15 MB of objects and lets tens of megabytes a second go, nearly all of them young. V8 lets a heap of
 * that size grow by a few megabytes before it marks all of it, up to twice a second, with helper threads that take the
 * processors from the replica and its log for 4 ms at a time: on two cores every hundredth write waited for that.
 */
const HEAP_GROWING_PERCENT = 400;

/** For the whole process: not for one that eraft is embedded in. */
export function collectRarely(): void {
  // Read at each collection. A V8 that does not know the flag says so on standard error, and goes on without.
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}
