// A store at the other end of a link: the one implementation of KeyValue, for `Client` and `Store` alike.
import { type Clock, type Random, systemClock } from '../base/clock.js';
import { ERRORS, EraftError, type Outcome } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import { PendingCalls } from './call.js';
import { Channel } from './channel.js';
import { codecOf } from './codec.js';
import type { Encoding } from './key-value.js';
import type { Link, LinkLimits } from './link.js';
import { ReadPipeline } from './read-pipeline.js';
import { SingleRequests } from './single-request.js';
import { Turn } from './turn.js';
import { closedError, View, type ViewParts } from './view.js';
import { type PipelineParts, WritePipeline } from './write-pipeline.js';

export interface LinkedOptions {
  readonly link: Link;
  /** For turns and waits; must not keep the process alive. */
  readonly clock?: Clock;
  /** For deadlines of pending calls; keeps the process alive. Tells the same time. */
  readonly deadlines?: Clock;
  readonly random?: Random;
  /** Of calls that name none. Default 5,000. */
  readonly timeoutMs?: number;
  /** Writes, and keys to be read, that wait to be sent; more are refused with ERAFT_OVERLOADED. Default 131,072. */
  readonly queueCommandsMax?: number;
  /** Their bytes, likewise. Default 64 MiB. */
  readonly queueBytesMax?: number;
}

export const LINKED_DEFAULTS = {
  timeoutMs: 5_000,
  queueCommandsMax: 131_072,
  queueBytesMax: 64 * 1024 * 1024,
} as const;

/** In force until a link tells what the other side takes. */
const LIMITS_UNTIL_UP: LinkLimits = {
  keyBytesMax: LIMITS.keyBytesMax,
  valueBytesMax: LIMITS.valueBytesMax,
  frameBytesMax: LIMITS.clientFrameBytesMax,
  batchCommandsMax: LIMITS.batchCommandsMax,
  inflightBatchesMax: 1,
};

export class LinkedKeyValue extends View<Encoding['bytes'], Encoding['bytes']> {
  constructor(options: LinkedOptions) {
    super(new Core(options), codecOf('bytes', 'bytes'));
  }
}

/** Owns the pipelines and the end of them. */
class Core implements ViewParts {
  readonly channel: Channel;
  readonly pending: PendingCalls;
  readonly writes: WritePipeline;
  readonly reads: ReadPipeline;
  readonly singles: SingleRequests;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly #deadlines: Clock;
  /** Why no call is taken any more. */
  #over: EraftError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LinkedOptions) {
    this.#deadlines = options.deadlines ?? systemClock({ keepAlive: true });
    this.clock = options.clock ?? systemClock({ keepAlive: false });
    this.timeoutMs = options.timeoutMs ?? LINKED_DEFAULTS.timeoutMs;
    this.channel = new Channel(options.link, LIMITS_UNTIL_UP);
    this.pending = new PendingCalls(this.#deadlines, () => this.turn.touch());
    this.turn = new Turn(this.clock, () => this.#endTurn());
    const { channel, pending, turn, clock, timeoutMs } = this;
    const parts: PipelineParts = { channel, pending, turn, clock, timeoutMs, random: options.random ?? Math.random };
    const queueCommandsMax = options.queueCommandsMax ?? LINKED_DEFAULTS.queueCommandsMax;
    const queueBytesMax = options.queueBytesMax ?? LINKED_DEFAULTS.queueBytesMax;
    this.writes = new WritePipeline(parts, { queueCommandsMax, queueBytesMax });
    this.reads = new ReadPipeline(parts, { queueKeysMax: queueCommandsMax, queueBytesMax });
    this.singles = new SingleRequests(parts);
    channel.open([this.writes, this.reads, this.singles, { onUp: () => undefined, onEnded: (e) => this.#end(e) }]);
  }

  #endTurn(): void {
    this.writes.flush();
    this.reads.flush();
    this.pending.endTurn();
  }

  demandOpen(): void {
    if (this.#over !== undefined) throw withOutcome(this.#over, 'not-applied');
  }

  /** The link has ended for good. */
  #end(reason: EraftError): void {
    this.#over ??= reason;
    this.pending.giveUpAll((outcome) => withOutcome(reason, outcome));
  }

  close(timeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#over ??= closedError();
    await new Promise<void>((resolve) => {
      const timer = this.#deadlines.after(timeoutMs, resolve);
      this.pending.whenIdle(() => {
        timer.cancel();
        resolve();
      });
    });
    this.pending.giveUpAll((outcome) => closedWith(outcome));
    this.pending.endTurn();
    this.writes.onEnded();
    this.reads.onEnded();
    this.channel.close();
  }
}

function closedWith(outcome: Outcome | undefined): EraftError {
  const told = outcome === 'unknown' ? 'the write was sent and may still happen' : 'nothing was changed by it';
  return new EraftError('ERAFT_CLOSED', `the store was closed before the call was answered; ${told}`, { outcome });
}

/** The same error for a call of which `outcome` is known, whatever the code promises in general. */
function withOutcome(error: EraftError, outcome: Outcome | undefined): EraftError {
  const fact = ERRORS[error.code].outcome;
  if (fact === 'varies') return new EraftError(error.code, error.message, { cause: error.cause ?? error, outcome });
  if (outcome === 'unknown' && fact !== 'unknown') {
    return new EraftError('ERAFT_OUTCOME_UNKNOWN', `the write was sent, and then: ${error.message}`, { cause: error });
  }
  return error;
}
