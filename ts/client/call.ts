// One call of a user, from the promise it was given to its one answer; and all that are pending.
import type { Clock, Timer } from '../base/clock.js';
import { EraftError, type Outcome } from '../base/errors.js';

/** Settled once. `withdraw` is how it ends early: by deadline, signal or closing. */
export abstract class Call {
  /** On the clock of the pending calls. */
  readonly deadline: number;
  done = false;
  /** Neighbours in the list of pending calls. */
  previous: Call | undefined;
  next: Call | undefined;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  readonly #reject: (error: unknown) => void;

  constructor(deadline: number, reject: (error: unknown) => void) {
    this.deadline = deadline;
    this.#reject = reject;
  }

  /** Takes the call out of where it waits, before it is rejected. @returns for a write: what became of it */
  abstract withdraw(): Outcome | undefined;

  /** What the caller is told when the time is up. */
  abstract expired(outcome: Outcome | undefined): EraftError;

  /** Called by PendingCalls alone: use `PendingCalls.reject`. */
  rejectNow(error: unknown): void {
    this.#reject(error);
  }
}

/** Every unsettled call, their deadlines and signals. A call in here keeps the process alive; nothing else of a client does. */
export class PendingCalls {
  readonly #clock: Clock;
  #first: Call | undefined;
  #last: Call | undefined;
  #count = 0;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #onIdle: (() => void) | undefined;
  readonly #wantTurn: () => void;

  /**
   * @param clock - its timers keep the process alive
   * @param wantTurn - asks for a call of `endTurn`
   */
  constructor(clock: Clock, wantTurn: () => void) {
    this.#clock = clock;
    this.#wantTurn = wantTurn;
  }

  get count(): number {
    return this.#count;
  }

  /** Watches a call until it is settled. A signal that was aborted before is the caller's to check. */
  add(call: Call, signal: AbortSignal | undefined): void {
    call.previous = this.#last;
    if (this.#last === undefined) this.#first = call;
    else this.#last.next = call;
    this.#last = call;
    this.#count++;
    if (call.deadline < this.#timerAt) this.#arm(call.deadline);
    if (signal !== undefined) {
      call.signal = signal;
      call.onAbort = () => this.giveUp(call, (outcome) => aborted(signal, outcome));
      signal.addEventListener('abort', call.onAbort, { once: true });
    }
  }

  /** Marks a call as settled and forgets it. @returns false when it already was: nothing may be done with it then */
  settle(call: Call): boolean {
    if (call.done) return false;
    call.done = true;
    if (call.previous === undefined) this.#first = call.next;
    else call.previous.next = call.next;
    if (call.next === undefined) this.#last = call.previous;
    else call.next.previous = call.previous;
    call.previous = undefined;
    call.next = undefined;
    if (call.onAbort !== undefined) call.signal?.removeEventListener('abort', call.onAbort);
    this.#count--;
    if (this.#count === 0) this.#nowIdle();
    return true;
  }

  reject(call: Call, error: unknown): void {
    if (this.settle(call)) call.rejectNow(error);
  }

  /** Ends a call early. */
  giveUp(call: Call, errorFor: (outcome: Outcome | undefined) => EraftError): void {
    if (call.done) return;
    const outcome = call.withdraw();
    this.reject(call, errorFor(outcome));
  }

  giveUpAll(errorFor: (outcome: Outcome | undefined) => EraftError): void {
    while (this.#first !== undefined) this.giveUp(this.#first, errorFor);
  }

  /** Calls `run` as soon as no call is pending: now, if that is so. */
  whenIdle(run: () => void): void {
    this.#onIdle = run;
    if (this.#count === 0) this.#nowIdle();
  }

  /** The timer goes when a turn ends with no call pending: most calls are followed by another one, whose deadline is later. */
  endTurn(): void {
    if (this.#count > 0 || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #nowIdle(): void {
    if (this.#timer !== undefined) this.#wantTurn();
    const run = this.#onIdle;
    this.#onIdle = undefined;
    run?.();
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(at - this.#clock.now())), () => this.#expire());
  }

  /** One walk over all calls whenever the earliest deadline that was known is over: once in 5 s, when all have the default. */
  #expire(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    let earliest = Number.POSITIVE_INFINITY;
    const due: Call[] = [];
    for (let call = this.#first; call !== undefined; call = call.next) {
      if (call.deadline <= now) due.push(call);
      else if (call.deadline < earliest) earliest = call.deadline;
    }
    for (const call of due) this.giveUp(call, (outcome) => call.expired(outcome));
    if (this.#count > 0 && earliest < this.#timerAt) this.#arm(earliest);
  }
}

/** What a call rejects with when its signal fires. */
export function aborted(signal: AbortSignal, outcome: Outcome | undefined): EraftError {
  const told = outcome === 'unknown' ? 'the write was sent and may still happen' : 'nothing was changed by it';
  return new EraftError('ERAFT_ABORTED', `the call was aborted; ${told}`, { cause: signal.reason, outcome });
}
