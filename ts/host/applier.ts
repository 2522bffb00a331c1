import type { Clock, Timer } from '../base/clock.js';
import type { StateMachine } from '../storage/index.js';
import type { ReplicaLimits } from './options.js';

const RUNS_MAX = 2; // handed to the apply thread: one at work, one behind it

/**
 * When committed entries are evaluated, and when they are written. Evaluated at once where somebody waits for results, which
 * costs little; written late and in bulk, since writing is most of the cost of a write and costs half as much in large
 * batches. Where nobody waits for results, as on a follower, evaluation is as late as the write.
 *
 * Rule 4, apply ≤ min(commit, durable here), is the core's: `target` never runs ahead of what a Ready allowed.
 */
export class Applier {
  readonly #machine: StateMachine;
  readonly #group: number;
  readonly #limits: ReplicaLimits;
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #runs: number[] = []; // last index of each run that is not known to be done
  #target: number;
  #evaluated: number; // handed over for their results
  #handed: number; // handed over to be written
  #applied: number;
  #waitingBytes = 0;
  #due = false;
  #held = false;
  #idle: Timer | null = null;

  constructor(
    machine: StateMachine,
    group: number,
    applied: number,
    limits: ReplicaLimits,
    clock: Clock,
    wake: () => void,
  ) {
    this.#machine = machine;
    this.#group = group;
    this.#limits = limits;
    this.#clock = clock;
    this.#wake = wake;
    this.#target = applied;
    this.#evaluated = applied;
    this.#handed = applied;
    this.#applied = applied;
  }

  /** Really applied, which is written: what a read may count on. */
  get applied(): number {
    return this.#applied;
  }

  get target(): number {
    return this.#target;
  }

  /** Runs that the storage has not yet done. */
  get runs(): number {
    return this.#runs.length;
  }

  /** All that may be written now is with the storage. */
  get isIdle(): boolean {
    return this.#held || this.#handed >= this.#target || this.#runs.length >= RUNS_MAX;
  }

  /** Entries up to `target` may be applied; `bytes` came since the last call. */
  allow(target: number, bytes: number): void {
    if (target > this.#target) this.#target = target;
    this.#waitingBytes += bytes;
  }

  /** No further run begins: the state machine is going to be replaced. */
  hold(): void {
    this.#held = true;
  }

  /** It has not been. */
  release(): void {
    this.#held = false;
  }

  /** It has been, and has everything up to `index`. */
  restart(index: number): void {
    this.#held = false;
    this.#due = false;
    this.#waitingBytes = 0;
    this.#runs.length = 0;
    this.#target = index;
    this.#evaluated = index;
    this.#handed = index;
    this.#applied = index;
  }

  /** Somebody waits for the write. */
  demand(): void {
    this.#due = true;
  }

  /**
   * Hands over what somebody waits for, and what is due. Returns whether something was applied at once.
   *
   * @param wantsResults - does somebody wait for the outcome of entries in (from, to]?
   */
  run(wantsResults: (from: number, to: number) => boolean): boolean {
    if (this.#held) return false;
    if (this.#handed >= this.#target) {
      this.#due = false;
      return false;
    }
    const results = wantsResults(this.#evaluated, this.#target);
    const due = this.#due || this.#waitingBytes >= this.#limits.applyLagBytesMax;
    if (due && this.#runs.length < RUNS_MAX) return this.#apply(results);
    if (results) {
      this.#machine.evaluate(this.#group, this.#target);
      this.#evaluated = this.#target;
    }
    if (!due) this.#wait();
    return false;
  }

  #apply(results: boolean): boolean {
    const to = this.#target;
    this.#evaluated = to;
    this.#handed = to;
    this.#waitingBytes = 0;
    this.#due = false;
    const done = this.#machine.apply(this.#group, to, results);
    if (done) this.#applied = to;
    else this.#runs.push(to);
    return done;
  }

  #wait(): void {
    this.#idle ??= this.#clock.after(this.#limits.applyIdleMs, () => {
      this.#idle = null;
      this.#due = true;
      this.#wake();
    });
  }

  /** Asks how far the apply thread is. Returns whether it got on. */
  progress(): boolean {
    if (this.#held && this.#runs.length === 0) return false; // what the storage says may be of the other state already
    const applied = this.#machine.applied(this.#group);
    while ((this.#runs[0] ?? Number.POSITIVE_INFINITY) <= applied) this.#runs.shift();
    if (applied <= this.#applied) return false;
    this.#applied = applied;
    return true;
  }

  stop(): void {
    this.#idle?.cancel();
    this.#idle = null;
  }
}
