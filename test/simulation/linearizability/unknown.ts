// Writes whose outcome nobody knows, before the search: some were seen, and some were never seen and may be forgotten.
//
// Each unknown write doubles what the search has to try, for the rest of the history, unless more is known of it. Marks
// tell: the values that puts and appends of one key write, where each is told apart from all others in whatever is read.
//
// - Keys that are not appended to: a value is one mark.
// - Keys that are: all marks end with the same character, which they
//   hold nowhere else ('c3-17;'), so that a value falls into its marks in one way.
// - Keys with increments: no marks.
//
// Claim:   what is found out, and what is forgotten, change no verdict.
// Why:     found: a mark that one operation alone writes is in an answer only if that write took effect before the answer
//          did, so before its return; the revision of an entry is that of the write of its last mark; and of two marks of
//          a value, the one in front was written first.
//          forgotten: take a legal order in which the write stands, and let its stretch be the part of that order from it to
//          the next put or delete of the key. An operation in the stretch that looks at the key finds the mark there; if it must
//          then show or name it, it is not in the stretch, as nobody does. Where all that look are such (`weak` is false),
//          nobody looks, and the same order without the write is legal, too.
// Rests:   a write of unknown outcome may be left out of an order. One that reads a key before it changes others (a limit
//          of deleteRange, `exists`) looks without showing, and makes the key weak.
// Checked: the property test, against a search that knows nothing of this.
import type { Condition, Operation } from './history.js';
import { changesOf, keyOfChange, keysWithin, observationsOf, type Task } from './tasks.js';

const NUL = '\0';

interface KeyFacts {
  /** null: written by more than one operation, or twice. */
  readonly writers: Map<string, Task | null>;
  /** Marks that answers showed, and before which place in the order of events; Infinity: that somebody named. */
  readonly seen: Map<string, number>;
  /** Somebody looked at the key without showing its value. */
  weak: boolean;
  appended: boolean;
  incremented: boolean;
  /** No mark has a NUL. */
  isText: boolean;
  /** What ends each mark; null: they have nothing in common. */
  end: string | null;
}

export interface Settled {
  /** Those that are left. */
  readonly tasks: readonly Task[];
  /** Another value for one that nobody showed or named: the same for all such of one length. Else the value itself. */
  readonly plain: (key: string, value: string) => string;
}

/** Finds out what the marks tell of each task (`until`, `told`, `after`, `sawOnce`), and of values. */
export function settleUnknown(tasks: readonly Task[], keys: readonly string[]): Settled {
  const facts = factsOf(tasks, keys);
  for (const task of tasks) {
    for (const { key, seen } of observationsOf(task.op)) {
      if (seen?.value === undefined) continue;
      const fact = facts.get(key);
      noteSeen(fact, task, seen.value, seen.revision ?? 0);
      if (comesOnce(fact, seen.value)) task.sawOnce.push({ key, value: seen.value });
    }
    if (task.op.input.op === 'transact')
      for (const each of task.op.input.when) noteCondition(facts.get(each.key), task, each);
  }
  const plain = (key: string, value: string): string => plainOf(facts.get(key), value);
  return { tasks: tasks.filter((task) => !isForgettable(task, facts)), plain };
}

// SAFETY: values that nobody saw are taken for one another.
// Claim:   it changes no verdict, and unknown writes of such values over such a value are seen to change nothing.
// Why:     no answer shows them and no condition names them, so that a store answers the same whichever of them it holds;
//          except for the length that appends tell, which is kept.
// Rests:   no mark begins with NUL, which stands for what was left out.
// Checked: the property test.
function plainOf(fact: KeyFacts | undefined, value: string): string {
  const marks = fact === undefined || !fact.isText ? null : marksOf(fact, value);
  if (fact === undefined || marks === null) return value;
  if (!value.startsWith(NUL) && marks.every((mark) => fact.seen.has(mark))) return value;
  return fact.appended ? NUL.repeat(Buffer.byteLength(value)) : NUL;
}

function factsOf(tasks: readonly Task[], keys: readonly string[]): Map<string, KeyFacts> {
  const facts = new Map<string, KeyFacts>();
  const of = (key: string): KeyFacts => {
    let fact = facts.get(key);
    if (fact === undefined) {
      fact = {
        writers: new Map(),
        seen: new Map(),
        weak: false,
        appended: false,
        incremented: false,
        isText: true,
        end: '',
      };
      facts.set(key, fact);
    }
    return fact;
  };
  const told = new Set(tasks.map((task) => task.told));
  for (const task of tasks) {
    noteWrites(task, of);
    for (const key of looksWeaklyAt(task, told, keys)) of(key).weak = true;
  }
  return facts;
}

