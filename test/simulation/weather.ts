// What becomes of the frames between replicas: delays, losses, copies, another order, and ways that are clogged.
import { type Fate, isRaftFrame } from '../../ts/transport/memory-network.js';
import type { Chance } from './chance.js';
import type { RunOptions } from './options.js';

const LATE_MS = 2_000;
const LOST: Fate = { delays: [], inOrder: true };

export class Weather {
  /** False: nothing is lost, copied or out of order any more. */
  bad = true;
  readonly #options: RunOptions;
  readonly #chance: Chance;
  readonly #clogged = new Map<string, number>(); // way to ms

  constructor(options: RunOptions, chance: Chance) {
    this.#options = options;
    this.#chance = chance;
  }

  clog(from: number, to: number, ms: number): void {
    this.#clogged.set(`${from}>${to}`, ms);
  }

  unclog(from: number, to: number): void {
    this.#clogged.delete(`${from}>${to}`);
  }

  clear(): void {
    this.bad = false;
    this.#clogged.clear();
  }

  fate(from: number, to: number, frame: Uint8Array): Fate {
    const { latencyMs, jitterMs, loss, duplication, reordering } = this.#options;
    const c = this.#chance;
    let delay = latencyMs + jitterMs * c.next();
    if (this.#clogged.size > 0) delay += this.#clogged.get(`${from}>${to}`) ?? 0;
    if (!this.bad || !isRaftFrame(frame)) return { delays: [delay], inOrder: true };
    if (loss > 0 && c.chance(loss)) return LOST;
    if (reordering > 0 && c.chance(reordering)) return { delays: [delay + c.exponential(20)], inOrder: false };
    if (duplication > 0 && c.chance(duplication))
      return { delays: [delay, delay + c.exponential(c.chance(0.1) ? LATE_MS : 10)], inOrder: false };
    return { delays: [delay], inOrder: true };
  }
}
