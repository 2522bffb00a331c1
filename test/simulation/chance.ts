import { seeded } from '../host/virtual-clock.js';

/** Draws from a seed. Each part of a run has a stream of its own, so that one part can change and the others do not. */
export class Chance {
  readonly next: () => number;

  constructor(seed: number, part: string) {
    let state = seed >>> 0;
    for (const letter of part) state = Math.imul(state ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    this.next = seeded(state);
    for (let i = 0; i < 4; i++) this.next(); // seeds that lie side by side begin alike
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** least <= x < most */
  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  /** 0 <= integer < bound */
  below(bound: number): number {
    return Math.floor(bound * this.next());
  }

  /** Many small ones, few large ones. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  pick<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  /** Each with its own probability to be there. */
  subset<T>(list: readonly T[], probability: number): T[] {
    return list.filter(() => this.chance(probability));
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    const out: T[] = [];
    while (rest.length > 0) out.push(...rest.splice(this.below(rest.length), 1));
    return out;
  }

  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.below(16).toString(16)).join('');
  }

  seed(): number {
    return this.below(0x1_0000_0000);
  }
}
