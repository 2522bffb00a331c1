// The search for an order: does some order of a part's operations agree with real time and with every answer?
//
// The method is that of Wing and Gong (1993) with Lowe's memory (2017), as porcupine has it: walk the calls up to the first
// return that is still there; each of these operations may be next; take one out if the model agrees, go on, and put it
// back when that led nowhere. A configuration that was met before is not entered again.
//
// What keeps it short:
//
// - What is remembered of a configuration is its window: the first return that is left and the calls before it that are
//   left. That tells the set of all operations taken, as whatever else was called before that return was taken and nothing that
//   was called after it can be. Where no answered operation is open, the window is empty but for unknown writes: there the
//   history is cut, and only states (with the unknown writes that they have used) are carried over. One that has used more
//   of them than another, and is the same otherwise, can do no more than that one: it is not entered either.
// - A silent operation that the state agrees with is taken at once, without a way back: an order in which it comes later
//   stays legal when it is moved here, as it changes nothing and may come first.
// - Writes with a known revision are taken in the order of their revisions; there is one such order.
// - Of unknown writes that do the same, the one called first is taken first: they can change places.
// - A run of unknown writes ends with an operation to which each of them is of use, directly or by another of them
//   (footprint.ts). Else it could come later, as nothing has to be after an unknown write, or be left out.
// - A value that can stand at its key but once stays until all who saw it are placed.
import { EventList } from './event-list.js';
import { type Footprint, footprintOf, useOf } from './footprint.js';
import type { Operation } from './history.js';
import type { Model, State } from './model.js';
import type { Part } from './partition.js';
import type { Task } from './tasks.js';
import { textOfUnknown } from './unknown.js';

export interface SearchResult {
  readonly outcome: 'legal' | 'illegal' | 'unfinished';
  /** Questions to the model. */
  readonly steps: number;
  /** Of all legal beginnings, one with the most answered operations. */
  readonly prefix: readonly Operation[];
  /** The operation that had to come next, and could not. */
  readonly blocked: Operation | null;
  /** What was called, not placed, and could have come next. */
  readonly open: readonly Operation[];
  /** The states that beginnings of this length lead to; a few of them. */
  readonly states: readonly State[];
}

const STATES_KEPT_MAX = 4;

/** Where a candidate leads. */
interface Way {
  readonly state: State;
  readonly idle: readonly number[];
}

/** A node of the search: a state, and what may come next. */
interface Frame {
  readonly state: State;
  /** Silent operations that were taken on arrival. */
  readonly forced: readonly number[];
  /** Unknown writes in front of it that nothing had a use for. */
  readonly idle: readonly number[];
  readonly candidates: readonly number[];
  next: number;
  /** Those after the last candidate that are not tried yet. */
  ways: Way[];
  /** The candidate that is taken out while the frames above are searched; -1: none. */
  taken: number;
}

/**
 * Most orders need unknown writes one at a time, if at all: runs of several are tried when nothing else is left.
 *
 * @param stepsMax - questions to the model after which the search is given up
 */
export function search(model: Model, { keys, tasks }: Part, stepsMax: number): SearchResult {
  let steps = 0;
  for (let idleMax = 1; ; idleMax *= 2) {
    const attempt = new Search(model, keys, tasks, { stepsMax: stepsMax - steps, idleMax });
    const result = attempt.run();
    steps += result.steps;
    if (result.outcome !== 'illegal' || !attempt.leftOut) return { ...result, steps };
  }
}

interface Bounds {
  readonly stepsMax: number;
  /** Unknown writes in a row that nothing had a use for yet. */
  readonly idleMax: number;
}

class Search {
  readonly #model: Model;
  readonly #tasks: readonly Task[];
  readonly #bounds: Bounds;
  readonly #list: EventList;
  /** Tasks with a revision, by it. */
  readonly #ranked: readonly number[];
  readonly #rankOf: ReadonlyMap<number, number>;
  /** For an unknown write the one that does the same and was called just before it. */
  readonly #twinOf: ReadonlyMap<number, number>;
  /** Those that come before a task, besides what real time says. */
  readonly #before: readonly (readonly number[])[];
  readonly #footprints: readonly Footprint[];
  /** Values that come but once, of those that a task saw; and how many tasks that saw one are not placed. */
  readonly #sawOnce: readonly (readonly number[])[];
  readonly #waitFor: Int32Array;
  readonly #isTaken: Uint8Array;
  /** Configurations, by all but the unknown writes that are left: those. */
  readonly #met = new Map<string, readonly ReadonlySet<number>[]>();
  readonly #order: number[] = [];
  readonly #frames: Frame[] = [];
  #rank = 0;
  #steps = 0;
  #leftOut = false;
  #answered = 0;
  readonly #answeredAll: number;
  #best: Omit<SearchResult, 'outcome' | 'steps'> = { prefix: [], blocked: null, open: [], states: [] };
  #bestCount = -1;

