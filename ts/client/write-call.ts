// A write from the caller's side: what it becomes when its result is there.
import { EraftError, type Outcome } from '../base/errors.js';
import { COMMAND_STATUS, type ResultReader } from '../proto/result-batch.js';
import { Call } from './call.js';
import type { Codec } from './codec.js';
import type { Decision, Entry, Written } from './key-value.js';

/** Where a write waits: a parcel that was not sent, or a batch that was. */
export interface WritePlace {
  withdraw(call: WriteCall): Outcome;
  /** Why it could not be sent, or was refused, last. */
  readonly lastRefusal: EraftError | undefined;
}

/** How the result of one kind of write is read. */
export interface WriteShape {
  /** A put or delete that wants nothing back: its result is its revision, and there is none in the answer. */
  readonly blind: boolean;
  /** Reads the current result (and failed conditions behind it). @throws EraftError when the command did not do its work */
  read(call: WriteCall, result: ResultReader, revision: number): unknown;
}

export class WriteCall extends Call {
  readonly shape: WriteShape;
  /** Keys that the result names: of the write, or of its conditions. */
  readonly keys: readonly unknown[];
  readonly codec: Codec<unknown, unknown>;
  readonly #resolve: (value: never) => void;
  place: WritePlace | undefined;
  /** Its headers and bytes in the source of its parcel. */
  headersFrom = 0;
  headers = 0;
  dataFrom = 0;
  dataBytes = 0;

  constructor(
    deadline: number,
    resolve: (value: never) => void,
    reject: (error: unknown) => void,
    shape: WriteShape,
    codec: Codec<unknown, unknown>,
    keys: readonly unknown[],
  ) {
    super(deadline, reject);
    this.#resolve = resolve;
    this.shape = shape;
    this.codec = codec;
    this.keys = keys;
  }

  withdraw(): Outcome {
    return this.place?.withdraw(this) ?? 'not-applied';
  }

  expired(outcome: Outcome | undefined): EraftError {
    const cause = this.place?.lastRefusal;
    if (outcome === 'unknown') {
      return new EraftError('ERAFT_TIMEOUT', 'the write was sent and not answered in time: it may have happened', {
        cause,
      });
    }
    if (cause?.code === 'ERAFT_DISK_FULL' || cause?.code === 'ERAFT_OVERLOADED') {
      return new EraftError(cause.code, cause.message, { cause });
    }
    const why = cause === undefined ? 'earlier writes took all the time' : cause.message;
    return new EraftError('ERAFT_UNAVAILABLE', `the write could not be handed to a leader in time: ${why}`, { cause });
  }

  /** After PendingCalls.settle. */
  resolve(value: unknown): void {
    this.#resolve(value as never);
  }
}

/** Moves to the failed conditions of the current result, if any, without reading them. */
export function skipConditions(result: ResultReader): void {
  if (result.commandStatus !== COMMAND_STATUS.conditionFailed) return;
  for (let left = result.conditionCount; left > 0; left--) result.next();
}

/** The values that a failed transaction should carry do not fit its answer; nothing was changed. */
export class EntryLeftOut extends Error {}

function demandOk(result: ResultReader, what: string): void {
  const status = result.commandStatus;
  if (status === COMMAND_STATUS.ok) return;
  const where = what === 'transaction' ? `operation ${result.number} of the transaction` : what;
  if (status === COMMAND_STATUS.notANumber) {
    throw new EraftError('ERAFT_NOT_A_NUMBER', `${where}: the value is not a decimal integer within +-(2^53 - 1)`);
  }
  if (status === COMMAND_STATUS.overLimit) {
    throw new EraftError('ERAFT_OUT_OF_RANGE', `${where}: the result would pass a limit; nothing was changed`);
  }
  skipConditions(result);
  throw new EraftError(
    'ERAFT_OUTCOME_UNKNOWN',
    `${where}: the replica answers with a failed condition, but there is none`,
  );
}

/** What the write did is certain, but not what it should have returned. */
export function appliedWithoutResult(revision: number, why: string, cause?: unknown): EraftError {
  const which = revision === 0 ? '' : ` with revision ${revision}`;
  return new EraftError('ERAFT_OUTCOME_UNKNOWN', `the write was applied${which}, but ${why}`, { cause });
}

function previousEntry(call: WriteCall, result: ResultReader, revision: number): unknown {
  if (!result.present) return undefined;
  if (result.leftOut)
    throw appliedWithoutResult(revision, `its previous value of ${result.valueBytes} bytes did not fit the answer`);
  return entryOf(call, 0, result);
}

function entryOf(call: WriteCall, key: number, result: ResultReader): Entry<unknown, unknown> {
  return { key: call.keys[key], value: call.codec.value(result.copyValue()), revision: result.revision };
}

export const BLIND: WriteShape = {
  blind: true,
  read(_call, result, revision): Written<unknown> {
    demandOk(result, 'write');
    return { revision };
  },
};

export const WITH_PREVIOUS: WriteShape = {
  blind: false,
  read(call, result, revision): Written<unknown> {
    demandOk(result, 'write');
    return { revision, previous: previousEntry(call, result, revision) };
  },
};

export const APPEND: WriteShape = {
  blind: false,
  read(_call, result, revision) {
    demandOk(result, 'append');
    return { revision, length: result.number };
  },
};

export const INCREMENT: WriteShape = {
  blind: false,
  read(_call, result, revision) {
    demandOk(result, 'increment');
    return { revision, value: result.number };
  },
};

export const DELETE_RANGE: WriteShape = {
  blind: false,
  read(_call, result, revision) {
    demandOk(result, 'deleteRange');
    return { revision, count: result.number };
  },
};

export const TRANSACT: WriteShape = {
  blind: false,
  read(call, result, revision): Decision<unknown> {
    if (result.commandStatus !== COMMAND_STATUS.conditionFailed) {
      demandOk(result, 'transaction');
      return { ok: true, revision };
    }
    const failed: { index: number; current: unknown }[] = [];
    let leftOut = false;
    for (let left = result.conditionCount; left > 0; left--) {
      result.next();
      const index = result.conditionCount;
      leftOut ||= result.leftOut;
      if (!leftOut) failed.push({ index, current: result.present ? entryOf(call, index, result) : undefined });
    }
    if (leftOut) throw new EntryLeftOut();
    return { ok: false, failed };
  },
};
