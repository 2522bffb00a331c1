// Looks for fewer and smaller options with which a seed still fails in the same way.
import type { FaultName } from './faults/names.js';
import type { RunOptions } from './options.js';
import { type Result, runSeed } from './run-seed.js';

/** The invariant that failed. */
function kindOf(result: Result): string {
  return result.finding?.split(':', 1)[0] ?? '';
}

/** Each of these, tried in turn, makes a run simpler, or leaves it as it is. */
function* simpler(o: RunOptions): Generator<RunOptions> {
  for (const fault of o.faults) yield { ...o, faults: o.faults.filter((other: FaultName) => other !== fault) };
  if (o.safetyMs > 1_000) yield { ...o, safetyMs: Math.ceil(o.safetyMs / 2) };
  if (o.safetyMs > 1_000) yield { ...o, safetyMs: Math.ceil(o.safetyMs * 0.8) };
  if (o.clients > 1) yield { ...o, clients: o.clients - 1 };
  if (o.lanes > 1) yield { ...o, lanes: o.lanes - 1 };
  if (o.keys > 1) yield { ...o, keys: Math.ceil(o.keys / 2) };
  if (o.replicas > 1) yield { ...o, replicas: o.replicas - 1 };
  for (const name of ['loss', 'duplication', 'reordering', 'drift', 'jitterMs'] as const) {
    if (o[name] > 0) yield { ...o, [name]: 0 };
  }
  if (o.valueBytes > 8) yield { ...o, valueBytes: 8 };
  if (!o.healAll) yield { ...o, healAll: true };
}

/** @param tell - called with each option set that still fails */
export async function shrink(
  failing: RunOptions,
  tell: (options: RunOptions, result: Result) => void,
): Promise<RunOptions> {
  const kind = kindOf(await runSeed(failing));
  let best = failing;
  for (let found = true; found; ) {
    found = false;
    for (const candidate of simpler(best)) {
      const result = await runSeed(candidate);
      if (kindOf(result) !== kind) continue;
      best = candidate;
      found = true;
      tell(candidate, result);
      break;
    }
  }
  return best;
}
