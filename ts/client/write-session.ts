// A session and its batches: what makes a write happen exactly once however often it is sent.
import type { EraftError, Outcome } from '../base/errors.js';
import { FRAME } from '../proto/frame.js';
import type { Awaiting } from './channel.js';
import type { WriteCall, WritePlace } from './write-call.js';
import type { WriteParcel } from './write-parcel.js';

/** Who decides about batches: the pipeline. */
export interface BatchOwner {
  readonly lastRefusal: EraftError | undefined;
  onBatchAnswer(batch: WriteBatch, body: Uint8Array): void;
  onBatchRefused(batch: WriteBatch, error: EraftError): void;
  onBatchLost(batch: WriteBatch): void;
  withdrawFromBatch(batch: WriteBatch, call: WriteCall): Outcome;
}

/**
 * One CommandBatch with its place in a session. Its bytes never change while a copy may be on its way to a log.
 */
export class WriteBatch implements Awaiting, WritePlace {
  readonly answerKind = FRAME.written;
  readonly #owner: BatchOwner;
  readonly session: WriteSession;
  readonly sequence: number;
  readonly parcel: WriteParcel;
  readonly frame: Buffer;
  /** A copy was sent on the link that is up, and is not answered. */
  outstanding = false;
  /** A copy was lost, or refused in doubt: it may be in a log, now or later. */
  maybeProposed = false;
  /** The last copy came before an earlier batch of the session. */
  gap = false;
  /** It left its session: answers to its copies mean nothing any more. */
  left = false;

  constructor(owner: BatchOwner, session: WriteSession, parcel: WriteParcel, frame: Buffer) {
    this.#owner = owner;
    this.session = session;
    this.sequence = session.nextSequence;
    this.parcel = parcel;
    this.frame = frame;
    for (const call of parcel.calls) call.place = this;
  }

  /** Every copy was refused by one who promises that it is in no log and will not be. */
  get certainlyNotProposed(): boolean {
    return !this.outstanding && !this.maybeProposed;
  }

  get lastRefusal(): EraftError | undefined {
    return this.#owner.lastRefusal;
  }

  withdraw(call: WriteCall): Outcome {
    return this.#owner.withdrawFromBatch(this, call);
  }

  onAnswer(body: Uint8Array): void {
    this.#owner.onBatchAnswer(this, body);
  }

  onRefused(error: EraftError): void {
    this.outstanding = false;
    this.#owner.onBatchRefused(this, error);
  }

  onLost(): void {
    this.outstanding = false;
    this.maybeProposed = true;
    this.#owner.onBatchLost(this);
  }
}

/** A registered session. Batches are applied in sequence, without gaps; so one that never arrives holds back all behind it. */
export class WriteSession {
  /** The revision of its registration. */
  readonly id: number;
  nextSequence = 1;
  /** Not answered yet, in sequence. */
  readonly batches: WriteBatch[] = [];
  /** A replica said that it does not know it: nothing that is not in a log yet can be applied any more. */
  dead = false;

  constructor(id: number) {
    this.id = id;
  }

  /** Everything up to here was answered: the cluster may forget the results. */
  get acknowledged(): number {
    return (this.batches[0]?.sequence ?? this.nextSequence) - 1;
  }

  /** Sequences that the next batch would span, itself included. */
  get span(): number {
    return this.nextSequence - this.acknowledged;
  }

  remove(batch: WriteBatch): void {
    const at = this.batches.indexOf(batch);
    if (at >= 0) this.batches.splice(at, 1);
  }

  /** Takes out `from` and everything behind it. */
  cut(from: WriteBatch): WriteBatch[] {
    const at = this.batches.indexOf(from);
    const cut = at < 0 ? [] : this.batches.splice(at);
    for (const batch of cut) batch.left = true;
    return cut;
  }
}
