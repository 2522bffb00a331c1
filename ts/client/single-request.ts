// A request that is a frame of its own: a page of a scan, the status. Nothing in it writes, so it is sent until it is answered.
import { EraftError } from '../base/errors.js';
import { Backoff } from './backoff.js';
import { aborted, Call } from './call.js';
import { type Awaiting, type ChannelUser, isAboutReplica } from './channel.js';
import { mayRead, readExpired } from './read-call.js';
import type { PipelineParts } from './write-pipeline.js';

export interface SingleOptions<T> {
  readonly frame: Uint8Array;
  readonly kind: number;
  readonly answerKind: number;
  /** Names it in messages. */
  readonly what: string;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** It means something to this generation of the channel only (a pinned view): else ERAFT_SNAPSHOT_LOST. */
  readonly generation: number | undefined;
  /** @throws ERAFT_BAD_REQUEST for a malformed body */
  decode(body: Uint8Array): T;
}

/** One such request and its caller. */
class SingleRequest<T> extends Call implements Awaiting {
  readonly answerKind: number;
  readonly options: SingleOptions<T>;
  readonly #parts: PipelineParts;
  readonly #backoff: Backoff;
  readonly #resolve: (value: T) => void;
  #lastRefusal: EraftError | undefined;
  outstanding = false;

  constructor(
    parts: PipelineParts,
    options: SingleOptions<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    super(options.deadline, reject);
    this.#parts = parts;
    this.options = options;
    this.answerKind = options.answerKind;
    this.#resolve = resolve;
    this.#backoff = new Backoff(parts.clock, parts.random, { firstMs: 10, mostMs: 500 });
  }

  send(): void {
    const { channel, pending, clock } = this.#parts;
    if (this.done || this.outstanding || !channel.isUp || this.#backoff.waiting) return;
    const { generation, frame, kind, deadline } = this.options;
    if (generation !== undefined && generation !== channel.generation) {
      pending.reject(this, snapshotLost());
    } else {
      this.outstanding = true;
      channel.send(frame, kind, deadline - clock.now(), this);
    }
  }

  /** The link is up: no wait is needed any more. */
  resume(): void {
    this.#backoff.reset();
    this.send();
  }

  onAnswer(body: Uint8Array): void {
    const value = this.options.decode(body);
    this.outstanding = false;
    if (this.#parts.pending.settle(this)) this.#resolve(value);
  }

  onRefused(error: EraftError): void {
    this.outstanding = false;
    this.#lastRefusal = error;
    if (!mayRead(error)) {
      this.#parts.pending.reject(this, error);
      return;
    }
    if (isAboutReplica(error)) this.#parts.channel.fail(error);
    this.#backoff.wait(() => this.send());
  }

  onLost(): void {
    this.outstanding = false;
    if (this.options.generation !== undefined) this.#parts.pending.reject(this, snapshotLost());
  }

  withdraw(): undefined {
    this.#backoff.cancel();
    return undefined;
  }

  expired(): EraftError {
    const { channel } = this.#parts;
    return readExpired(this.options.what, channel.isUp ? this.#lastRefusal : channel.lastReason);
  }
}

export class SingleRequests implements ChannelUser {
  readonly #parts: PipelineParts;
  readonly #pending = new Set<SingleRequest<unknown>>();

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /** Sends at once, not at the end of the turn: there is nothing to gather. */
  ask<T>(options: SingleOptions<T>): Promise<T> {
    let request: SingleRequest<T> | undefined;
    const answer = new Promise<T>((resolve, reject) => {
      if (options.signal?.aborted) throw aborted(options.signal, undefined);
      request = new SingleRequest(this.#parts, options, resolve, reject);
      this.#pending.add(request as SingleRequest<unknown>);
      this.#parts.pending.add(request, options.signal);
      request.send();
    });
    return answer.finally(() => this.#pending.delete(request as SingleRequest<unknown>));
  }

  onUp(): void {
    for (const request of [...this.#pending]) request.resume();
  }

  onEnded(): void {
    // Their calls are given up with all others.
  }
}

export function snapshotLost(): EraftError {
  return new EraftError('ERAFT_SNAPSHOT_LOST', 'the replica that held the pinned view is gone: start the scan anew');
}
