import type { Clock, Timer } from '../base/clock.js';

// SAFETY: rule 8, a pause is not evidence.
// Claim:   what the others did while this process stood still is heard before anything is concluded from their silence.
// Why:     one tick per timer call, however many were missed. After a gap the tick waits for two ends of turn, between
//          which the sockets are polled and what they hold is stepped, and says that it comes after a pause: the core
//          neither campaigns nor judges its quorum in it, and no write is held to be stalled, as its completion may be
//          among what was not heard.
// Checked: test/host/pulse.test.ts; test/kv/faults.test.ts, a process that stood still.
/** The one timer of a replica. */
export class Pulse {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #gapMsMax: number;
  readonly #tick: (now: number, afterPause: boolean) => void;
  #timer: Timer | null = null;
  #last = 0;
  #running = false;

  /** @param gapMsMax - a tick that comes later than this after it was due was not merely late */
  constructor(clock: Clock, tickMs: number, gapMsMax: number, tick: (now: number, afterPause: boolean) => void) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#gapMsMax = gapMsMax;
    this.#tick = tick;
  }

  start(): void {
    this.#running = true;
    this.#last = this.#clock.now();
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#tickMs, () => this.#beat());
  }

  #beat(): void {
    if (!this.#running) return;
    const now = this.#clock.now();
    const gap = now - this.#last - this.#tickMs;
    this.#last = now;
    this.#arm();
    if (gap <= this.#gapMsMax) this.#tick(now, false);
    else this.#clock.endOfTurn(() => this.#clock.endOfTurn(() => this.#running && this.#tick(this.#clock.now(), true)));
  }
}
