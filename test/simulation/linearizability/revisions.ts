// What revisions prove without a search, in one pass: the order of the writes, and the moments that reads can be of.
//
// A revision is the place of a command in the one log that all replicas apply, so writes took effect in the order of their
// revisions, whatever their keys. It follows, for everything that was answered:
//
// - No two writes have the same revision, and a write has a greater one than any that was told or shown before its call.
// - An entry with revision r has the value that the write of r left there, and that was called before the entry was seen.
// - What a read shows of all its keys is of one prefix of the log: not of one before `minRevision`, and, unless it is
//   stale, not of one before any revision that was told or shown before its call.
//
// The search cannot do the last for stale reads, which are of the past, and does the rest within a part only. Operations
// whose revision is not known make the checks weaker, never wrong.
import type { History, Operation, Seen } from './history.js';
import { describe, seenText } from './report.js';
import { isRead, isStale, keysWithin, observationsOf, outputOf, type Task, tasksOf } from './tasks.js';
import { type Stroke, type Timeline, Timelines } from './timeline.js';

export interface Finding {
  readonly finding: string;
  readonly operation: Operation;
}

export interface RevisionOptions {
  /** Stale reads, too, are at least as new as all that their own client was told or shown before. */
  readonly sessions: boolean;
}

/** Prefixes of the log, by the revision of their last write. */
interface Span {
  readonly from: number;
  readonly to: number;
  /** Why not later. */
  readonly end: Stroke | undefined;
}

interface Floor {
  readonly revision: number;
  readonly by: Operation | null;
}

const NO_FLOOR: Floor = { revision: 0, by: null };

/** @param tasks - all of the history, those that the search may forget too. @param keys - all of it, sorted */
export function checkRevisions(
  history: History,
  tasks: readonly Task[],
  keys: readonly string[],
  options: RevisionOptions,
): Finding | null {
  return new RevisionCheck(history, tasks, keys, options).run();
}

class RevisionCheck {
  readonly #history: History;
  readonly #tasks: readonly Task[];
  readonly #keys: readonly string[];
  readonly #lines: Timelines;
  readonly #sessions: boolean;
  /** Before the call of each operation: the greatest revision that anybody, or its client, knew. */
  readonly #known = new Map<Operation, Floor>();
  readonly #knownToClient = new Map<Operation, Floor>();
  /** Of revisions that answers to writes told. */
  readonly #owners = new Map<number, Operation>();
  readonly #valueAt = new Map<string, { readonly value: string; readonly op: Operation }>();

  constructor(history: History, tasks: readonly Task[], keys: readonly string[], options: RevisionOptions) {
    this.#history = history;
    this.#tasks = tasks;
    this.#keys = keys;
    this.#lines = new Timelines(tasks, keys);
    this.#sessions = options.sessions;
  }

  run(): Finding | null {
    this.#sweep();
    return this.#checkWrites() ?? this.#checkAnswers();
  }

