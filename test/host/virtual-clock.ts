import type { Clock, Timer } from '../../ts/base/clock.js';

interface Event extends Timer {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null; // null: cancelled
}

/** Time that passes only when somebody runs it. Everything due happens in the order of its time, then of its asking. */
export class VirtualTime {
  /** What has happened so far; what was cancelled is not counted. */
  events = 0;
  #now = 0;
  #order = 0;
  #events: Event[] = []; // a heap, earliest first

  now(): number {
    return this.#now;
  }

  /** When the next thing is due, at the earliest. */
  get next(): number {
    return this.#events[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  at(time: number, run: () => void): Timer {
    const heap = this.#events;
    const event: Event = {
      at: Math.max(time, this.#now),
      order: this.#order++,
      run,
      cancel: () => {
        event.run = null;
      },
    };
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(event, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
    return event;
  }

  /** Runs what is due next, and lets time pass to it. */
  step(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    this.#now = event.at;
    const { run } = event;
    if (run === null) return true;
    this.events++;
    run();
    return true;
  }

  runTo(time: number): void {
    while (this.next <= time) this.step();
    this.#now = Math.max(this.#now, time);
  }

  #pop(): Event | undefined {
    const heap = this.#events;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      const right = heap[child + 1];
      if (left === undefined) break;
      if (right !== undefined && before(right, left)) child++;
      const least = heap[child];
      if (least === undefined || !before(least, last)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** The order in which an event loop runs what is due after it stood still: libuv's. */
const PHASES = ['timer', 'poll', 'endOfTurn'] as const;
type Phase = (typeof PHASES)[number];

/** The clock of one process, which can stand still or end while time goes on, go fast or slow, and jump ahead. */
export class ProcessClock implements Clock {
  /** Called before anything of this process happens. */
  onRun: (() => void) | null = null;
  readonly #time: VirtualTime;
  readonly #rate: number;
  #ahead = 0;
  #held: Record<Phase, (() => void)[]> | null = null; // while paused
  #ended = false;

  /** @param rate - its seconds in one of time's */
  constructor(time: VirtualTime, rate = 1) {
    this.#time = time;
    this.#rate = rate;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get paused(): boolean {
    return this.#held !== null;
  }

  now(): number {
    return this.#time.now() * this.#rate + this.#ahead;
  }

  after(ms: number, run: () => void): Timer {
    let cancelled = false; // it may be cancelled while it is held
    const event = this.#time.at(this.#time.now() + ms / this.#rate, () =>
      this.#run('timer', () => {
        if (!cancelled) run();
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        event.cancel();
      },
    };
  }

  endOfTurn(run: () => void): void {
    this.#time.at(this.#time.now(), () => this.#run('endOfTurn', run));
  }

  /** Something has come from outside: handled now, or when the process goes on. */
  poll(run: () => void): void {
    this.#run('poll', run);
  }

  /** Timers that are set stay where they are: they come late, as after a suspended machine. */
  jump(ms: number): void {
    this.#ahead += ms;
  }

  /** What is due from now on waits. */
  pause(): void {
    this.#held ??= { timer: [], poll: [], endOfTurn: [] };
  }

  resume(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null) return;
    for (const phase of PHASES) for (const run of held[phase]) this.#run(phase, run);
  }

  /** The process is gone: nothing of it happens any more. */
  end(): void {
    this.#ended = true;
    this.#held = null;
  }

  #run(phase: Phase, run: () => void): void {
    if (this.#ended) return;
    if (this.#held !== null) {
      this.#held[phase].push(run);
      return;
    }
    this.onRun?.();
    run();
  }
}

/** A stream of numbers 0 <= x < 1 from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
