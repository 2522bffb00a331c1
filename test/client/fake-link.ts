// A link to the model that does with each frame what the test says.
import type { EraftError } from '../../ts/base/errors.js';
import { LIMITS } from '../../ts/base/limits.js';
import type { Link, LinkEvents, LinkLimits } from '../../ts/client/link.js';
import { LinkedKeyValue, type LinkedOptions } from '../../ts/client/linked-key-value.js';
import { encodeError } from '../../ts/proto/control-frames.js';
import { readFrameHeader } from '../../ts/proto/frame.js';
import { Model } from './model.js';
import { VirtualClock } from './virtual-clock.js';

export const TEST_LIMITS: LinkLimits = {
  keyBytesMax: LIMITS.keyBytesMax,
  valueBytesMax: LIMITS.valueBytesMax,
  frameBytesMax: LIMITS.clientFrameBytesMax,
  batchCommandsMax: LIMITS.batchCommandsMax,
  inflightBatchesMax: 8,
};

/** What becomes of a frame. `hold`: nothing yet, the test decides later. */
export type Fate = 'answer' | 'lose' | 'lose answer' | 'hold' | EraftError;

export class FakeLink implements Link {
  readonly model: Model;
  limits: LinkLimits = TEST_LIMITS;
  /** All that was sent, as it was. */
  readonly sent: Buffer[] = [];
  readonly followed: { id: number; address: string }[] = [];
  readonly failures: EraftError[] = [];
  closed = false;
  isUp = false;
  fate: (frame: Buffer, index: number) => Fate = () => 'answer';
  #events: LinkEvents | undefined;
  #epoch = 0;

  constructor(model: Model) {
    this.model = model;
  }

  open(events: LinkEvents): void {
    this.#events = events;
  }

  up(limits = this.limits): void {
    this.isUp = true;
    this.#epoch++;
    this.#events?.up(limits);
  }

  down(reason: EraftError): void {
    this.isUp = false;
    this.#events?.down(reason);
  }

  ended(reason: EraftError): void {
    this.isUp = false;
    this.#events?.ended(reason);
  }

  send(frame: Uint8Array): void {
    if (!this.isUp) throw new Error('sent while the link is down');
    const copy = Buffer.from(frame);
    const index = this.sent.push(copy) - 1;
    const fate = this.fate(copy, index);
    if (fate === 'answer') this.answerSoon(copy);
    else if (fate === 'lose answer') this.model.handle(copy);
    else if (typeof fate === 'object') this.refuse(copy, fate);
  }

  /** The frame arrives now and is answered, as a network would, not within `send`. */
  answerSoon(frame: Buffer): void {
    const reply = this.model.handle(frame);
    this.#later(reply);
  }

  refuse(frame: Buffer, error: EraftError): void {
    this.#later(encodeError(error, 1, readFrameHeader(frame).request));
  }

  /** Hands over a frame as if it came from the other side. */
  deliver(frame: Uint8Array): void {
    this.#events?.frame(frame);
  }

  #later(reply: Uint8Array): void {
    const epoch = this.#epoch;
    setImmediate(() => {
      if (this.isUp && epoch === this.#epoch && !this.closed) this.#events?.frame(reply);
    });
  }

  follow(leader: { readonly id: number; readonly address: string }): void {
    this.followed.push(leader);
  }

  leaderless(): void {
    this.followed.push({ id: 0, address: '' });
  }

  fail(reason: EraftError): void {
    this.failures.push(reason);
    this.down(reason);
  }

  close(): void {
    this.closed = true;
    this.isUp = false;
  }
}

export interface Bench {
  readonly model: Model;
  readonly link: FakeLink;
  readonly clock: VirtualClock;
  readonly kv: LinkedKeyValue;
}

/** A store over a fake link that is up, in virtual time. */
export function bench(options: Partial<LinkedOptions> = {}): Bench {
  const model = new Model();
  const link = new FakeLink(model);
  const clock = new VirtualClock();
  const kv = new LinkedKeyValue({ link, clock, deadlines: clock, random: () => 0.5, ...options });
  link.up();
  return { model, link, clock, kv };
}

/** The outcome of a promise that is watched from now on, so that its rejection is never unhandled. */
export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { state: 'pending', value: undefined, error: undefined };
  promise.then(
    (value) => Object.assign(watched, { state: 'fulfilled', value }),
    (error: unknown) => Object.assign(watched, { state: 'rejected', error }),
  );
  return watched;
}

export interface Watched<T> {
  state: 'pending' | 'fulfilled' | 'rejected';
  value: T | undefined;
  error: unknown;
}