  /** Walks through real time. At the same place, calls come before returns: then the operations overlap. */
  #sweep(): void {
    const calls = this.#history.toSorted((a, b) => a.call - b.call);
    const returns = this.#history.filter((op) => outputOf(op) !== null).sort((a, b) => a.return - b.return);
    let floor = NO_FLOOR;
    const clients = new Map<number, Floor>();
    let done = 0;
    for (const op of calls) {
      for (let next = returns[done]; next !== undefined && next.return < op.call; next = returns[++done]) {
        const known = { revision: greatestIn(next), by: next };
        if (known.revision > floor.revision) floor = known;
        if (known.revision > (clients.get(next.client) ?? NO_FLOOR).revision) clients.set(next.client, known);
      }
      this.#known.set(op, floor);
      this.#knownToClient.set(op, clients.get(op.client) ?? NO_FLOOR);
    }
  }

  #checkWrites(): Finding | null {
    for (const { op, output, told } of this.#tasks) {
      if (output === null || told === 0) continue;
      const owner = this.#owners.get(told);
      if (owner !== undefined) return finding(op, `revision ${told} was told for ${describe(owner)}, too`);
      this.#owners.set(told, op);
    }
    for (const { op, output, told } of this.#tasks) {
      const { revision, by } = this.#known.get(op) ?? NO_FLOOR;
      if (told === 0 || told > revision || by === null) continue;
      const seen = output === null ? ` (it was seen with revision ${told})` : '';
      return finding(op, `revision ${revision} was out before its call${seen}: ${describe(by)}`);
    }
    return null;
  }

  #checkAnswers(): Finding | null {
    for (const op of this.#history) {
      if (outputOf(op) === null) continue;
      for (const { key, seen } of observationsOf(op)) {
        const why = seen === null ? null : (this.#whyNever(op, key, seen) ?? this.#whyOther(op, key, seen));
        if (why !== null) return finding(op, why);
      }
      const why = this.#whyNoMoment(op);
      if (why !== null) return finding(op, why);
    }
    return null;
  }

  /** Why no write can have left this entry before it was seen. */
  #whyNever(op: Operation, key: string, seen: Seen): string | null {
    const line = this.#lines.of(key);
    const { revision, value } = seen;
    const point = revision === undefined ? undefined : line.at(revision);
    if (point !== undefined) {
      if (point.task.op.call > op.return) return writtenLater(point);
      const fits = point.leaves === 'an entry' && (value === undefined || point.fits(value));
      return fits ? null : `revision ${point.revision} is that of ${describe(point.task.op)}`;
    }
    const owner = this.#owners.get(revision ?? 0);
    if (owner !== undefined) return `revision ${revision} is that of ${describe(owner)}`;
    const able = line.able(seen).filter((each) => revision === undefined || each.revision === 0);
    if (able.some((each) => each.task.op.call <= op.return)) return null;
    const later = able[0];
    if (later !== undefined) return writtenLater(later);
    return `no write left ${seenText(seen)} at ${key}${this.#refusedAuthor(key, seen)}`;
  }

  #refusedAuthor(key: string, seen: Seen): string {
    const refused = this.#history.filter((op) => op.outcome === 'not-applied' && !isRead(op.input));
    const [able] = new Timelines(tasksOf(refused.map((op) => ({ ...op, outcome: 'unknown' }))), this.#keys)
      .of(key)
      .able(seen);
    return able === undefined ? '' : `, except one that was refused: ${describe(able.task.op)}`;
  }

  /** Why somebody else saw this entry otherwise. */
  #whyOther(op: Operation, key: string, seen: Seen): string | null {
    if (seen.revision === undefined || seen.value === undefined) return null;
    const text = `${seen.revision} ${key}`;
    const first = this.#valueAt.get(text);
    if (first === undefined) this.#valueAt.set(text, { value: seen.value, op });
    if (first === undefined || first.value === seen.value) return null;
    return `the value of ${key} at revision ${seen.revision} was shown otherwise: ${describe(first.op)}`;
  }

  /** Why there is no prefix of the log that shows all of an answer. */
  #whyNoMoment(op: Operation): string | null {
    let { from, to, why } = this.#window(op);
    let end: { readonly key: string; readonly by: Stroke } | undefined;
    const choices: { readonly key: string; readonly seen: Seen | null; readonly spans: readonly Span[] }[] = [];
    for (const { key, seen } of this.#shown(op)) {
      const spans = spansOf(this.#lines.of(key), seen, op);
      if (spans === null) continue;
      const [only, ...others] = spans;
      if (only === undefined) return `${key} never showed ${seenText(seen)}`;
      if (others.length > 0) {
        choices.push({ key, seen, spans });
        continue;
      }
      if (only.from > from) {
        from = only.from;
        why = () => `it shows ${key} at revision ${only.from} or later`;
      }
      if (only.to >= to) continue;
      to = only.to;
      end = only.end === undefined ? undefined : { key, by: only.end };
    }
    if (from > to) {
      if (end === undefined) return `${why()}, and it cannot be of a later moment than revision ${to}`;
      return `${why()}, and ${overText(end.key, end.by)}`;
    }
    const bad = choices.find(({ spans }) => !spans.some((span) => span.from <= to && span.to >= from));
    if (bad === undefined) return null;
    const by = bad.spans.findLast((span) => span.to < from)?.end;
    if (by === undefined) return `${why()}, and ${bad.key} did not show ${seenText(bad.seen)} from there on`;
    return `${why()}, and ${overText(bad.key, by)}`;
  }

  /** The prefixes that an answer may be of, before its contents are looked at. */
  #window(op: Operation): { from: number; to: number; why: () => string } {
    const { input } = op;
    const output = outputOf(op);
    if (output?.revision !== undefined) {
      const before = output.revision - 1;
      return { from: before, to: before, why: () => 'it shows what was just before it' };
    }
    const floors =
      isStale(input) && !this.#sessions ? NO_FLOOR : (isStale(input) ? this.#knownToClient : this.#known).get(op);
    const { revision, by } = floors ?? NO_FLOOR;
    const least = input.op === 'get' || input.op === 'scan' ? (input.minRevision ?? 0) : 0;
    const to = Number.POSITIVE_INFINITY;
    if (least > revision) return { from: least, to, why: () => `it must be of revision ${least} or later` };
    const told = (): string => (by === null ? '' : ` (${describe(by)})`);
    return { from: revision, to, why: () => `revision ${revision} was out before its call${told()}` };
  }

  /** What an answer showed; of a scan also the keys that it passed without showing them. */
  *#shown(op: Operation): Generator<{ readonly key: string; readonly seen: Seen | null }> {
    yield* observationsOf(op);
    const { input } = op;
    if (input.op !== 'scan') return;
    const output = outputOf(op);
    const entries = output?.entries ?? [];
    const found = new Set(entries.map((seen) => seen?.key));
    const endsEarly = output?.more === true || entries.length >= (input.limit ?? Number.POSITIVE_INFINITY);
    let passed = keysWithin(input, this.#keys);
    const last = entries.at(-1)?.key;
    if (endsEarly) {
      const at = last === undefined ? 0 : passed.indexOf(last);
      passed = input.reverse === true ? passed.slice(at) : passed.slice(0, at + 1);
    }
    for (const key of passed) if (!found.has(key)) yield { key, seen: null };
  }
}

