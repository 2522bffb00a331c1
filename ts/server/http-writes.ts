// What an HTTP write asks for, and the two ways of doing it: through KeyValue, or at a place in a session that the
// client chose (Idempotency-Key).
import type { CallOptions, Condition, KeyValue, Operation } from '../client/key-value.js';
import { HttpProblem } from './http-problem.js';
import { type JsonBytes, jsonBytes } from './http-text.js';

/** One write: an operation alone, or a transaction. */
export interface Write {
  readonly operations: readonly Operation[];
  readonly when: readonly Condition[];
}

/** `length` of an append alone, `value` of an increment alone. */
export interface Done {
  readonly revision: number;
  readonly length?: number;
  readonly value?: number;
}

/** An entry as an answer has it. value: undefined when it was left out, since the answer would have been too large. */
export interface CurrentEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

export interface FailedCondition {
  readonly index: number;
  readonly current: CurrentEntry | undefined;
}

export type Outcome =
  | ({ readonly ok: true } & Done)
  | { readonly ok: false; readonly failed: readonly FailedCondition[] };

export type Writer = (write: Write, options: CallOptions) => Promise<Outcome>;

/** Each call is a new write. */
export function keyValueWriter(kv: KeyValue): Writer {
  return async ({ operations, when }, options) => {
    const only = operations.length === 1 && when.length === 0 ? operations[0] : undefined;
    if (only === undefined) {
      const decision = await kv.transact(operations, { ...options, when });
      return decision.ok ? { ok: true, revision: decision.revision } : decision;
    }
    if ('put' in only) return { ok: true, revision: (await kv.put(only.put, only.value, options)).revision };
    if ('delete' in only) return { ok: true, revision: (await kv.delete(only.delete, options)).revision };
    if ('append' in only) return { ok: true, ...(await kv.append(only.append, only.value, options)) };
    return { ok: true, ...(await kv.increment(only.increment, only.by, options)) };
  };
}

export interface JsonEntry {
  readonly key: JsonBytes;
  readonly value?: JsonBytes;
  readonly revision: number;
}

export function jsonEntry({ key, value, revision }: CurrentEntry): JsonEntry {
  return value === undefined
    ? { key: jsonBytes(key), revision }
    : { key: jsonBytes(key), value: jsonBytes(value), revision };
}

/** status: 412 for conditions in headers, 409 for those of a transaction. */
export function conditionFailed(status: 409 | 412, failed: readonly FailedCondition[]): HttpProblem {
  const current = failed.map(({ index, current }) => ({ index, current: current ? jsonEntry(current) : null }));
  const revision = failed[0]?.current?.revision;
  const headers = status === 412 && revision !== undefined ? { ETag: `"${revision}"` } : {};
  const text = 'a condition does not hold, nothing was written: `failed` has the present entries';
  return new HttpProblem(status, 'CONDITION_FAILED', 'not-applied', text, { failed: current }, headers);
}
