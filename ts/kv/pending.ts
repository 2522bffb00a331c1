import { EraftError, type ErrorCode } from '../base/errors.js';
import { encodeError } from '../proto/control-frames.js';
import { FRAME } from '../proto/frame.js';
import type { Requester } from './requester.js';

/** Frames and bytes that are held for somebody, against their limits. */
export class Gauge {
  readonly framesMax: number;
  readonly bytesMax: number;
  frames = 0;
  bytes = 0;

  constructor(framesMax: number, bytesMax: number) {
    this.framesMax = framesMax;
    this.bytesMax = bytesMax;
  }

  admits(bytes: number): boolean {
    return this.frames < this.framesMax && this.bytes + bytes <= this.bytesMax;
  }
}

/** Whether a frame may have reached a log by now: what decides between two honest answers. */
export type Fate = 'held' | 'in-doubt';

/** One request that has not been answered. It is answered exactly once, or not at all when the asker has gone. */
export class Pending {
  readonly kind: number;
  readonly group: number;
  readonly request: number;
  /** On the host's clock; ms. */
  readonly deadline: number;
  readonly from: Requester;
  fate: Fate = 'held';
  /** Its deadline is kept. */
  watched = false;
  #answered = false;
  #gauge: Gauge | null = null;
  #bytes = 0;

  constructor(from: Requester, kind: number, group: number, request: number, deadline: number) {
    this.from = from;
    this.kind = kind;
    this.group = group;
    this.request = request;
    this.deadline = deadline;
  }

  /**
   * Has it been answered, or has the asker gone? Then whoever holds it lets go, and it counts in no gauge any more: an
   * asker that goes is not told to us, so this is where it is found out, at its deadline at the latest.
   */
  abandoned(): boolean {
    if (!this.#answered && this.from.alive) return false;
    this.discharge();
    return true;
  }

  get isWrite(): boolean {
    return this.kind === FRAME.write;
  }

  /** Counts it in `gauge`, and no longer in the one before, until it is answered. */
  charge(gauge: Gauge, bytes: number): void {
    this.discharge();
    this.#gauge = gauge;
    this.#bytes = bytes;
    gauge.frames++;
    gauge.bytes += bytes;
  }

  /** A whole frame, valid during the call. */
  reply(frame: Uint8Array): void {
    if (this.#answered) return;
    this.#answered = true;
    this.discharge();
    if (this.from.alive) this.from.reply(frame);
  }

  fail(error: EraftError): void {
    if (this.#answered) return;
    this.reply(encodeError(error, this.group, this.request));
  }

  /** Its deadline has passed. Returns the code that it was answered with; null: it had been answered. */
  expire(): ErrorCode | null {
    if (this.#answered) return null;
    const code = this.#lateCode();
    this.fail(new EraftError(code, LATE[code]));
    return code;
  }

  #lateCode(): keyof typeof LATE {
    if (!this.isWrite) return 'ERAFT_READ_TIMEOUT';
    return this.fate === 'in-doubt' ? 'ERAFT_TIMEOUT' : 'ERAFT_UNAVAILABLE';
  }

  /** Nobody here holds anything for it any more. */
  discharge(): void {
    if (this.#gauge === null) return;
    this.#gauge.frames--;
    this.#gauge.bytes -= this.#bytes;
    this.#gauge = null;
  }
}

const LATE = {
  ERAFT_TIMEOUT: 'the write was proposed and its outcome was not known in time',
  ERAFT_READ_TIMEOUT: 'the read was not answered in time',
  ERAFT_UNAVAILABLE: 'no leader was found in time; the write was not proposed',
} as const;

const SLOT_MS = 32;
const SLOTS = 256;

/** Deadlines of everything that is pending, in one timer wheel: putting one in costs a push, and nothing when it is met. */
export class Deadlines {
  readonly #slots: Pending[][] = Array.from({ length: SLOTS }, () => []);
  #slot: number;

  constructor(now: number) {
    this.#slot = Math.floor(now / SLOT_MS);
  }

  add(pending: Pending): void {
    // In the slot behind the deadline's own, so that a slot's deadlines have all passed when it is looked at.
    const slot = Math.floor(pending.deadline / SLOT_MS) + 1;
    const near = Math.min(Math.max(slot, this.#slot + 1), this.#slot + SLOTS - 1);
    this.#slots[near % SLOTS]?.push(pending);
  }

  /** Calls `late` with whatever is still open and past its deadline. */
  advance(now: number, late: (pending: Pending) => void): void {
    const to = Math.floor(now / SLOT_MS);
    const from = Math.max(this.#slot + 1, to - SLOTS + 1);
    this.#slot = Math.max(this.#slot, to);
    for (let slot = from; slot <= to; slot++) {
      const place = slot % SLOTS;
      const due = this.#slots[place] ?? [];
      if (due.length === 0) continue;
      this.#slots[place] = [];
      for (const pending of due) {
        if (pending.abandoned()) continue;
        if (pending.deadline <= now) late(pending);
        else this.add(pending);
      }
    }
  }
}
