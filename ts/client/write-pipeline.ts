// From the writes of a turn to batches of a session, and back to their callers.
//
// SAFETY: a write is applied at most once, and its caller hears nothing that is not so.
// Claim:   `not-applied` is told only when no copy can be applied, now or later; a result only when it was applied once.
// Why:     every copy of a batch has the same bytes, session and sequence, and a log applies a sequence once. A batch gets
//          other bytes or another place (WriteParcel.seal, #leaveSession) only while each copy was refused for certain, or
//          when an earlier batch of its session is certainly in no log and never will be: what follows a gap is never applied.
// Liveness: a batch in doubt is sent again until it is answered, long after its callers were told `unknown`: those behind it
//          in the session need it. The other way, a new session at each time-out, would leave every write behind it in doubt.
// Rests:   `not-applied` from a replica is a promise about the copy that it answers (docs/protocol.md, "Errors").
// Checked: test/client/exactly-once.test.ts, against a model of the log with lost, doubled and late copies.
import type { Clock, Random } from '../base/clock.js';
import { EraftError, type Outcome } from '../base/errors.js';
import { LIMITS, MiB } from '../base/limits.js';
import { registerFrame, stampSession } from '../proto/command-batch.js';
import { FRAME } from '../proto/frame.js';
import { BATCH_STATUS, ResultReader } from '../proto/result-batch.js';
import { malformed } from '../proto/table.js';
import { Backoff } from './backoff.js';
import type { PendingCalls } from './call.js';
import { type Awaiting, type Channel, type ChannelUser, isAboutReplica } from './channel.js';
import type { Turn } from './turn.js';
import type { WriteCall } from './write-call.js';
import { type Command, WriteIntake, type WriteLimits } from './write-intake.js';
import type { WriteParcel } from './write-parcel.js';
import { type BatchOwner, WriteBatch, WriteSession } from './write-session.js';
import { settleApplied, settleForgotten } from './write-settle.js';

export interface PipelineParts {
  readonly channel: Channel;
  readonly pending: PendingCalls;
  readonly turn: Turn;
  /** For waits between attempts. */
  readonly clock: Clock;
  readonly random: Random;
  /** How long a frame waits at a replica when no caller waits for it any more. */
  readonly timeoutMs: number;
}

/** Unanswered bytes, give or take a frame: far below what a replica takes from one connection (64 MiB). */
export const INFLIGHT_BYTES_MAX = 16 * MiB;

export class WritePipeline implements BatchOwner, ChannelUser {
  readonly #parts: PipelineParts;
  readonly #intake: WriteIntake;
  readonly #backoff: Backoff;
  #session: WriteSession | undefined;
  #registering = false;
  /** Sessions that get no new batches, with batches that are still in doubt. */
  #retired: WriteSession[] = [];
  /** Copies on the link, batches that left their session included. */
  #outstanding = 0;
  #outstandingBytes = 0;
  #lastRefusal: EraftError | undefined;

  constructor(parts: PipelineParts, limits: WriteLimits) {
    this.#parts = parts;
    this.#intake = new WriteIntake(parts, limits, () => this.lastRefusal);
    this.#backoff = new Backoff(parts.clock, parts.random, { firstMs: 10, mostMs: 1_000 });
  }

  /** Why writes could not be sent lately. */
  get lastRefusal(): EraftError | undefined {
    return this.#parts.channel.isUp ? this.#lastRefusal : (this.#parts.channel.lastReason ?? this.#lastRefusal);
  }

  /** Takes a write. @throws EraftError, TypeError: nothing was kept of it then */
  submit(call: WriteCall, commands: readonly Command[], signal: AbortSignal | undefined): void {
    this.#intake.submit(call, commands, signal);
  }

