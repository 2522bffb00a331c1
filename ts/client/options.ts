// What callers pass, checked: a wrong argument is a TypeError or RangeError, never repaired.
import { type Bytes, copyBytes, demandBytes } from '../base/bytes.js';
import { COMMAND } from '../proto/command-batch.js';
import { CONSISTENCY } from '../proto/read-batch.js';
import type { CallOptions, Condition, Operation, ReadOptions } from './key-value.js';
import type { Command } from './write-intake.js';

export const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const NOTHING = new Uint8Array(0);

/** @throws TypeError */
export function demandOptions(o: unknown): asserts o is object | undefined {
  if (o !== undefined && (typeof o !== 'object' || o === null)) throw new TypeError('options must be an object');
}

/** @throws TypeError, RangeError */
export function timeoutOf(timeoutMs: unknown, otherwise: number): number {
  if (timeoutMs === undefined) return otherwise;
  if (typeof timeoutMs !== 'number') throw new TypeError('timeoutMs must be a number');
  if (!(timeoutMs >= 1 && timeoutMs <= TIMEOUT_MS_MAX))
    throw new RangeError(`timeoutMs must be from 1 to ${TIMEOUT_MS_MAX}`);
  return timeoutMs;
}

/** @throws TypeError */
export function signalOf(o: CallOptions | undefined): AbortSignal | undefined {
  const signal = o?.signal;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal');
  return signal;
}

export function demandInteger(
  value: unknown,
  what: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== 'number') throw new TypeError(`${what} must be a number`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} must be an integer from ${least} to ${most}, not ${value}`);
  }
}

function demandFlag(value: unknown, what: string): asserts value is boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${what} must be true or false`);
}

/** A flag among the options; absent is false. */
export function flagOf(value: unknown, what: string): boolean {
  demandFlag(value, what);
  return value === true;
}

export interface ReadMode {
  readonly consistency: number;
  readonly minRevision: number;
}

export function readModeOf(o: ReadOptions | undefined): ReadMode {
  const consistency = o?.consistency ?? 'linearizable';
  if (!Object.hasOwn(CONSISTENCY, consistency)) {
    throw new TypeError(`consistency is 'linearizable' or 'stale', not ${String(consistency)}`);
  }
  const minRevision = o?.minRevision ?? 0;
  demandInteger(minRevision, 'minRevision', 0);
  return { consistency: CONSISTENCY[consistency], minRevision };
}

function command(kind: number, key: Bytes, value: Bytes = NOTHING, number = 0): Command {
  return { kind, flags: 0, parts: 0, key, value, number };
}

/** @throws TypeError, RangeError */
export function conditionCommand(when: Condition): Command {
  if (typeof when !== 'object' || when === null) throw new TypeError('a condition must be an object');
  demandBytes(when.key, 'key of a condition');
  const kinds = ['revision', 'value', 'exists'].filter((name) => Object.hasOwn(when, name));
  if (kinds.length !== 1) throw new TypeError('a condition has one of revision, value and exists');
  if ('revision' in when) {
    demandInteger(when.revision, 'revision of a condition', 0);
    return command(COMMAND.revisionIs, when.key, NOTHING, when.revision);
  }
  if ('value' in when) {
    demandBytes(when.value, 'value of a condition');
    return command(COMMAND.valueIs, when.key, when.value);
  }
  if (typeof when.exists !== 'boolean') throw new TypeError('exists must be true or false');
  return command(when.exists ? COMMAND.exists : COMMAND.absent, when.key);
}

/** @throws TypeError, RangeError */
export function operationCommand(operation: Operation): Command {
  if (typeof operation !== 'object' || operation === null) throw new TypeError('an operation must be an object');
  const kinds = ['put', 'append', 'delete', 'increment'].filter((name) => Object.hasOwn(operation, name));
  if (kinds.length !== 1) throw new TypeError('an operation has one of put, append, delete and increment');
  if ('put' in operation) return withValue(COMMAND.put, operation.put, operation.value);
  if ('append' in operation) return withValue(COMMAND.append, operation.append, operation.value);
  if ('delete' in operation) {
    demandBytes(operation.delete, 'key');
    return command(COMMAND.delete, operation.delete);
  }
  demandBytes(operation.increment, 'key');
  demandInteger(operation.by, 'by', -Number.MAX_SAFE_INTEGER);
  return command(COMMAND.increment, operation.increment, NOTHING, operation.by);
}

function withValue(kind: number, key: Bytes, value: Bytes): Command {
  demandBytes(key, 'key');
  demandBytes(value, 'value');
  return command(kind, key, value);
}

/** The header that stands before conditions and operations. */
export function transactCommand(parts: number): Command {
  return { kind: COMMAND.transact, flags: 0, parts, key: NOTHING, value: NOTHING, number: 0 };
}

/** Bytes that the caller may change as soon as the call returns. */
export function keep(value: Bytes): Uint8Array {
  return copyBytes(value);
}
