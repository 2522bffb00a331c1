// Errors as HTTP says them: a status, and a JSON body that always has `code` and `outcome`.
import { EraftError, type ErrorCode, type Outcome } from '../base/errors.js';
import type { ResponseHeaders } from './front.js';

/** What only HTTP has a name for. KeyValue answers these with plain results. */
export type HttpCode =
  | 'KEY_NOT_FOUND'
  | 'CONDITION_FAILED'
  | 'RESULT_FORGOTTEN'
  | 'PATH_NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'FORBIDDEN';

export interface Answer {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly body: string | Uint8Array;
}

/** Thrown by a handler to answer with something else than success. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly code: HttpCode;
  readonly outcome: Outcome | null;
  readonly more: Readonly<Record<string, unknown>>;
  readonly headers: ResponseHeaders;

  constructor(
    status: number,
    code: HttpCode,
    outcome: Outcome | null,
    message: string,
    more: Readonly<Record<string, unknown>> = {},
    headers: ResponseHeaders = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.outcome = outcome;
    this.more = more;
    this.headers = headers;
  }
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  ERAFT_NOT_LEADER: 503,
  ERAFT_UNAVAILABLE: 503,
  ERAFT_OVERLOADED: 429,
  ERAFT_DISK_FULL: 503,
  ERAFT_TIMEOUT: 504,
  ERAFT_READ_TIMEOUT: 504,
  ERAFT_OUTCOME_UNKNOWN: 504,
  ERAFT_SESSION_EXPIRED: 409,
  ERAFT_SEQUENCE_GAP: 409,
  ERAFT_SNAPSHOT_LOST: 409,
  ERAFT_ABORTED: 503,
  ERAFT_CLOSED: 503,
  ERAFT_KEY_EMPTY: 400,
  ERAFT_KEY_TOO_LARGE: 413,
  ERAFT_VALUE_TOO_LARGE: 413,
  ERAFT_BATCH_TOO_LARGE: 413,
  ERAFT_FRAME_TOO_LARGE: 413,
  ERAFT_BAD_REQUEST: 400,
  ERAFT_NOT_A_NUMBER: 409,
  ERAFT_OUT_OF_RANGE: 409,
  ERAFT_VERSION: 400,
  ERAFT_WRONG_CLUSTER: 409,
  ERAFT_CONFIG: 500,
  ERAFT_DATA_LOCKED: 500,
  ERAFT_DATA_MISMATCH: 500,
  ERAFT_DATA_DAMAGED: 500,
  ERAFT_DATA_VERSION: 500,
  ERAFT_IO: 500,
  ERAFT_PORT_IN_USE: 500,
  ERAFT_REPLICA_UNKNOWN: 503,
  ERAFT_FAILED: 503,
};

const RETRY_AFTER_SECONDS = '1';

/**
 * @param repeatable - the request had an Idempotency-Key: sending it again is safe even when its outcome is unknown
 */
export function answerOf(error: unknown, repeatable = false): Answer {
  if (error instanceof HttpProblem) {
    const { code, message, outcome, more } = error;
    return json(error.status, { code, message, outcome, retryable: false, ...more }, error.headers);
  }
  if (!EraftError.is(error)) return answerOfStranger(error);
  const status = STATUS[error.code];
  const again = status === 429 || status === 503 || (repeatable && status === 504);
  const headers: Record<string, string> = {};
  if (again) headers['Retry-After'] = RETRY_AFTER_SECONDS;
  const body = {
    code: error.code,
    message: error.message,
    outcome: error.outcome ?? null,
    retryable: error.retryable || (repeatable && again),
    leader: error.leader,
    bytes: error.bytes,
    bytesMax: error.bytesMax,
  };
  return json(status, body, headers);
}

/** A defect of the server, which must not stop it. Arguments are checked before they reach KeyValue. */
function answerOfStranger(error: unknown): Answer {
  const message = error instanceof Error ? error.message : String(error);
  return json(500, { code: 'ERAFT_FAILED', message, outcome: 'unknown', retryable: false });
}

export function json(status: number, body: unknown, headers: ResponseHeaders = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: `${JSON.stringify(body)}\n`,
  };
}

export function text(status: number, body: string, headers: ResponseHeaders = {}): Answer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body };
}
