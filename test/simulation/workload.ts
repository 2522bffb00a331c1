// What clients ask of the cluster: operations of every kind on few keys, each written value unlike any other.
import type { EraftError } from '../../ts/base/errors.js';
import type { KeyValue, Operation } from '../../ts/client/key-value.js';
import type { Chance } from './chance.js';
import type { Change, Condition, HistoryRecorder, Input, Output, Seen } from './linearizability/history.js';

export type Store = KeyValue<string, string>;

/** One call: what the checker is told of it, and how it is made. */
export interface Task {
  readonly input: Input;
  readonly call: (store: Store) => Promise<Output>;
}

/** What one caller knows by now. */
export interface Memory {
  /** The highest revision that an answer told. */
  revision: number;
}

/** What a workload is drawn from. */
export interface WorkloadOptions {
  /** Of each kind. */
  readonly keys: number;
  /** Share of all calls. */
  readonly reads: number;
  readonly valueBytes: number;
}

const SCAN_LIMIT = 4;

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #chance: Chance;
  #made = 0;

  constructor(options: WorkloadOptions, chance: Chance) {
    this.#options = options;
    this.#chance = chance;
  }

  /** Every key that anything may be written to. Their first letter tells what is done to them. */
  get keys(): string[] {
    return ['r', 'l', 'n'].flatMap((letter) => Array.from({ length: this.#options.keys }, (_, i) => `${letter}${i}`));
  }

  next(memory: Memory, readsOnly = false): Task {
    const c = this.#chance;
    if (c.chance(this.#options.reads) || readsOnly) {
      return c.pick([
        () => this.#get(1, memory),
        () => this.#get(1, memory),
        () => this.#get(3, memory),
        () => this.#scan(),
      ])();
    }
    const put = () => this.#put();
    const append = () => this.#append();
    const increment = () => this.#increment();
    const swap = () => this.#swap();
    const rare = c.pick([() => this.#delete(), () => this.#deleteRange(), () => this.#transact()]);
    return c.pick([put, put, put, append, append, append, append, increment, increment, swap, rare])();
  }

  /** What everything is at the end. */
  readAll(): Task {
    return get(this.keys, {});
  }

  #key(letter: string): string {
    return `${letter}${this.#chance.below(this.#options.keys)}`;
  }

  #anyKey(): string {
    return this.#key(this.#chance.pick(['r', 'l', 'n']));
  }

  /** A value that nobody else writes. */
  #value(): string {
    return `${++this.#made}`.padEnd(this.#chance.below(this.#options.valueBytes), '.');
  }

  /** Short, as what it is appended to grows and grows; and to be told apart in what they make. */
  #mark(): string {
    return `${++this.#made};`;
  }

  #get(most: number, memory: Memory): Task {
    const keys = [...new Set(Array.from({ length: 1 + this.#chance.below(most) }, () => this.#anyKey()))];
    const stale = this.#chance.chance(0.15);
    return get(keys, stale ? { stale, minRevision: this.#chance.chance(0.5) ? memory.revision : 0 } : {});
  }

  #scan(): Task {
    const { first, end, limit } = this.#range();
    const reverse = this.#chance.chance(0.3);
    const snapshot = this.#chance.chance(0.3);
    return {
      input: { op: 'scan', first, end, limit, reverse },
      call: async (store) => {
        const entries: Seen[] = [];
        for await (const { key, value, revision } of store.scan({ gte: first, lt: end, limit, reverse, snapshot }))
          entries.push({ key, value, revision });
        return { entries };
      },
    };
  }

  #range(): { first: string; end: string; limit: number } {
    const letter = this.#chance.pick(['r', 'l', 'n']);
    const first = this.#key(letter);
    const end = this.#chance.chance(0.5) ? `${letter}~` : `${first}~`;
    return { first, end, limit: 1 + this.#chance.below(SCAN_LIMIT) };
  }

  #put(): Task {
    const [key, value] = [this.#key('r'), this.#value()];
    const previous = this.#chance.chance(0.3);
    return {
      input: { op: 'put', key, value },
      call: async (store) => replaced(await store.put(key, value, { previous }), previous),
    };
  }

  #delete(): Task {
    const key = this.#anyKey();
    const previous = this.#chance.chance(0.5);
    return {
      input: { op: 'delete', key },
      call: async (store) => replaced(await store.delete(key, { previous }), previous),
    };
  }

  #append(): Task {
    const [key, value] = [this.#key('l'), this.#mark()];
    return { input: { op: 'append', key, value }, call: (store) => store.append(key, value) };
  }

  #increment(): Task {
    const [key, by] = [this.#key('n'), ++this.#made]; // a sum tells what is in it, or nearly
    return { input: { op: 'increment', key, by }, call: (store) => store.increment(key, by) };
  }

  #deleteRange(): Task {
    const { first, end, limit } = this.#range();
    return {
      input: { op: 'deleteRange', first, end, limit },
      call: (store) => store.deleteRange({ gte: first, lt: end, limit }),
    };
  }

  /** Compares with what is seldom there and changes something all the same: both outcomes happen. */
  #condition(key: string): Condition {
    return this.#chance.chance(0.7)
      ? { key, exists: this.#chance.chance(0.5) }
      : { key, revision: this.#chance.below(this.#made) };
  }

  #swap(): Task {
    const [key, value] = [this.#key('r'), this.#value()];
    const when = this.#condition(key);
    return {
      input: { op: 'transact', when: [when], changes: [{ put: key, value }] },
      call: async (store) => decided(await store.compareAndSwap(when, value)),
    };
  }

  #transact(): Task {
    const when = this.#chance.chance(0.5) ? [this.#condition(this.#anyKey())] : [];
    const changes: Change[] = Array.from({ length: 1 + this.#chance.below(3) }, () => this.#change());
    return {
      input: { op: 'transact', when, changes },
      call: async (store) => decided(await store.transact(changes as Operation[], { when })),
    };
  }

  #change(): Change {
    const make: (() => Change)[] = [
      () => ({ put: this.#key('r'), value: this.#value() }),
      () => ({ append: this.#key('l'), value: this.#mark() }),
      () => ({ increment: this.#key('n'), by: ++this.#made }),
      () => ({ delete: this.#anyKey() }),
    ];
    return this.#chance.pick(make)();
  }
}

interface Told {
  readonly value: string;
  readonly revision: number;
}

function get(keys: readonly string[], mode: { stale?: boolean; minRevision?: number }): Task {
  const { stale = false, minRevision = 0 } = mode;
  const consistency = stale ? 'stale' : 'linearizable';
  return {
    input: { op: 'get', keys, ...mode },
    call: async (store) => ({
      entries: (await store.getMany(keys, { consistency, minRevision })).map((entry) => seen(entry)),
    }),
  };
}

function seen(entry: Told | undefined): Seen | null {
  return entry === undefined ? null : { value: entry.value, revision: entry.revision };
}

function replaced(
  written: { readonly revision: number; readonly previous?: Told | undefined },
  previous: boolean,
): Output {
  const { revision } = written;
  return previous ? { revision, previous: seen(written.previous) } : { revision };
}

type Decided =
  | { ok: true; revision: number }
  | { ok: false; failed: readonly { index: number; current: Told | undefined }[] };

function decided(decision: Decided): Output {
  if (decision.ok) return { revision: decision.revision };
  return { failed: decision.failed.map(({ index, current }) => ({ index, current: seen(current) })) };
}

/** The highest revision that an answer tells. */
export function revisionIn(output: Output): number {
  const revisions = (output.entries ?? []).map((entry) => entry?.revision ?? 0);
  return Math.max(output.revision ?? 0, ...revisions);
}

/** Notes what an error says of the outcome. @param t - milliseconds, for people. @returns whether it is in doubt */
export function recordFailure(
  history: HistoryRecorder,
  op: number,
  { input }: Task,
  error: EraftError,
  t: number,
): boolean {
  if (error.code === 'ERAFT_NOT_A_NUMBER' || error.code === 'ERAFT_OUT_OF_RANGE') {
    history.returned(op, { refused: true }, t);
    return false;
  }
  const reads = input.op === 'get' || input.op === 'scan';
  const outcome = reads ? 'not-applied' : (error.outcome ?? 'unknown');
  history.failed(op, outcome, t);
  return outcome === 'unknown';
}
