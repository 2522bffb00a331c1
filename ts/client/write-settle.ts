// The results of an answered batch, handed to the callers that still wait.
import type { ResultReader } from '../proto/result-batch.js';
import type { PendingCalls } from './call.js';
import { appliedWithoutResult, EntryLeftOut, skipConditions, type WriteCall } from './write-call.js';
import type { WriteBatch } from './write-session.js';

/**
 * Settles every call of an applied batch.
 *
 * @returns transactions that failed and whose entries did not fit the answer: they changed nothing and may be tried again
 */
export function settleApplied(batch: WriteBatch, result: ResultReader, pending: PendingCalls): WriteCall[] {
  const again: WriteCall[] = [];
  const { calls } = batch.parcel;
  for (let i = 0; i < calls.length; i++) {
    const call = calls[i];
    if (call === undefined) break;
    const revision = result.firstRevision + i;
    if (!result.hasResults) {
      settleBlind(call, revision, pending);
      continue;
    }
    result.next();
    if (call.done) skipConditions(result);
    else if (!settleOne(call, result, revision, calls.length === 1, pending)) again.push(call);
  }
  return again;
}

function settleBlind(call: WriteCall, revision: number, pending: PendingCalls): void {
  if (call.shape.blind) {
    if (pending.settle(call)) call.resolve({ revision });
  } else {
    pending.reject(call, appliedWithoutResult(revision, 'the replica sent no result'));
  }
}

/** @returns false when the call, which changed nothing, should be sent again in a batch of its own */
function settleOne(
  call: WriteCall,
  result: ResultReader,
  revision: number,
  alone: boolean,
  pending: PendingCalls,
): boolean {
  let value: unknown;
  try {
    value = call.shape.read(call, result, revision);
  } catch (error) {
    if (error instanceof EntryLeftOut && !alone) return false;
    pending.reject(call, errorOf(error, revision));
    return true;
  }
  if (pending.settle(call)) call.resolve(value);
  return true;
}

function errorOf(error: unknown, revision: number): unknown {
  if (error instanceof EntryLeftOut)
    return appliedWithoutResult(0, 'its failed conditions have more than fits an answer; nothing was changed');
  // The previous value is not UTF-8: a caller must not take that for a write that did not happen.
  if (error instanceof TypeError) return appliedWithoutResult(revision, error.message, error);
  return error;
}

/** An earlier copy was applied, and its results are no longer stored. Those of blind writes follow from the revision. */
export function settleForgotten(batch: WriteBatch, result: ResultReader, pending: PendingCalls): void {
  const { calls } = batch.parcel;
  for (let i = 0; i < calls.length; i++) {
    const call = calls[i];
    if (call === undefined || call.done) continue;
    const revision = result.firstRevision === 0 ? 0 : result.firstRevision + i;
    if (call.shape.blind && revision > 0) {
      if (pending.settle(call)) call.resolve({ revision });
    } else {
      pending.reject(
        call,
        appliedWithoutResult(revision, 'its result is no longer stored: an earlier answer was lost'),
      );
    }
  }
}
