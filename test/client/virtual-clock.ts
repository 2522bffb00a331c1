// Time that moves only when a test says so.
import type { Clock, Timer } from '../../ts/base/clock.js';

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #alarms = new Set<Alarm>();
  #turn: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const alarm = { at: this.#now + ms, order: this.#order++, run };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  endOfTurn(run: () => void): void {
    this.#turn.push(run);
  }

  get alarms(): number {
    return this.#alarms.size;
  }

  /** Ends this turn alone: what it sends is on its way, and not answered. */
  async endTurn(): Promise<void> {
    for (const run of this.#turn.splice(0)) run();
    await Promise.resolve();
  }

  /** Ends turns until none is asked for and every promise has settled what it could. Time stands still. */
  async settle(): Promise<void> {
    do {
      for (const run of this.#turn.splice(0)) run();
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#turn.length > 0);
  }

  /** Lets `ms` pass, alarm by alarm. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await this.settle();
    }
    this.#now = end;
  }

  #next(end: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at > end) continue;
      if (next === undefined || alarm.at < next.at || (alarm.at === next.at && alarm.order < next.order)) next = alarm;
    }
    return next;
  }
}
