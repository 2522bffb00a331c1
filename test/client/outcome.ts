// What outcome tests share.
import assert from 'node:assert/strict';
import { EraftError } from '../../ts/base/errors.js';
import { type Bench, bench, type Watched } from './fake-link.js';

/** A store with a session, so that the next frame is the first batch of interest. */
export async function ready(): Promise<Bench> {
  const b = bench();
  void b.kv.put('first', '');
  await b.clock.settle();
  b.link.sent.length = 0;
  b.model.applied.length = 0;
  return b;
}

/** Code, outcome and retryable of a rejected call. */
export function told(call: Watched<unknown>): unknown[] {
  assert.ok(EraftError.is(call.error), `${call.state} ${String(call.error)}`);
  return [call.error.code, call.error.outcome, call.error.retryable];
}
