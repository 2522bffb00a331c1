import { EraftError } from '../base/errors.js';
import { copyOf } from '../proto/table.js';
import type { KvContext } from './context.js';
import { Gauge, type Pending } from './pending.js';

/** Requests that need a leader while none is known, or none can be reached; in the order in which they came. */
export class WaitingForLeader {
  readonly gauge: Gauge;
  readonly #context: KvContext;
  #frames: { readonly frame: Uint8Array; readonly pending: Pending }[] = [];

  constructor(context: KvContext) {
    this.#context = context;
    this.gauge = new Gauge(context.limits.waitingFramesMax, context.limits.waitingBytesMax);
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** `frame` is copied. */
  take(frame: Uint8Array, pending: Pending): void {
    if (!this.gauge.admits(frame.length)) {
      const message = 'no leader is known, and many requests wait for one already';
      this.#context.reject(pending, new EraftError('ERAFT_UNAVAILABLE', message));
      return;
    }
    pending.charge(this.gauge, frame.length);
    this.#frames.push({ frame: copyOf(frame, 0, frame.length), pending });
  }

  /** Gives all that is still waited for to `dispatch`, in order; when that puts one back, the rest stays behind it. */
  release(dispatch: (frame: Uint8Array, pending: Pending) => void): void {
    const frames = this.#frames;
    this.#frames = [];
    for (const [i, { frame, pending }] of frames.entries()) {
      if (pending.abandoned()) continue;
      dispatch(frame, pending);
      if (this.#frames.length === 0) continue;
      this.#frames.push(...frames.slice(i + 1));
      return;
    }
  }

  /** Forgets what has been answered: its deadline has passed, or the asker has gone. */
  sweep(): void {
    if (this.#frames.some(({ pending }) => pending.abandoned())) {
      this.#frames = this.#frames.filter(({ pending }) => !pending.abandoned());
    }
  }

  failAll(error: (inDoubt: boolean) => EraftError): void {
    for (const { pending } of this.#frames) pending.fail(error(false));
    this.#frames = [];
  }
}
