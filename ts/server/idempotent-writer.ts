// Exactly-once for HTTP: the client names the place of its write in a replicated session.
//
// SAFETY: a request with the same Idempotency-Key is executed at most once, whichever replica gets each copy.
// Claim:   of all requests with the key `s-n`, at most one changes data, over restarts, crashes and changes of leader.
// Why:     the key is a place in the session table, which is replicated state: batch n of session s applies only if it is
//          one more than the session's last, and a known one is answered from the table. Nothing is remembered here.
// Rests:   session ids are revisions, so one that is unknown has expired and is never new; sequences have no gaps.
// Checked: test/server/idempotency.test.ts (copies at once, after a restart, at another replica).
import { EraftError } from '../base/errors.js';
import { KiB } from '../base/limits.js';
import type { Condition, Operation } from '../client/key-value.js';
import type { Requester } from '../kv/requester.js';
import {
  COMMAND,
  CommandScratch,
  emptyWriteFrame,
  registerFrame,
  stampRequest,
  stampSession,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../proto/command-batch.js';
import { decodeError } from '../proto/control-frames.js';
import { FRAME, frameBody, readFrameHeader } from '../proto/frame.js';
import { BATCH_STATUS, COMMAND_STATUS, ResultReader } from '../proto/result-batch.js';
import { HttpProblem } from './http-problem.js';
import { badRequest } from './http-text.js';
import type { FailedCondition, Outcome, Write } from './http-writes.js';
import type { ServedService } from './served.js';

/** A session remembers the results of so many of its last keys. */
export const KEYS_REMEMBERED = 16;
const NOTHING = new Uint8Array(0);
const KEY_BYTES_MAX = 1 * KiB;

export interface IdempotencyKey {
  readonly session: number;
  readonly sequence: number;
}

/** @returns undefined when the header is absent. @throws ERAFT_BAD_REQUEST for a key that this server did not give out */
export function parseIdempotencyKey(header: string): IdempotencyKey | undefined {
  if (header === '') return undefined;
  const match = header.length <= KEY_BYTES_MAX ? /^"?(\d{1,16})-(\d{1,16})"?$/.exec(header.trim()) : null;
  const session = Number(match?.[1] ?? Number.NaN);
  const sequence = Number(match?.[2] ?? Number.NaN);
  if (Number.isSafeInteger(session) && Number.isSafeInteger(sequence) && session > 0 && sequence > 0) {
    return { session, sequence };
  }
  throw badRequest(
    'Idempotency-Key must be <session>-<number>, from POST /v1/sessions: number 1 for the first write of a session, ' +
      'then 2, 3 and so on. A key made up by the client could not be told from a new one after a failover',
  );
}

interface Waiting {
  resolve(result: ResultReader): void;
  reject(error: EraftError): void;
}

export class IdempotentWriter implements Requester {
  readonly alive = true;
  readonly #service: ServedService;
  readonly #waiting = new Map<number, Waiting>();
  #lastRequest = 0;

  constructor(service: ServedService) {
    this.#service = service;
  }

  /** @returns a new session, whose first key is `<session>-1` */
  async register(timeoutMs: number): Promise<number> {
    return (await this.#send(registerFrame(), timeoutMs)).firstRevision;
  }

  /**
   * Executes the write as number `key.sequence` of its session, or returns what it did the first time.
   *
   * @throws EraftError ERAFT_SESSION_EXPIRED, ERAFT_SEQUENCE_GAP and those of any write
   * @throws HttpProblem RESULT_FORGOTTEN: executed long ago
   */
  async write(key: IdempotencyKey, write: Write, timeoutMs: number): Promise<Outcome> {
    const frame = frameOfWrite(write);
    stampSession(frame, key.session, key.sequence, Math.max(0, key.sequence - KEYS_REMEMBERED));
    return outcomeOf(await this.#send(frame, timeoutMs), write);
  }

  reply(frame: Uint8Array): void {
    const { kind, request } = readFrameHeader(frame);
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    this.#waiting.delete(request);
    try {
      if (kind === FRAME.written) waiting.resolve(new ResultReader(frameBody(frame.slice())));
      else if (kind === FRAME.error) waiting.reject(decodeError(frameBody(frame)));
      else waiting.reject(new EraftError('ERAFT_OUTCOME_UNKNOWN', `a write was answered by a frame of kind ${kind}`));
    } catch (error) {
      waiting.reject(new EraftError('ERAFT_OUTCOME_UNKNOWN', 'the answer to a write is malformed', { cause: error }));
    }
  }

  #send(frame: Buffer, timeoutMs: number): Promise<ResultReader> {
    return new Promise((resolve, reject) => {
      do this.#lastRequest = (this.#lastRequest % 0xffff_ffff) + 1;
      while (this.#waiting.has(this.#lastRequest));
      this.#waiting.set(this.#lastRequest, { resolve, reject });
      stampRequest(frame, FRAME.write, this.#lastRequest, timeoutMs);
      this.#service.handle(frame, this);
    });
  }
}

/** The same write always gives the same bytes. */
function frameOfWrite({ operations, when }: Write): Buffer {
  const scratch = new CommandScratch();
  const parts = operations.length + when.length;
  if (parts > 1) scratch.add(COMMAND.transact, 0, parts, NOTHING);
  for (const condition of when) addCondition(scratch, condition);
  for (const operation of operations) addOperation(scratch, operation);
  const headers = scratch.headers;
  const frame = emptyWriteFrame(headers, scratch.dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, headers);
  scratch.copyData(frame, writeFrameDataAt(headers), 0, scratch.dataBytes);
  return frame;
}

function addCondition(scratch: CommandScratch, condition: Condition): void {
  const { key } = condition;
  if ('revision' in condition) scratch.add(COMMAND.revisionIs, 0, 0, key, NOTHING, condition.revision);
  else if ('value' in condition) scratch.add(COMMAND.valueIs, 0, 0, key, condition.value);
  else scratch.add(condition.exists ? COMMAND.exists : COMMAND.absent, 0, 0, key);
}

function addOperation(scratch: CommandScratch, operation: Operation): void {
  if ('put' in operation) scratch.add(COMMAND.put, 0, 0, operation.put, operation.value);
  else if ('append' in operation) scratch.add(COMMAND.append, 0, 0, operation.append, operation.value);
  else if ('delete' in operation) scratch.add(COMMAND.delete, 0, 0, operation.delete);
  else scratch.add(COMMAND.increment, 0, 0, operation.increment, NOTHING, operation.by);
}

function outcomeOf(result: ResultReader, write: Write): Outcome {
  if (result.status === BATCH_STATUS.sessionUnknown) {
    const text =
      'the session of this Idempotency-Key has expired: whether the write was executed can no longer be told';
    throw new EraftError('ERAFT_SESSION_EXPIRED', text);
  }
  if (result.status === BATCH_STATUS.gap) {
    const text = `an earlier key of this session was never used; the next one ends in ${result.lastSequence + 1}`;
    throw new EraftError('ERAFT_SEQUENCE_GAP', text);
  }
  if (result.status === BATCH_STATUS.forgotten) {
    const text = `executed, once; its result is no longer kept, since it is large or ${KEYS_REMEMBERED} later keys were used`;
    throw new HttpProblem(409, 'RESULT_FORGOTTEN', 'unknown', text);
  }
  if (!result.next()) return { ok: true, revision: result.firstRevision };
  const only = write.operations.length === 1 && write.when.length === 0 ? write.operations[0] : undefined;
  switch (result.commandStatus) {
    case COMMAND_STATUS.conditionFailed:
      return { ok: false, failed: failedConditions(result, write.when) };
    case COMMAND_STATUS.notANumber:
      throw new EraftError(
        'ERAFT_NOT_A_NUMBER',
        'the value is not a whole number in decimal digits: nothing was written',
      );
    case COMMAND_STATUS.overLimit:
      throw new EraftError('ERAFT_OUT_OF_RANGE', 'the result would be over a limit: nothing was written');
    default:
  }
  const done = { ok: true as const, revision: result.firstRevision };
  if (only !== undefined && 'append' in only) return { ...done, length: result.number };
  if (only !== undefined && 'increment' in only) return { ...done, value: result.number };
  return done;
}

function failedConditions(result: ResultReader, when: readonly Condition[]): FailedCondition[] {
  const failed: FailedCondition[] = [];
  while (result.next()) {
    const index = result.conditionCount;
    const key = when[index]?.key ?? NOTHING;
    const bytes = typeof key === 'string' ? Buffer.from(key) : key;
    const current = result.present ? currentEntry(bytes, result) : undefined;
    failed.push({ index, current });
  }
  return failed;
}

function currentEntry(key: Uint8Array, result: ResultReader): FailedCondition['current'] {
  return { key, value: result.leftOut ? undefined : result.copyValue(), revision: result.revision };
}
