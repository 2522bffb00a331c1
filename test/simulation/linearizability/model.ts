// What a store does, as a state machine over the keys of one part: the meaning of each operation (docs/protocol.md).
//
// A revision that nobody was told is a guess. It is one of those that somebody saw on the key with that value, or one that
// nobody ever saw; each guess is a state of its own, and what was seen later refutes the wrong ones. For those that nobody
// ever saw there is always room: whether a number was left for them is not asked.
import type { Change, Condition, Input, Output, Seen } from './history.js';
import { changesOf, keyOfChange, keysWithin, observationsOf, type Task } from './tasks.js';

/** An entry. Equal ones are the same object. */
export interface Held {
  /** From 1: stands for key, value and revision. */
  readonly id: number;
  readonly value: string;
  readonly bytes: number;
  /** 0: one that nobody saw. */
  readonly revision: number;
  /** Which of the values that can stand there but once; -1: it is none that anybody saw. */
  readonly once: number;
}

/** Never changed. */
export interface State {
  /** One for each key of the part, in its order. */
  readonly held: readonly (Held | null)[];
  /** The greatest revision so far, of those that anybody was told or shown. */
  readonly last: number;
}

/** A revision that was seen on a key, and that no answer to a write told. */
interface Mention {
  readonly revision: number;
  /** undefined: not shown. */
  readonly value: string | undefined;
}

type Overlay = Map<number, string | null>;
type Ranged = Extract<Input, { op: 'scan' | 'deleteRange' }>;

export class Model {
  readonly #keys: readonly string[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #entries = new Map<string, Held>();
  readonly #ranges = new Map<Input, readonly number[]>();
  readonly #mentions = new Map<number, Mention[]>();
  readonly #plain: (key: string, value: string) => string;
  readonly #once = new Map<string, number>();

  /**
   * @param keys - sorted
   * @param tasks - of the part, with all revisions that are told
   * @param plain - what stands for a value in a state
   */
  constructor(keys: readonly string[], tasks: readonly Task[], plain: (key: string, value: string) => string) {
    this.#plain = plain;
    this.#keys = keys;
    this.#places = new Map(keys.map((key, place) => [key, place]));
    const told = new Set(tasks.map((task) => task.told));
    for (const { op, sawOnce } of tasks) {
      for (const { key, value } of sawOnce) this.#once.set(this.#onceText(key, value), this.#onceId(key, value));
      for (const { key, seen } of observationsOf(op)) this.#mention(told, key, seen?.revision, seen?.value);
      if (op.input.op !== 'transact') continue;
      for (const condition of op.input.when) {
        if ('revision' in condition) this.#mention(told, condition.key, condition.revision, undefined);
      }
    }
  }

