// test/simulation/linearizability: is what clients saw what one store, one operation after the other, could have answered?
//
// In:   a history: who called what when, and what came of it (history.ts; a HistoryRecorder makes one).
// Out:  a verdict. Legal with the work that it took; else one line that says what is wrong, and the operations around it.
// How:  revisions are checked first, in one pass (revisions.ts). Then the history is divided into parts that share no key
//       (partition.ts), unknown writes are settled where that is certain (unknown.ts), and an order is searched for each
//       part (search.ts) by the meaning of the operations (model.ts).
// Not:  clocks, randomness, the store itself. The same history gives the same verdict after the same steps.
// May import: ./* alone. Start at history.ts, then ../linearizability.test.ts.
//
// The store is taken to be empty before the first call. What it held is told by writes in front of it: answered puts by a
// client of their own.
import type { History, Operation } from './history.js';
import { Model } from './model.js';
import { type Part, partsOf } from './partition.js';
import { aroundOf, describe, heldText, whoAndWhen } from './report.js';
import { checkRevisions, type Finding } from './revisions.js';
import { type SearchResult, search } from './search.js';
import { allKeys, keysOf, observationsOf, type Task, tasksOf } from './tasks.js';
import { settleUnknown } from './unknown.js';

export {
  type Change,
  type Condition,
  type History,
  HistoryRecorder,
  type Input,
  type Operation,
  type Output,
  parseHistory,
  type Seen,
} from './history.js';
export { describe } from './report.js';

export interface CheckOptions {
  /** Questions to the model, over all parts, after which the search is given up: an `unfinished` verdict. */
  readonly stepsMax?: number;
  /** Stale reads, too, must be at least as new as all that their own client was told or shown before. Default false. */
  readonly sessions?: boolean;
}

export interface Failure {
  readonly ok: false;
  /** `unfinished`: nobody knows. That is a failure, too: a shorter history or more steps will tell. */
  readonly kind: 'illegal' | 'unfinished';
  /** One line. */
  readonly finding: string;
  /** The one that cannot be explained; null when nothing was found. */
  readonly operation: Operation | null;
  /** What is needed to judge it, in the order of the calls. */
  readonly around: readonly Operation[];
  /** A longest legal beginning of its part, in an order that explains it; empty if the revisions alone told. */
  readonly prefix: readonly Operation[];
  readonly steps: number;
}

export type Verdict = { readonly ok: true; readonly steps: number; readonly parts: number } | Failure;

/** Of ten thousand simulated histories, the worst takes some four million. */
export const STEPS_MAX_DEFAULT = 12_000_000;
const EXPLAIN_STEPS_MAX = 200_000;

/** Checks a whole history. Costs some 2 µs a step; a history without doubt takes about two steps for each operation. */
export function checkHistory(history: History, options: CheckOptions = {}): Verdict {
  const keys = allKeys(history);
  const tasks = tasksOf(history);
  const settled = settleUnknown(tasks, keys);
  const wrong = checkRevisions(history, tasks, keys, { sessions: options.sessions ?? false });
  if (wrong !== null) return failureOf(wrong, history);
  const stepsMax = options.stepsMax ?? STEPS_MAX_DEFAULT;
  const parts = partsOf(settled.tasks);
  let steps = 0;
  for (const part of parts) {
    const model = new Model(part.keys, part.tasks, settled.plain);
    const result = search(model, part, stepsMax - steps);
    steps += result.steps;
    if (result.outcome === 'unfinished') return unfinished(part, result, steps);
    if (result.outcome === 'illegal') return illegal(part, model, result, history, steps);
  }
  return { ok: true, steps, parts: parts.length };
}

/** A verdict for people: the finding, the operations around it, and how far an order goes. */
export function explain(verdict: Verdict): string {
  if (verdict.ok) return `linearizable (${verdict.parts} parts, ${verdict.steps} steps)`;
  const lines = [
    verdict.finding,
    ...verdict.around.map((op) => `${op === verdict.operation ? '  > ' : '    '}${describe(op)}`),
  ];
  const last = verdict.prefix.at(-1);
  if (last !== undefined)
    lines.push(`  ${verdict.prefix.length} operations can be ordered, the last: ${describe(last)}`);
  return lines.join('\n');
}

function failureOf({ finding, operation }: Finding, history: History): Failure {
  const around = aroundOf(operation, history, []);
  return { ok: false, kind: 'illegal', finding, operation, around, prefix: [], steps: 0 };
}

function unfinished(part: Part, result: SearchResult, steps: number): Failure {
  const on = part.keys.slice(0, 3).join(', ') + (part.keys.length > 3 ? ` and ${part.keys.length - 3} more keys` : '');
  const stuck = result.blocked === null ? '' : `; the furthest it came is ${whoAndWhen(result.blocked)}`;
  const finding = `unfinished after ${steps} steps: ${part.tasks.length} operations on ${on}${stuck}`;
  const { blocked: operation, prefix } = result;
  const around = operation === null ? [] : aroundOf(operation, result.open.concat(operation), result.open);
  return { ok: false, kind: 'unfinished', finding, operation, around, prefix, steps };
}

/**
 * What is wrong is told best by a search that does not look ahead, and goes as far as it can: first one that knows nothing
 * of unknown writes but what they are; if that does not end, one that knows which were seen.
 */
function illegal(part: Part, model: Model, result: SearchResult, history: History, steps: number): Failure {
  const unsettled = partsOf(tasksOf(history)).find((each) => each.tasks.some((task) => task.op === result.blocked));
  const shortSighted = part.tasks.map((task) => ({ ...task, after: new Set<Task>(), sawOnce: [] }));
  let all = steps;
  for (const other of [unsettled, { ...part, tasks: shortSighted }]) {
    if (other === undefined) continue;
    const otherModel = new Model(other.keys, other.tasks, (_, value) => value);
    const otherResult = search(otherModel, other, EXPLAIN_STEPS_MAX);
    all += otherResult.steps;
    if (otherResult.outcome === 'illegal') return failedAt(other, otherModel, otherResult, history, all);
  }
  return failedAt(part, model, result, history, all);
}

function failedAt(part: Part, model: Model, result: SearchResult, history: History, steps: number): Failure {
  const { blocked, prefix, open } = result;
  if (blocked === null) throw new Error('an illegal part has an operation that could not be placed');
  const { input } = blocked;
  const ranged = input.op === 'scan' || input.op === 'deleteRange';
  const shown = [...keysOf(input), ...[...observationsOf(blocked)].map((each) => each.key)];
  const keys = [...new Set(ranged ? [...part.keys, ...shown] : shown)].slice(0, 6);
  const found = result.states.map((state) =>
    keys.map((key) => `${key}: ${heldText(model.heldAt(state, key))}`).join(', '),
  );
  const orders = `of what came before it (${prefix.length} operations)`;
  const why = `every order ${orders} leaves ${[...new Set(found)].join(' or ') || 'nothing'}`;
  const seen = blocked.outcome === 'unknown' ? ', and it was seen' : '';
  const finding = `${describe(blocked)}${seen}, but ${why}`;
  return {
    ok: false,
    kind: 'illegal',
    finding,
    operation: blocked,
    around: aroundOf(blocked, history, open),
    prefix,
    steps,
  };
}
