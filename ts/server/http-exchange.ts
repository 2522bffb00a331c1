// One HTTP request on its way, and what every handler needs.
import { LIMITS } from '../base/limits.js';
import type { KeyValue } from '../client/key-value.js';
import type { FrontRequest, FrontResponse } from './front.js';
import type { Answer } from './http-problem.js';
import type { Query } from './http-text.js';
import type { Writer } from './http-writes.js';
import { type IdempotentWriter, parseIdempotencyKey } from './idempotent-writer.js';
import type { ServerLimits } from './limits.js';
import type { ServedService } from './served.js';

export const DEFAULT_TIMEOUT_MS = 5_000;
export const TIMEOUT_MS_MAX = 60_000;

/** What the handlers work on, once there is a replica. */
export interface Served {
  readonly service: ServedService;
  readonly kv: KeyValue;
  readonly write: Writer;
  readonly idempotent: IdempotentWriter;
  /** The text of /metrics, and its content type. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** One request on its way, with what its handler needs. */
export interface Exchange {
  readonly request: FrontRequest;
  readonly response: FrontResponse;
  readonly served: Served;
  readonly limits: ServerLimits;
  /** Aborted when the peer leaves. */
  readonly signal: AbortSignal;
}

/** undefined: the handler has sent the response itself. */
export type Handler = (exchange: Exchange) => Promise<Answer | undefined> | Answer;

/** The time that the client allows, `?timeout=` in ms. @throws ERAFT_BAD_REQUEST */
export function timeoutOf(query: Query): number {
  return query.integer('timeout', 1, TIMEOUT_MS_MAX) ?? DEFAULT_TIMEOUT_MS;
}

/** The writer that the headers ask for: at a place in a session, or anew. @throws ERAFT_BAD_REQUEST */
export function writerOf({ request, served }: Exchange): Writer {
  const key = parseIdempotencyKey(request.header('idempotency-key'));
  if (key === undefined) return served.write;
  return (write, options) => served.idempotent.write(key, write, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
}

/** The largest body that is a value. */
export const VALUE_BYTES_MAX = LIMITS.valueBytesMax;

/** Runs `action`. The body that it may await, or not, when something else is wrong first, is never an unhandled rejection. */
export function withBody<T>(body: Promise<unknown>, action: () => Promise<T>): Promise<T> {
  body.catch(() => undefined);
  return action();
}