  #mention(told: ReadonlySet<number>, key: string, revision: number | undefined, value: string | undefined): void {
    if (revision === undefined || told.has(revision)) return;
    const list = this.#mentions.get(this.#placeOf(key)) ?? [];
    if (!list.some((each) => each.revision === revision && each.value === value)) list.push({ revision, value });
    this.#mentions.set(this.#placeOf(key), list);
  }

  initial(): State {
    return { held: this.#keys.map(() => null), last: 0 };
  }

  #onceText(key: string, value: string): string {
    return `${this.#placeOf(key)}/${value}`;
  }

  #onceId(key: string, value: string): number {
    return this.#once.get(this.#onceText(key, value)) ?? this.#once.size;
  }

  /** How many values can stand at their keys but once: `Held.once` is below it. */
  get onceCount(): number {
    return this.#once.size;
  }

  /** Those of them that a task saw. */
  seenOnceBy(task: Task): number[] {
    return task.sawOnce.map(({ key, value }) => this.#onceId(key, value));
  }

  /** What a state holds of a key; of one that the part does not know: nothing. */
  heldAt(state: State, key: string): Held | null {
    return state.held[this.#placeOf(key)] ?? null;
  }

  /** Two states with the same text are the same. */
  textOf(state: State): string {
    let text = String(state.last);
    for (const held of state.held) text += `,${held === null ? 0 : held.id}`;
    return text;
  }

  /** Could a silent task have said this in this state? */
  agrees(state: State, { op, output }: Task): boolean {
    const { input } = op;
    if (output === null) return true;
    if (output.refused === true) return this.#refuses(state, input);
    if (input.op === 'get') {
      return input.keys.every((key, place) => showsOf(this.heldAt(state, key), output.entries?.[place]));
    }
    if (input.op === 'scan') return this.#agreesScan(state, input, output);
    return input.op === 'transact' && this.#agreesFailed(state, input.when, output.failed ?? []);
  }

  /**
   * The states after a task that changes something: none if its answer contradicts the state, or if its outcome is unknown
   * and it would change nothing (then it may as well happen never).
   *
   * @param nextTold - revisions from here on belong to later writes
   */
  after(state: State, task: Task, nextTold: number): State[] {
    const overlay = this.#overlayOf(state, task.op.input, task.output);
    if (overlay === null) return [];
    if (task.told > 0) return task.told > state.last ? [this.#sealed(state, overlay, task.told, task.told)] : [];
    const states: State[] = [];
    const guesses = this.#guesses(overlay);
    for (const revision of guesses) {
      if (revision > state.last && revision < nextTold) states.push(this.#sealed(state, overlay, revision, revision));
    }
    const unseen = this.#sealed(state, overlay, 0, state.last);
    if (task.output !== null || !isSame(state, unseen)) states.push(unseen);
    return states;
  }

  #guesses(overlay: Overlay): Set<number> {
    const found = new Set<number>();
    for (const [place, value] of overlay) {
      if (value === null) continue;
      for (const mention of this.#mentions.get(place) ?? []) {
        if (mention.value === undefined || mention.value === value) found.add(mention.revision);
      }
    }
    return found;
  }

  #sealed(state: State, overlay: Overlay, revision: number, last: number): State {
    const held = state.held.slice();
    for (const [place, value] of overlay) held[place] = value === null ? null : this.#entry(place, value, revision);
    return { held, last };
  }

  #entry(place: number, value: string, revision: number): Held {
    const text = `${place}/${revision}/${value}`;
    let entry = this.#entries.get(text);
    if (entry === undefined) {
      const plain = this.#plain(this.#keys[place] ?? '', value);
      const once = this.#once.get(`${place}/${value}`) ?? -1;
      const made = { id: this.#entries.size + 1, value: plain, bytes: Buffer.byteLength(plain), revision, once };
      entry = plain === value ? made : this.#entry(place, plain, revision);
      this.#entries.set(text, entry);
    }
    return entry;
  }

  #placeOf(key: string): number {
    return this.#places.get(key) ?? -1;
  }

  /** null: the answer contradicts the state. */
  #overlayOf(state: State, input: Input, output: Output | null): Overlay | null {
    if (input.op === 'deleteRange') return this.#deletedRange(state, input, output);
    if (input.op === 'put' || input.op === 'delete') {
      if (!showsOf(this.heldAt(state, input.key), output?.previous)) return null;
    }
    if (input.op === 'append' && output?.length !== undefined) {
      const before = this.heldAt(state, input.key)?.bytes ?? 0;
      if (before + Buffer.byteLength(input.value) !== output.length) return null;
    }
    const overlay: Overlay = new Map();
    if (input.op === 'transact' && input.when.some((each) => !holds(this.heldAt(state, each.key), each))) {
      return output === null ? overlay : null;
    }
    for (const change of changesOf(input)) {
      if (!this.#change(state, overlay, change)) return output === null ? new Map() : null;
    }
    if (input.op === 'increment' && output?.value !== undefined) {
      if (overlay.get(this.#placeOf(input.key)) !== String(output.value)) return null;
    }
    return overlay;
  }

  /** False: refused. */
  #change(state: State, overlay: Overlay, change: Change): boolean {
    const place = this.#placeOf(keyOfChange(change));
    const before = overlay.has(place) ? overlay.get(place) : state.held[place]?.value;
    if ('put' in change) overlay.set(place, change.value);
    else if ('delete' in change) overlay.set(place, null);
    else if ('append' in change) overlay.set(place, (before ?? '') + change.value);
    else {
      const sum = sumOf(before ?? '0', change.by);
      if (sum === null) return false;
      overlay.set(place, sum);
    }
    return true;
  }

  #deletedRange(state: State, input: Ranged, output: Output | null): Overlay | null {
    const present = this.#presentIn(state, input);
    const gone = present.slice(0, input.limit ?? present.length);
    if (output?.count !== undefined && output.count !== gone.length) return null;
    return new Map(gone.map((place) => [place, null]));
  }

  /** Places of the keys of a range that have an entry, in the order that it asks for. */
  #presentIn(state: State, input: Ranged): number[] {
    let places = this.#ranges.get(input);
    if (places === undefined) {
      const within = keysWithin(input, this.#keys).map((key) => this.#placeOf(key));
      places = input.reverse === true ? within.reverse() : within;
      this.#ranges.set(input, places);
    }
    return places.filter((place) => (state.held[place] ?? null) !== null);
  }

  #agreesScan(state: State, input: Ranged, output: Output): boolean {
    const present = this.#presentIn(state, input);
    const shown = output.entries ?? [];
    const limit = input.limit ?? present.length;
    if (output.more === true) {
      // A page ends early, with something in it and something beyond it; a limit is no reason to end it.
      if (shown.length === 0 || shown.length >= present.length || shown.length > limit) return false;
    } else if (shown.length !== Math.min(limit, present.length)) return false;
    return shown.every((seen, at) => {
      const place = present[at] ?? -1;
      return seen?.key === this.#keys[place] && showsOf(state.held[place] ?? null, seen);
    });
  }

  #agreesFailed(state: State, when: readonly Condition[], failed: NonNullable<Output['failed']>): boolean {
    const found = [...when.entries()].filter(([, each]) => !holds(this.heldAt(state, each.key), each));
    if (found.length === 0 || found.length !== failed.length) return false;
    return found.every(([index, { key }], at) => {
      const told = failed[at];
      return told?.index === index && showsOf(this.heldAt(state, key), told.current);
    });
  }

  /** Appends and ranges have limits of bytes and keys that are not modelled: a refusal of those is taken as it is. */
  #refuses(state: State, input: Input): boolean {
    if (input.op === 'deleteRange') return true;
    if (input.op === 'transact' && input.when.some((each) => !holds(this.heldAt(state, each.key), each))) return false;
    const changes = changesOf(input);
    if (changes.some((change) => 'append' in change)) return true;
    const overlay: Overlay = new Map();
    return changes.some((change) => !this.#change(state, overlay, change));
  }
}

function isSame(a: State, b: State): boolean {
  return a.held.every((held, place) => held === b.held[place]);
}

/** Does an answer show this entry? What it did not tell, it may have been. */
function showsOf(held: Held | null, seen: Seen | null | undefined): boolean {
  if (seen === undefined) return true;
  if (seen === null || held === null) return seen === held;
  if (seen.value !== undefined && seen.value !== held.value) return false;
  return seen.revision === undefined || seen.revision === held.revision;
}

function holds(held: Held | null, condition: Condition): boolean {
  if ('exists' in condition) return condition.exists === (held !== null);
  if ('value' in condition) return held?.value === condition.value;
  return condition.revision === 0 ? held === null : held?.revision === condition.revision;
}

/** The canonical text of a sum; null if `text` is no canonical integer, or the sum is out of bounds. */
function sumOf(text: string, by: number): string | null {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(text)) return null;
  const sum = BigInt(text) + BigInt(by);
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  return sum < -most || sum > most ? null : String(sum);
}