  /** The end of a turn, or of a wait: sends what may be sent. */
  flush(): void {
    const { channel } = this.#parts;
    if (!channel.isUp || this.#backoff.waiting) return;
    for (const session of this.#retired) this.#repeat(session);
    if (this.#session !== undefined) this.#repeat(this.#session);
    while (!this.#intake.queue.isEmpty && this.#hasRoom() && channel.isUp && !this.#backoff.waiting) {
      if (this.#session === undefined) {
        this.#register();
        return;
      }
      if (this.#session.span > LIMITS.sessionWindow) return;
      const taken = this.#intake.queue.take();
      if (taken === undefined) return;
      this.#sendNew(this.#session, taken.parcel, taken.frame);
    }
  }

  #hasRoom(): boolean {
    if (this.#outstandingBytes >= INFLIGHT_BYTES_MAX) return false;
    return this.#outstanding < Math.min(this.#parts.channel.limits.inflightBatchesMax, LIMITS.sessionWindow);
  }

  #sendNew(session: WriteSession, parcel: WriteParcel, frame: Buffer): void {
    stampSession(frame, session.id, session.nextSequence, session.acknowledged);
    const batch = new WriteBatch(this, session, parcel, frame);
    session.nextSequence++;
    session.batches.push(batch);
    this.#send(batch);
  }

  /** Sends again, in order, what is neither answered nor on its way. */
  #repeat(session: WriteSession): void {
    let earlierOutstanding = false;
    let repeated = false;
    for (const batch of [...session.batches]) {
      if (batch.left) continue;
      if (batch.outstanding) {
        earlierOutstanding = true;
        continue;
      }
      // Behind a gap it would only meet the same gap, unless what fills it goes right before.
      if (batch.gap && earlierOutstanding && !repeated) continue;
      if (!this.#hasRoom() || !this.#parts.channel.isUp) return;
      repeated = true;
      this.#send(batch);
    }
  }

  #send(batch: WriteBatch): void {
    const { channel, turn } = this.#parts;
    batch.outstanding = true;
    batch.gap = false;
    this.#outstanding++;
    this.#outstandingBytes += batch.frame.length;
    let deadline = 0;
    for (const call of batch.parcel.calls) if (!call.done && call.deadline > deadline) deadline = call.deadline;
    channel.send(batch.frame, FRAME.write, deadline === 0 ? this.#parts.timeoutMs : deadline - turn.now(), batch);
  }

  // Answers. Each may be about a batch that left its session.

  onBatchAnswer(batch: WriteBatch, body: Uint8Array): void {
    const result = new ResultReader(body);
    const commands = batch.parcel.calls.length;
    const tells =
      result.status === BATCH_STATUS.applied || (result.status === BATCH_STATUS.forgotten && result.firstRevision > 0);
    if (tells && result.count !== commands)
      throw malformed(`results of ${result.count} commands, ${commands} were sent`);
    batch.outstanding = false;
    this.#returned(batch);
    this.#parts.turn.touch();
    if (batch.left) return;
    if (result.status === BATCH_STATUS.gap) this.#onGap(batch);
    else if (result.status === BATCH_STATUS.sessionUnknown) this.#onSessionUnknown(batch);
    else this.#onApplied(batch, result);
  }

  #onApplied(batch: WriteBatch, result: ResultReader): void {
    this.#forget(batch);
    if (result.status === BATCH_STATUS.forgotten) settleForgotten(batch, result, this.#parts.pending);
    else
      for (const call of settleApplied(batch, result, this.#parts.pending))
        this.#intake.again(batch.parcel.alone(call));
    this.#lastRefusal = undefined;
    this.#backoff.reset();
  }

  onBatchRefused(batch: WriteBatch, error: EraftError): void {
    this.#returned(batch);
    if (batch.left) return;
    if (error.code === 'ERAFT_SEQUENCE_GAP') {
      this.#onGap(batch);
      return;
    }
    this.#lastRefusal = error;
    if (error.outcome !== 'not-applied') batch.maybeProposed = true;
    if (batch.session.dead || error.code === 'ERAFT_SESSION_EXPIRED') this.#onSessionUnknown(batch);
    else if (!error.retryable && !batch.maybeProposed && !isAboutReplica(error)) this.#refuse(batch, error);
    else this.#pause(error);
  }

  onBatchLost(batch: WriteBatch): void {
    this.#returned(batch);
    if (!batch.left && batch.session.dead) this.#onSessionUnknown(batch);
  }

  #returned(batch: WriteBatch): void {
    this.#outstanding--;
    this.#outstandingBytes -= batch.frame.length;
  }

  /** What is behind waits for what is before: the latter is on its way again, or will be at the end of the turn. */
  #onGap(batch: WriteBatch): void {
    batch.gap = true;
    if (batch.session.dead) this.#onSessionUnknown(batch);
    else if (batch.session.batches[0] === batch) this.#pause(undefined);
    else this.#parts.turn.touch();
  }

  /** The request itself is wrong for this cluster: its callers hear it, and the hole that it leaves ends the session. */
  #refuse(batch: WriteBatch, error: EraftError): void {
    for (const call of batch.parcel.calls) this.#parts.pending.reject(call, error);
    this.#leaveSession(batch);
    this.#parts.turn.touch();
  }

  /**
   * The cluster has forgotten the session. A batch all of whose copies were answered, by this or by a refusal, was not
   * applied, nor can anything behind it; one with a copy in doubt stays in doubt.
   */
  #onSessionUnknown(batch: WriteBatch): void {
    const { session } = batch;
    session.dead = true;
    this.#retire(session);
    const certain = session.batches.find((other) => other.certainlyNotProposed);
    if (certain !== undefined) this.#leaveSession(certain);
    const expired = new EraftError(
      'ERAFT_SESSION_EXPIRED',
      'the cluster has forgotten the session of this write: it may have happened',
    );
    for (const other of [...session.batches]) {
      if (other.outstanding) continue; // its own answer comes
      this.#forget(other);
      for (const call of other.parcel.calls) this.#parts.pending.reject(call, expired);
    }
    this.#parts.turn.touch();
  }

  /**
   * `from` was never proposed, and will not be: it and everything behind it go to another session. Copies of those behind
   * that are still on their way meet the gap that it leaves.
   */
  #leaveSession(from: WriteBatch): void {
    const { session } = from;
    for (const batch of session.cut(from)) this.#intake.queue.putBack(batch.parcel);
    this.#retire(session);
  }

