import type { Clock, Timer } from '../../ts/base/clock.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time that passes only when somebody runs it. Everything due happens in the order of its time, then of its asking. */
export class VirtualTime {
  #now = 0;
  #order = 0;
  #events: Event[] = []; // a heap, earliest first

  now(): number {
    return this.#now;
  }

  at(time: number, run: () => void): void {
    const heap = this.#events;
    const event = { at: Math.max(time, this.#now), order: this.#order++, run };
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(event, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  /** Runs what is due next, and lets time pass to it. */
  step(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    this.#now = event.at;
    event.run();
    return true;
  }

  runTo(time: number): void {
    while ((this.#events[0]?.at ?? Number.POSITIVE_INFINITY) <= time) this.step();
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

/** The clock of one process, which can stand still or end while time goes on. */
export class ProcessClock implements Clock {
  readonly #time: VirtualTime;
  #held: (() => void)[] | null = null; // while paused
  #ended = false;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now();
  }

  after(ms: number, run: () => void): Timer {
    let cancelled = false;
    this.#time.at(this.now() + ms, () => this.#run(() => !cancelled && run()));
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }

  endOfTurn(run: () => void): void {
    this.#time.at(this.now(), () => this.#run(run));
  }

  /** What is due from now on waits. */
  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) this.#run(run);
  }

  /** The process is gone: nothing of it happens any more. */
  end(): void {
    this.#ended = true;
  }

  #run(run: () => void): void {
    if (this.#ended) return;
    if (this.#held !== null) this.#held.push(run);
    else run();
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
