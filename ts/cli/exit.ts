// How a command ends: exit codes, and errors as text that says what, why, what to do and what was touched.
import { EraftError, type ErrorCode } from '../base/errors.js';
import { ADVICE } from './advice.js';

/** docs/errors.md explains each. */
export const EXIT = { ok: 0, failure: 1, usage: 2, environment: 3, notFound: 4, outcomeUnknown: 5 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Something wrong with the command line or the configuration; nothing was done. */
export class UsageError extends Error {
  readonly why: string;
  readonly advice: string;

  constructor(what: string, why: string, advice: string) {
    super(what);
    this.name = 'UsageError';
    this.why = why;
    this.advice = advice;
  }
}

/** The folder and the machine around the process, as opposed to what it was asked. */
const ENVIRONMENT: ReadonlySet<ErrorCode> = new Set([
  'ERAFT_DATA_LOCKED',
  'ERAFT_DATA_MISMATCH',
  'ERAFT_DATA_DAMAGED',
  'ERAFT_DATA_VERSION',
  'ERAFT_IO',
  'ERAFT_PORT_IN_USE',
  'ERAFT_REPLICA_UNKNOWN',
]);

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  if (!EraftError.is(error)) return EXIT.failure;
  if (error.outcome === 'unknown') return EXIT.outcomeUnknown;
  if (error.code === 'ERAFT_CONFIG') return EXIT.usage;
  return ENVIRONMENT.has(error.code) ? EXIT.environment : EXIT.failure;
}

/** The whole message for standard error, with a newline at the end. */
export function renderError(error: unknown): string {
  if (error instanceof UsageError) {
    return `eraft: ${error.message}\n  why:  ${error.why}\n  do:   ${error.advice}\n  code: exit ${EXIT.usage}; nothing was changed\n`;
  }
  if (!EraftError.is(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `eraft: unexpected error, a defect of eraft: ${stack}\n`;
  }
  // Some messages already say who speaks, why and what to do, better than the table of codes can.
  const lines = [error.message.startsWith('eraft: ') ? error.message : `eraft: ${error.message}`];
  if (!/^\s*why:/m.test(error.message)) {
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    if (cause !== undefined && !error.message.includes(cause)) lines.push(`  why:  ${cause}`);
  }
  if (!/^\s*do:/m.test(error.message)) lines.push(`  do:   ${ADVICE[error.code]}`);
  if (!/^\s*code:/m.test(error.message))
    lines.push(`  code: ${error.code} (exit ${exitCodeOf(error)})${touched(error)}`);
  return `${lines.join('\n')}\n`;
}

function touched(error: EraftError): string {
  if (error.outcome === 'unknown') return '; the write may have happened';
  if (error.outcome === 'not-applied' || ENVIRONMENT.has(error.code) || error.code === 'ERAFT_CONFIG') {
    return '; nothing was changed';
  }
  return '';
}
