// What the revisions alone say of each key: who wrote it when, as far as it was told.
import type { Change, Operation, Seen } from './history.js';
import { changesOf, keyOfChange, keysWithin, type Task } from './tasks.js';

/** What a write leaves behind at one key, if it takes effect. */
interface Effect {
  readonly leaves: 'an entry' | 'no entry' | 'either';
  /** The value of the entry; null: that depends on what was there. */
  readonly value: string | null;
  /** Can the entry that it leaves have this value? */
  fits(value: string): boolean;
}

/** A write at one key. */
export interface Stroke extends Effect {
  readonly task: Task;
  /** 0: not known; it may have happened at any time after its call, if its outcome is unknown: or never. */
  readonly revision: number;
}

/** The writes of one key. */
export class Timeline {
  /** Of known revision, by it. */
  readonly #points: Stroke[] = [];
  readonly #loose: Stroke[] = [];
  readonly #byValue = new Map<string, Stroke[]>();
  readonly #vague: Stroke[] = []; // leave an entry, of a value that depends
  readonly #emptying: Stroke[] = []; // may leave none

  add(stroke: Stroke): void {
    (stroke.revision > 0 ? this.#points : this.#loose).push(stroke);
    if (stroke.leaves !== 'an entry') this.#emptying.push(stroke);
    else if (stroke.value === null) this.#vague.push(stroke);
    else this.#byValue.set(stroke.value, [...(this.#byValue.get(stroke.value) ?? []), stroke]);
  }

  /** Once all are there. */
  sort(): void {
    this.#points.sort((a, b) => a.revision - b.revision);
  }

  /** All whose own effect can be what was shown, whatever its revision. */
  able(seen: Seen | null): readonly Stroke[] {
    if (seen === null) return this.#emptying;
    const { value } = seen;
    if (value === undefined) return [...this.#points, ...this.#loose].filter((each) => each.leaves === 'an entry');
    return [...(this.#byValue.get(value) ?? []), ...this.#vague].filter((each) => each.fits(value));
  }

  /** The write of this revision, if it is one on the key. */
  at(revision: number): Stroke | undefined {
    const point = this.#points[this.#firstFrom(revision)];
    return point?.revision === revision ? point : undefined;
  }

  /** The first write behind `revision` that certainly took effect on the key. */
  nextSure(revision: number): Stroke | undefined {
    let at = this.#firstFrom(revision + 1);
    while (this.#points[at]?.leaves === 'either') at++;
    return this.#points[at];
  }

  #firstFrom(revision: number): number {
    let [from, to] = [0, this.#points.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#points[middle]?.revision ?? 0) < revision) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

const NO_TIMELINE = new Timeline();

/** The timelines of all keys. */
export class Timelines {
  readonly #lines = new Map<string, Timeline>();

  /** @param keys - all of the history, sorted */
  constructor(tasks: readonly Task[], keys: readonly string[]) {
    for (const task of tasks) {
      if (task.silent) continue;
      for (const [key, effect] of effectsOf(task, keys)) {
        const line = this.#lines.get(key) ?? new Timeline();
        this.#lines.set(key, line);
        line.add({ ...effect, task, revision: task.told });
      }
    }
    for (const line of this.#lines.values()) line.sort();
  }

  of(key: string): Timeline {
    return this.#lines.get(key) ?? NO_TIMELINE;
  }
}

function effectsOf(task: Task, keys: readonly string[]): Map<string, Effect> {
  const { input } = task.op;
  const effects = new Map<string, Effect>();
  if (input.op === 'deleteRange') {
    const leaves = input.limit === undefined ? 'no entry' : 'either';
    for (const key of keysWithin(input, keys)) effects.set(key, { leaves, value: null, fits: () => false });
    return effects;
  }
  const byKey = new Map<string, Change[]>();
  for (const change of changesOf(input)) {
    byKey.set(keyOfChange(change), [...(byKey.get(keyOfChange(change)) ?? []), change]);
  }
  for (const [key, changes] of byKey) effects.set(key, effectOf(changes, task.op));
  return effects;
}

function effectOf(changes: readonly Change[], op: Operation): Effect {
  let text = { exact: false, end: '', isNumber: false };
  let leaves: Effect['leaves'] = 'an entry';
  for (const change of changes) {
    leaves = 'an entry';
    if ('put' in change) text = { exact: true, end: change.value, isNumber: false };
    else if ('append' in change) text = { ...text, end: text.end + change.value, isNumber: false };
    else if ('increment' in change) text = { exact: false, end: '', isNumber: true };
    else {
      text = { exact: true, end: '', isNumber: false };
      leaves = 'no entry';
    }
  }
  const output = typeof op.outcome === 'string' ? null : op.outcome;
  const { exact, end, isNumber } = text;
  return {
    leaves,
    value: exact ? end : null,
    fits(value) {
      if (exact ? value !== end : !value.endsWith(end)) return false;
      if (isNumber && !/^-?[0-9]+$/.test(value)) return false;
      if (output?.value !== undefined && value !== String(output.value)) return false;
      return output?.length === undefined || Buffer.byteLength(value) === output.length;
    },
  };
}