function finding(operation: Operation, why: string): Finding {
  return { finding: `${describe(operation)}, but ${why}`, operation };
}

function overText(key: string, { revision, task }: Stroke): string {
  return `${key} was written at revision ${revision}: ${describe(task.op)}`;
}

function writtenLater({ task }: Stroke): string {
  return `that was written later, by ${describe(task.op)}`;
}

function greatestIn(op: Operation): number {
  let greatest = outputOf(op)?.revision ?? 0;
  for (const { seen } of observationsOf(op)) greatest = Math.max(greatest, seen?.revision ?? 0);
  return greatest;
}

/** The prefixes at which a key can show this; null: no telling. */
function spansOf(line: Timeline, seen: Seen | null, by: Operation): Span[] | null {
  const spanFrom = (from: number): Span => {
    const end = line.nextSure(from);
    return { from, to: end === undefined ? Number.POSITIVE_INFINITY : end.revision - 1, end };
  };
  if (seen?.revision !== undefined) return [spanFrom(seen.revision)];
  const able = line.able(seen).filter(({ task }) => task.op.call <= by.return && task.op !== by);
  if (able.some((each) => each.revision === 0)) return null;
  const spans = able.map((each) => spanFrom(each.revision)).sort((a, b) => a.from - b.from);
  return seen === null ? [spanFrom(0), ...spans] : spans;
}
