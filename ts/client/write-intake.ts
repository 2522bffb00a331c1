// Where writes come in: checked, encoded and queued before the call returns.
import type { Bytes } from '../base/bytes.js';
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import { COMMAND, type CommandScratch } from '../proto/command-batch.js';
import type { PendingCalls } from './call.js';
import type { Channel } from './channel.js';
import type { Turn } from './turn.js';
import type { WriteCall } from './write-call.js';
import { batchBytesAlone, type WriteParcel, WriteQueue } from './write-parcel.js';

/** One header of a batch, before it is encoded. */
export interface Command {
  readonly kind: number;
  readonly flags: number;
  readonly parts: number;
  readonly key: Bytes;
  readonly value: Bytes;
  readonly number: number;
}

export interface WriteLimits {
  /** Calls that wait to be sent; more are refused with ERAFT_OVERLOADED. */
  readonly queueCommandsMax: number;
  /** Their bytes, likewise. */
  readonly queueBytesMax: number;
}

interface IntakeParts {
  readonly channel: Channel;
  readonly pending: PendingCalls;
  readonly turn: Turn;
}

export class WriteIntake {
  readonly queue: WriteQueue;
  readonly #parts: IntakeParts;
  readonly #limits: WriteLimits;

  constructor(parts: IntakeParts, limits: WriteLimits, lastRefusal: () => EraftError | undefined) {
    this.#parts = parts;
    this.#limits = limits;
    this.queue = new WriteQueue(lastRefusal);
  }

  submit(call: WriteCall, commands: readonly Command[], signal: AbortSignal | undefined): void {
    const { queue } = this;
    if (queue.calls >= this.#limits.queueCommandsMax || queue.bytes >= this.#limits.queueBytesMax)
      throw this.#overloaded();
    if (commands.length > this.#batchCommandsMax) throw tooLarge(commands.length, this.#batchCommandsMax, 'commands');
    const parcel = queue.open();
    if (!this.#encode(parcel, call, commands)) {
      if (batchBytesAlone(call) > LIMITS.batchBytesMax)
        throw tooLarge(batchBytesAlone(call), LIMITS.batchBytesMax, 'bytes');
      const fresh = queue.openNew();
      this.#encode(fresh, call, commands);
      queue.enter(fresh, call);
    } else {
      queue.enter(parcel, call);
    }
    this.#parts.pending.add(call, signal);
    this.#parts.turn.touch();
  }

  /** Queues a parcel that was answered, but has to be sent once more. */
  again(parcel: WriteParcel): void {
    this.queue.putBack(parcel);
    this.#parts.turn.touch();
  }

  get #batchCommandsMax(): number {
    return Math.min(LIMITS.batchCommandsMax, this.#parts.channel.limits.batchCommandsMax);
  }

  /** @returns false when it does not fit into this parcel, which is left as it was */
  #encode(parcel: WriteParcel, call: WriteCall, commands: readonly Command[]): boolean {
    const { scratch } = parcel;
    if (scratch === undefined) throw new Error('a sealed parcel takes no calls');
    const isRange = commands[0]?.kind === COMMAND.deleteRange; // never a part of a transaction
    if (isRange && parcel.ranges >= LIMITS.batchRangesMax) return false;
    call.headersFrom = scratch.headers;
    call.dataFrom = scratch.dataBytes;
    try {
      for (const command of commands) this.#encodeOne(scratch, command);
    } catch (error) {
      scratch.rollBack(call.headersFrom, call.dataFrom);
      throw error;
    }
    call.headers = scratch.headers - call.headersFrom;
    call.dataBytes = scratch.dataBytes - call.dataFrom;
    const fits = scratch.batchBytes <= LIMITS.batchBytesMax && scratch.headers <= this.#batchCommandsMax;
    if (!fits) scratch.rollBack(call.headersFrom, call.dataFrom);
    else if (isRange) parcel.ranges++;
    return fits;
  }

  #encodeOne(scratch: CommandScratch, command: Command): void {
    const { keyBytesMax, valueBytesMax } = this.#parts.channel.limits;
    const { kind, key, value } = command;
    const valueMax = kind === COMMAND.deleteRange ? keyBytesMax : valueBytesMax;
    // Before anything is copied: UTF-8 is never shorter than UTF-16 has units.
    if (key.length > keyBytesMax) throw keyTooLarge(key.length, keyBytesMax);
    if (value.length > valueMax) throw valueTooLarge(value.length, valueMax);
    scratch.add(kind, command.flags, command.parts, key, value, command.number);
    const keyBytes = scratch.lastKeyBytes();
    const valueBytes = scratch.lastValueBytes();
    if (keyBytes > keyBytesMax) throw keyTooLarge(keyBytes, keyBytesMax);
    if (valueBytes > valueMax) throw valueTooLarge(valueBytes, valueMax);
    if (keyBytes === 0 && kind !== COMMAND.deleteRange && kind !== COMMAND.transact) throw keyEmpty();
  }

  #overloaded(): EraftError {
    const { calls, bytes } = this.queue;
    return new EraftError('ERAFT_OVERLOADED', `${calls} writes of ${bytes} bytes wait to be sent: call again later`, {
      bytes,
      bytesMax: this.#limits.queueBytesMax,
    });
  }
}

export function keyEmpty(): EraftError {
  return new EraftError('ERAFT_KEY_EMPTY', 'a key has at least one byte');
}

export function keyTooLarge(bytes: number, bytesMax: number): EraftError {
  return new EraftError('ERAFT_KEY_TOO_LARGE', `the key has ${bytes} bytes, at most ${bytesMax} are allowed`, {
    bytes,
    bytesMax,
  });
}

function valueTooLarge(bytes: number, bytesMax: number): EraftError {
  return new EraftError('ERAFT_VALUE_TOO_LARGE', `the value has ${bytes} bytes, at most ${bytesMax} are allowed`, {
    bytes,
    bytesMax,
  });
}

export function tooLarge(bytes: number, bytesMax: number, unit: 'bytes' | 'commands' | 'keys'): EraftError {
  const message = `the call makes a batch of ${bytes} ${unit}, at most ${bytesMax} are allowed: divide it`;
  return new EraftError('ERAFT_BATCH_TOO_LARGE', message, unit === 'bytes' ? { bytes, bytesMax } : {});
}