function noteWrites(task: Task, of: (key: string) => KeyFacts): void {
  for (const change of changesOf(task.op.input)) {
    const fact = of(keyOfChange(change));
    if ('increment' in change) fact.incremented = true; // refused or not: it looks at the value without showing it
    if (task.silent) continue;
    if (!('value' in change)) continue;
    fact.writers.set(change.value, fact.writers.has(change.value) ? null : task);
    if ('append' in change) fact.appended = true;
    if (change.value.includes(NUL)) fact.isText = false;
    const end = change.value.slice(-1);
    const whole = end !== '' && change.value.indexOf(end) === change.value.length - 1;
    if (!whole || (fact.end !== '' && fact.end !== end)) fact.end = null;
    else if (fact.end === '') fact.end = end;
  }
}

/** The keys whose presence had a part in what the operation did or said, without their values being shown. */
function* looksWeaklyAt(task: Task, told: ReadonlySet<number>, keys: readonly string[]): Generator<string> {
  const { op, output } = task;
  const { input } = op;
  for (const { key, seen } of observationsOf(op)) if (seen !== null && seen.value === undefined) yield key;
  if (input.op === 'append' && output?.length !== undefined) yield input.key;
  if (input.op === 'scan' && output?.more === true) yield* keysWithin(input, keys);
  if (input.op === 'deleteRange' && (output !== null || input.limit !== undefined)) yield* keysWithin(input, keys);
  if (output?.refused === true) yield* changesOf(input).map(keyOfChange);
  if (input.op !== 'transact') return;
  for (const [index, condition] of input.when.entries()) {
    const failed = output?.failed?.some((each) => each.index === index) === true;
    if (!failed && !excludesOthers(condition, told)) yield condition.key;
  }
}

/** Does the condition hold only for entries of writes that are known, or for none? */
function excludesOthers(condition: Condition, told: ReadonlySet<number>): boolean {
  if ('exists' in condition) return !condition.exists;
  if ('revision' in condition) return condition.revision === 0 || told.has(condition.revision);
  return true; // by value: it names the mark
}

/** The marks of a value, in their order; null where they cannot be told apart. */
function marksOf(fact: KeyFacts, value: string): string[] | null {
  if (fact.incremented) return null;
  if (!fact.appended) return [value];
  if (fact.end === null || fact.end === '') return null;
  return value
    .split(fact.end)
    .slice(0, -1)
    .map((mark) => mark + fact.end);
}

/** From the last mark to the first, as far as that is news: of a mark that is written once, what stands before it never changes. */
function noteSeen(fact: KeyFacts | undefined, by: Task, value: string, revision: number): void {
  const marks = fact === undefined ? null : marksOf(fact, value);
  if (fact === undefined || marks === null) return;
  let next: Task | null = null;
  for (let place = marks.length - 1; place >= 0; place--) {
    const mark = marks[place] ?? '';
    const writer = fact.writers.get(mark) ?? null;
    const isLast = place === marks.length - 1;
    if (writer !== null && next !== null && writer !== next) next.after.add(writer);
    const known = fact.seen.get(mark) ?? Number.POSITIVE_INFINITY;
    fact.seen.set(mark, Math.min(known, by.until));
    if (writer !== null && writer.output === null) {
      writer.until = Math.min(writer.until, by.until);
      if (isLast && revision > 0 && writer.told === 0) writer.told = revision;
    }
    if (writer !== null && known <= by.until) return;
    next = writer;
  }
}

/** Can the key have had this value in one stretch of time alone? It ends with a mark that is written once. */
function comesOnce(fact: KeyFacts | undefined, value: string): boolean {
  const last = fact === undefined ? undefined : marksOf(fact, value)?.at(-1);
  return last !== undefined && (fact?.writers.get(last) ?? null) !== null;
}

/** A value that a condition names may be what it found. */
function noteCondition(fact: KeyFacts | undefined, by: Task, condition: Condition): void {
  if (fact === undefined || !('value' in condition)) return;
  if (by.output !== null && !by.silent) noteSeen(fact, by, condition.value, 0);
  else {
    for (const mark of marksOf(fact, condition.value) ?? []) {
      if (!fact.seen.has(mark)) fact.seen.set(mark, Number.POSITIVE_INFINITY);
    }
  }
}

function isForgettable(task: Task, facts: ReadonlyMap<string, KeyFacts>): boolean {
  const { input } = task.op;
  if (task.output !== null || (input.op !== 'put' && input.op !== 'append')) return false;
  const fact = facts.get(input.key);
  if (fact === undefined || fact.weak || marksOf(fact, input.value) === null) return false;
  return !fact.seen.has(input.value);
}

/** Two unknown writes of this text do the same, whichever of them happens. */
export function textOfUnknown(op: Operation): string {
  return JSON.stringify(op.input);
}
