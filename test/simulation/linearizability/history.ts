// What clients asked and heard: the operations of a history, and its lines.
//
// One line of JSON for each event, so that a history that ends anywhere is a history:
//
//   {"ev":"call","op":17,"t":12.3,"client":3,"in":{"op":"append","key":"k","value":"c3-17;"}}
//   {"ev":"ret","op":17,"t":14.1,"out":{"revision":912,"length":7}}
//   {"ev":"info","op":18,"t":15,"outcome":"unknown"}
//
// The order of the lines is the order of the events; `t` is for people. A call without an answer is unknown.

/** `revision: 0`: no entry. */
export type Condition = { readonly key: string } & (
  | { readonly revision: number }
  | { readonly value: string }
  | { readonly exists: boolean }
);

export type Change =
  | { readonly put: string; readonly value: string }
  | { readonly append: string; readonly value: string }
  | { readonly delete: string }
  | { readonly increment: string; readonly by: number };

/** From `first` (inclusive; empty: the start) to `end` (exclusive; empty: the end). */
interface Range {
  readonly first: string;
  readonly end: string;
  readonly limit?: number | undefined;
  readonly reverse?: boolean | undefined;
}

interface ReadMode {
  readonly stale?: boolean | undefined;
  readonly minRevision?: number | undefined;
}

/** Keys and values are text. `get` is get, getEntry, has and getMany; `transact` with one condition is compareAndSwap. */
export type Input =
  | ({ readonly op: 'get'; readonly keys: readonly string[] } & ReadMode)
  | ({ readonly op: 'scan' } & Range & ReadMode)
  | { readonly op: 'put'; readonly key: string; readonly value: string }
  | { readonly op: 'append'; readonly key: string; readonly value: string }
  | { readonly op: 'increment'; readonly key: string; readonly by: number }
  | { readonly op: 'delete'; readonly key: string }
  | ({ readonly op: 'deleteRange' } & Range)
  | { readonly op: 'transact'; readonly when: readonly Condition[]; readonly changes: readonly Change[] };

/** An entry as an answer showed it. What is absent was not shown: `has` gives `{}`, a get without revision `{ value }`. */
export interface Seen {
  readonly key?: string | undefined;
  readonly value?: string | undefined;
  readonly revision?: number | undefined;
}

/** The answer. A field that is absent was not told, and is not checked; `null` stands for no entry. */
export interface Output {
  /** Of a write that was applied. */
  readonly revision?: number | undefined;
  /** get: one for each key. scan: those found, with `key`. */
  readonly entries?: readonly (Seen | null)[] | undefined;
  /** scan: the page ended before the range did. */
  readonly more?: boolean | undefined;
  /** put, delete: the entry before. */
  readonly previous?: Seen | null | undefined;
  /** append: bytes. */
  readonly length?: number | undefined;
  /** increment. */
  readonly value?: number | undefined;
  /** deleteRange. */
  readonly count?: number | undefined;
  /** transact: conditions that did not hold, with the entry that they found. Absent: all held. */
  readonly failed?: readonly { readonly index: number; readonly current: Seen | null }[] | undefined;
  /** Refused for what the store held: not a number, or over a limit. Nothing was changed. */
  readonly refused?: boolean | undefined;
}

export interface Operation {
  readonly client: number;
  /** Places in the order of all events. Of two operations, one is before the other if its `return` < the other's `call`. */
  readonly call: number;
  /** Infinity: never, as far as anybody knows. */
  readonly return: number;
  readonly input: Input;
  /** An output; `unknown`: it may take effect at any time after its call, or never; `not-applied`: it must have none. */
  readonly outcome: Output | 'unknown' | 'not-applied';
  /** For people: when, in milliseconds. */
  readonly calledAt?: number | undefined;
  readonly returnedAt?: number | undefined;
}

export type History = readonly Operation[];

type Event =
  | { readonly ev: 'call'; readonly op: number; readonly t: number; readonly client: number; readonly in: Input }
  | { readonly ev: 'ret'; readonly op: number; readonly t: number; readonly out: Output }
  | { readonly ev: 'info'; readonly op: number; readonly t: number; readonly outcome: 'unknown' | 'not-applied' };

type Draft = { -readonly [Field in keyof Operation]: Operation[Field] };

/** Takes events in their order, from one process, into operations and, if asked, lines. */
export class HistoryRecorder {
  readonly #sink: ((line: string) => void) | undefined;
  readonly #drafts = new Map<number, Draft>();
  #events = 0;
  #next = 0;

  /** @param sink - takes each line, with its line feed, as the event happens */
  constructor(sink?: (line: string) => void) {
    this.#sink = sink;
  }

  /** @param t - milliseconds, for people. @returns the number of the operation, to name its answer by */
  call(client: number, input: Input, t: number): number {
    const op = ++this.#next;
    this.#take({ ev: 'call', op, t, client, in: input });
    return op;
  }

  returned(op: number, output: Output, t: number): void {
    this.#take({ ev: 'ret', op, t, out: output });
  }

  /** The caller was told that it is not known, or that it was not applied. Of a read: it failed. */
  failed(op: number, outcome: 'unknown' | 'not-applied', t: number): void {
    this.#take({ ev: 'info', op, t, outcome });
  }

  /** All operations so far, in the order of their calls. Those that were not answered are unknown. */
  operations(): History {
    return [...this.#drafts.values()].map((draft) => ({ ...draft }));
  }

  #take(event: Event): void {
    addEvent(this.#drafts, event, this.#events++);
    this.#sink?.(`${JSON.stringify(event)}\n`);
  }
}

/**
 * The history that a recorder's lines tell. A last line without its line feed was torn by a crash and is left out.
 *
 * @throws Error for any other line that is no event, with its number
 */
export function parseHistory(text: string): History {
  const drafts = new Map<number, Draft>();
  const lines = text.split('\n').slice(0, -1);
  for (const [place, line] of lines.entries()) {
    try {
      addEvent(drafts, JSON.parse(line) as Event, place);
    } catch (cause) {
      throw new Error(`line ${place + 1} of the history is no event: ${String(cause)}`, { cause });
    }
  }
  return [...drafts.values()];
}

function addEvent(drafts: Map<number, Draft>, event: Event, place: number): void {
  if (event.ev === 'call') {
    if (drafts.has(event.op)) throw new Error(`operation ${event.op} is called twice`);
    const { client, in: input, t } = event;
    const open = {
      client,
      call: place,
      return: Number.POSITIVE_INFINITY,
      input,
      outcome: 'unknown',
      calledAt: t,
    } as const;
    drafts.set(event.op, { ...open });
    return;
  }
  const draft = drafts.get(event.op);
  if (draft === undefined || draft.returnedAt !== undefined) throw new Error(`operation ${event.op} is not open`);
  if (event.ev !== 'ret' && event.ev !== 'info') throw new Error('neither call, ret nor info');
  draft.returnedAt = event.t;
  draft.outcome = event.ev === 'ret' ? event.out : event.outcome;
  if (draft.outcome !== 'unknown') draft.return = place;
}