  constructor(model: Model, keys: readonly string[], tasks: readonly Task[], bounds: Bounds) {
    this.#model = model;
    this.#tasks = tasks;
    this.#bounds = bounds;
    this.#list = new EventList(tasks);
    this.#ranked = [...tasks.keys()].filter((at) => this.#told(at) > 0).sort((a, b) => this.#told(a) - this.#told(b));
    this.#rankOf = new Map(this.#ranked.map((at, rank) => [at, rank]));
    this.#twinOf = twins(tasks);
    const placeOf = new Map(tasks.map((task, at) => [task, at]));
    this.#before = tasks.map((task) => [...task.after].flatMap((each) => placeOf.get(each) ?? []));
    this.#footprints = tasks.map((task) => footprintOf(task, keys));
    this.#sawOnce = tasks.map((task) => model.seenOnceBy(task));
    this.#waitFor = new Int32Array(model.onceCount);
    for (const seen of this.#sawOnce) for (const once of seen) this.#waitFor[once] = (this.#waitFor[once] ?? 0) + 1;
    this.#isTaken = new Uint8Array(tasks.length);
    this.#answeredAll = tasks.filter((task) => task.until !== Number.POSITIVE_INFINITY).length;
  }

  /** Did `idleMax` keep it from anything? Then an illegal outcome is none yet. */
  get leftOut(): boolean {
    return this.#leftOut;
  }

  run(): SearchResult {
    if (this.#enter(this.#model.initial(), [])) return this.#result('legal');
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return this.#result('illegal');
      const next = this.#advance(frame);
      if (this.#steps > this.#bounds.stepsMax) return this.#result('unfinished');
      if (next === null) this.#leave(frame);
      else if (this.#enter(next.state, next.idle)) return this.#result('legal');
    }
  }

  #result(outcome: SearchResult['outcome']): SearchResult {
    if (outcome === 'legal') {
      const prefix = this.#order.map((at) => this.#task(at).op);
      return { outcome, steps: this.#steps, prefix, blocked: null, open: [], states: [] };
    }
    return { outcome, steps: this.#steps, ...this.#best };
  }

  /** The unknown writes that nothing had a use for, once a frame's candidate led to `state`; null: one never will. */
  #idleAfter(frame: Frame, at: number, state: State): readonly number[] | null {
    const { output, told } = this.#task(at);
    const isMovable = output === null && told === 0 && state.last === frame.state.last;
    const left: number[] = [];
    for (const write of frame.idle) {
      const use = this.#useOf(write, at);
      if (use === 'covered' || (use === 'nothing' && !isMovable)) return null;
      if (use !== 'nothing') continue;
      if (at < write && !this.#isSure(at) && !this.#isSure(write)) return null; // the other way round is tried
      left.push(write);
    }
    if (!isMovable) return left;
    if (left.length < this.#bounds.idleMax) return [...left, at];
    this.#leftOut = true;
    return null;
  }

  /** True: all that was answered is placed. @param unused - unknown writes that nothing had a use for yet */
  #enter(state: State, unused: readonly number[]): boolean {
    const forced: number[] = [];
    for (let at = this.#list.firstCall(); at >= 0; at = this.#list.callAfter(at)) {
      const task = this.#task(at);
      if (!task.silent) continue;
      this.#steps++;
      if (!this.#model.agrees(state, task)) continue;
      this.#take(at);
      forced.push(at);
    }
    if (this.#answered === this.#answeredAll) return true;
    const window = this.#list.window();
    const idle = unused.filter((write) => !forced.some((at) => this.#useOf(write, at) === 'used'));
    const isVain = forced.length > 0 && idle.length > 0;
    const candidates = !isVain && this.#isNew(window, idle, state) ? this.#candidates(window) : [];
    this.#frames.push({ state, forced, idle, candidates, next: 0, ways: [], taken: -1 });
    return false;
  }

  /** Remembers the configuration. False if it, or one with more unknown writes to spare, was met before. */
  #isNew(window: readonly number[], idle: readonly number[], state: State): boolean {
    const sure = window.filter((at) => this.#isSure(at));
    const spare = new Set(window.filter((at) => !this.#isSure(at)));
    const text = `${sure.join()};${this.#list.firstReturn()};${idle.join()};${this.#model.textOf(state)}`;
    const before = this.#met.get(text) ?? [];
    if (before.some((other) => [...spare].every((at) => other.has(at)))) return false;
    this.#met.set(text, [...before, spare]);
    return true;
  }

  #isSure(at: number): boolean {
    return this.#task(at).until !== Number.POSITIVE_INFINITY;
  }

  /** Those that were answered first: most unknown writes have no part in what comes next. */
  #candidates(window: readonly number[]): number[] {
    const able = window.filter((at) => this.#mayBeNext(at));
    return [...able.filter((at) => this.#isSure(at)), ...able.filter((at) => !this.#isSure(at))];
  }

  #mayBeNext(at: number): boolean {
    if (this.#task(at).silent) return false;
    if (this.#before[at]?.some((each) => this.#isTaken[each] === 0) === true) return false;
    const rank = this.#rankOf.get(at);
    if (rank !== undefined) return rank === this.#rank;
    const twin = this.#twinOf.get(at);
    return twin === undefined || this.#isTaken[twin] === 1;
  }

  #useOf(write: number, next: number): ReturnType<typeof useOf> {
    const [a, b] = [this.#footprints[write], this.#footprints[next]];
    return a === undefined || b === undefined ? 'used' : useOf(a, b);
  }

  /** Does a write end the time of a value that somebody else, who is not placed, saw? */
  #endsWhatIsSeen(before: State, after: State, at: number): boolean {
    return before.held.some((held, place) => {
      if (held === null || held.once < 0 || after.held[place] === held) return false;
      const own = this.#sawOnce[at]?.includes(held.once) === true ? 1 : 0;
      return (this.#waitFor[held.once] ?? 0) > own;
    });
  }

  /** Takes the next way on from a frame; null: there is none. */
  #advance(frame: Frame): Way | null {
    if (frame.taken >= 0) this.#putBack(frame.taken);
    for (;;) {
      const way = frame.ways.shift();
      if (way !== undefined) {
        this.#take(frame.taken);
        return way;
      }
      const at = frame.candidates[frame.next++];
      if (at === undefined) break;
      this.#steps++;
      frame.ways = this.#waysOn(frame, at);
      frame.taken = at;
    }
    frame.taken = -1;
    return null;
  }

  #waysOn(frame: Frame, at: number): Way[] {
    return this.#model.after(frame.state, this.#task(at), this.#nextTold(at)).flatMap((state): Way[] => {
      const idle = this.#idleAfter(frame, at, state);
      return idle === null || this.#endsWhatIsSeen(frame.state, state, at) ? [] : [{ state, idle }];
    });
  }

  #leave(frame: Frame): void {
    this.#noteDeadEnd(frame.state);
    for (const at of frame.forced.toReversed()) this.#putBack(at);
    this.#frames.pop();
  }

  #noteDeadEnd(state: State): void {
    if (this.#answered < this.#bestCount) return;
    if (this.#answered > this.#bestCount) {
      this.#bestCount = this.#answered;
      this.#best = {
        prefix: this.#order.map((at) => this.#task(at).op),
        blocked: this.#task(this.#list.firstReturn()).op,
        open: this.#list.window().map((at) => this.#task(at).op),
        states: [],
      };
    }
    const { states } = this.#best;
    if (states.length < STATES_KEPT_MAX && !states.some((each) => this.#sameHeld(each, state))) {
      this.#best = { ...this.#best, states: [...states, state] };
    }
  }

  #sameHeld(a: State, b: State): boolean {
    return a.held.every((held, place) => held === b.held[place]);
  }

  #take(at: number): void {
    this.#list.takeOut(at);
    this.#isTaken[at] = 1;
    for (const once of this.#sawOnce[at] ?? []) this.#waitFor[once] = (this.#waitFor[once] ?? 0) - 1;
    this.#order.push(at);
    if (this.#rankOf.has(at)) this.#rank++;
    if (this.#isSure(at)) this.#answered++;
  }

  /** Undoes the last `#take`. */
  #putBack(at: number): void {
    this.#list.putBack(at);
    this.#isTaken[at] = 0;
    for (const once of this.#sawOnce[at] ?? []) this.#waitFor[once] = (this.#waitFor[once] ?? 0) + 1;
    this.#order.pop();
    if (this.#rankOf.has(at)) this.#rank--;
    if (this.#isSure(at)) this.#answered--;
  }

  #nextTold(at: number): number {
    const next = this.#ranked[this.#rank];
    return next === undefined || next === at ? Number.POSITIVE_INFINITY : this.#told(next);
  }

  #told(at: number): number {
    return this.#task(at).told;
  }

  #task(at: number): Task {
    const task = this.#tasks[at];
    if (task === undefined) throw new RangeError(`no task ${at}`);
    return task;
  }
}

function twins(tasks: readonly Task[]): Map<number, number> {
  const latest = new Map<string, number>();
  const found = new Map<number, number>();
  const unknown = [...tasks.keys()].filter((at) => tasks[at]?.until === Number.POSITIVE_INFINITY);
  unknown.sort((a, b) => (tasks[a]?.op.call ?? 0) - (tasks[b]?.op.call ?? 0));
  for (const at of unknown) {
    const task = tasks[at];
    if (task === undefined || task.told > 0) continue;
    const text = textOfUnknown(task.op);
    const twin = latest.get(text);
    if (twin !== undefined) found.set(at, twin);
    latest.set(text, at);
  }
  return found;
}
