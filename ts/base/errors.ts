// Every error that a user of eraft can meet, in one table. docs/errors.md is checked against it.

/** May the write have happened? `varies`: the error carries it. `none`: not about a write. */
type OutcomeFact = 'not-applied' | 'unknown' | 'varies' | 'none';

interface ErrorFacts {
  /** On the wire; never reused. */
  readonly wire: number;
  /** Calling again is safe. Never true where the outcome of a write may be unknown. */
  readonly retryable: boolean;
  readonly outcome: OutcomeFact;
}

export const ERRORS = {
  // Asked in the wrong place, or at the wrong time.
  ERAFT_NOT_LEADER: { wire: 1, retryable: true, outcome: 'not-applied' },
  ERAFT_UNAVAILABLE: { wire: 2, retryable: true, outcome: 'not-applied' }, // no leader or no connection; nothing was sent
  ERAFT_OVERLOADED: { wire: 3, retryable: true, outcome: 'not-applied' }, // refused at the door
  ERAFT_DISK_FULL: { wire: 4, retryable: true, outcome: 'not-applied' },
  ERAFT_TIMEOUT: { wire: 5, retryable: false, outcome: 'unknown' }, // a write was sent and not answered in time
  ERAFT_READ_TIMEOUT: { wire: 6, retryable: true, outcome: 'none' },
  ERAFT_OUTCOME_UNKNOWN: { wire: 7, retryable: false, outcome: 'unknown' }, // a leader was lost with the write in its log
  ERAFT_SESSION_EXPIRED: { wire: 8, retryable: false, outcome: 'unknown' }, // read before you write again
  ERAFT_SEQUENCE_GAP: { wire: 9, retryable: true, outcome: 'not-applied' }, // an earlier batch of the session is missing
  ERAFT_SNAPSHOT_LOST: { wire: 10, retryable: true, outcome: 'none' }, // the pinned view of a scan is gone
  ERAFT_ABORTED: { wire: 11, retryable: false, outcome: 'varies' }, // the caller's signal
  ERAFT_CLOSED: { wire: 12, retryable: false, outcome: 'varies' },
  // The request itself.
  ERAFT_KEY_EMPTY: { wire: 20, retryable: false, outcome: 'not-applied' },
  ERAFT_KEY_TOO_LARGE: { wire: 21, retryable: false, outcome: 'not-applied' },
  ERAFT_VALUE_TOO_LARGE: { wire: 22, retryable: false, outcome: 'not-applied' },
  ERAFT_BATCH_TOO_LARGE: { wire: 23, retryable: false, outcome: 'not-applied' },
  ERAFT_FRAME_TOO_LARGE: { wire: 24, retryable: false, outcome: 'not-applied' },
  ERAFT_BAD_REQUEST: { wire: 25, retryable: false, outcome: 'not-applied' }, // malformed
  ERAFT_NOT_A_NUMBER: { wire: 26, retryable: false, outcome: 'not-applied' }, // increment of something else
  ERAFT_OUT_OF_RANGE: { wire: 27, retryable: false, outcome: 'not-applied' }, // a result would pass a limit
  ERAFT_VERSION: { wire: 28, retryable: false, outcome: 'not-applied' }, // no common protocol version or feature
  ERAFT_WRONG_CLUSTER: { wire: 29, retryable: false, outcome: 'not-applied' },
  // The replica and its environment.
  ERAFT_CONFIG: { wire: 40, retryable: false, outcome: 'none' },
  ERAFT_DATA_LOCKED: { wire: 41, retryable: false, outcome: 'none' },
  ERAFT_DATA_MISMATCH: { wire: 42, retryable: false, outcome: 'none' }, // the folder of another cluster or replica
  ERAFT_DATA_DAMAGED: { wire: 43, retryable: false, outcome: 'none' },
  ERAFT_DATA_VERSION: { wire: 44, retryable: false, outcome: 'none' }, // written by a newer eraft
  ERAFT_IO: { wire: 45, retryable: false, outcome: 'none' }, // permission, missing folder, device
  ERAFT_PORT_IN_USE: { wire: 46, retryable: false, outcome: 'none' },
  ERAFT_REPLICA_UNKNOWN: { wire: 47, retryable: false, outcome: 'none' }, // an emptied disk under a known id
  ERAFT_FAILED: { wire: 48, retryable: false, outcome: 'varies' }, // the replica has failed and answers nothing any more
} as const satisfies Record<string, ErrorFacts>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERRORS, text);
}

export type Outcome = 'not-applied' | 'unknown';

export interface ErrorDetails {
  readonly cause?: unknown;
  /** Only, and always, for codes whose outcome `varies`. */
  readonly outcome?: Outcome | undefined;
  /** The leader, when known. */
  readonly leader?: { readonly id: number; readonly address: string } | undefined;
  /** For sizes over a limit. */
  readonly bytes?: number | undefined;
  readonly bytesMax?: number | undefined;
}

const BRAND = Symbol.for('eraft.error');
const BY_WIRE = new Map<number, ErrorCode>(
  Object.entries(ERRORS).map(([code, facts]) => [facts.wire, code as ErrorCode]),
);

/** What every method of eraft rejects with, wrong argument types aside (`TypeError`, `RangeError`). */
export class EraftError extends Error {
  readonly code: ErrorCode;
  readonly leader: { readonly id: number; readonly address: string } | undefined;
  readonly bytes: number | undefined;
  readonly bytesMax: number | undefined;
  readonly #outcome: Outcome | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === 'ERAFT_ABORTED' ? 'AbortError' : 'EraftError';
    this.code = code;
    this.leader = details.leader;
    this.bytes = details.bytes;
    this.bytesMax = details.bytesMax;
    const fact = ERRORS[code].outcome;
    this.#outcome = fact === 'varies' ? details.outcome : fact === 'none' ? undefined : fact;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Calling again is safe: never true for a write that may have happened. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** For writes: `not-applied`, or `unknown` when it may have happened. `undefined` for everything else. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** True for an EraftError of any loaded copy of this package. */
  static is(error: unknown): error is EraftError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}

/** The code with this number on the wire; undefined for one that this version does not know. */
export function errorCodeOf(wire: number): ErrorCode | undefined {
  return BY_WIRE.get(wire);
}