  #retire(session: WriteSession): void {
    if (this.#session === session) {
      this.#session = undefined;
      this.#retired.push(session);
    }
    if (session.batches.length === 0) this.#retired = this.#retired.filter((other) => other !== session);
  }

  #forget(batch: WriteBatch): void {
    batch.session.remove(batch);
    batch.left = true;
    if (batch.session !== this.#session) this.#retire(batch.session);
  }

  withdrawFromBatch(batch: WriteBatch, call: WriteCall): Outcome {
    if (!batch.certainlyNotProposed || batch.left) return 'unknown';
    this.#leaveSession(batch);
    return batch.parcel.withdraw(call);
  }

  #pause(reason: EraftError | undefined): void {
    if (reason !== undefined && isAboutReplica(reason)) this.#parts.channel.fail(reason);
    this.#backoff.wait(() => this.flush());
  }

  // Registration.

  #register(): void {
    if (this.#registering) return;
    this.#registering = true;
    this.#outstanding++;
    const registration: Awaiting = {
      answerKind: FRAME.written,
      onAnswer: (body) => {
        const result = new ResultReader(body);
        if (result.status !== BATCH_STATUS.applied || result.firstRevision === 0)
          throw malformed('a session without an id');
        this.#registered();
        this.#session = new WriteSession(result.firstRevision);
        this.#lastRefusal = undefined;
        this.#backoff.reset();
        this.#parts.turn.touch();
      },
      onRefused: (error) => {
        this.#registered();
        this.#lastRefusal = error;
        this.#pause(error); // a session that was registered all the same is never used, and forgotten in time
      },
      onLost: () => this.#registered(),
    };
    this.#parts.channel.send(registerFrame(), FRAME.write, this.#parts.timeoutMs, registration);
  }

  #registered(): void {
    this.#registering = false;
    this.#outstanding--;
  }

  // The link.

  onUp(): void {
    this.#backoff.reset();
    this.#parts.turn.touch();
  }

  onEnded(): void {
    this.#backoff.cancel();
  }
}
