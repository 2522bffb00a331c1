// POST /v1/transact: several operations, atomically, under conditions.

import { LIMITS } from '../base/limits.js';
import type { Condition, Operation } from '../client/key-value.js';
import { type Exchange, timeoutOf, withBody, writerOf } from './http-exchange.js';
import { type Answer, json } from './http-problem.js';
import { badRequest, bytesOfJson, Query } from './http-text.js';
import { conditionFailed, type Write } from './http-writes.js';

export async function transact(exchange: Exchange): Promise<Answer> {
  const body = exchange.request.body(exchange.limits.httpBodyBytesMax);
  return withBody(body, async () => {
    const query = new Query(exchange.request.query, ['timeout']);
    const writer = writerOf(exchange);
    const write = parseTransaction(await body);
    const outcome = await writer(write, { timeoutMs: timeoutOf(query), signal: exchange.signal });
    if (!outcome.ok) throw conditionFailed(409, outcome.failed);
    return json(200, { ok: true, revision: outcome.revision });
  });
}

/** @throws ERAFT_BAD_REQUEST, naming the place */
export function parseTransaction(body: Uint8Array): Write {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw badRequest(`the body is not JSON: ${(error as Error).message}`);
  }
  const { ops, when = [] } = fields(value, 'the body', ['ops', 'when']);
  if (!Array.isArray(ops) || ops.length === 0) throw badRequest('ops must be a list with at least one operation');
  if (!Array.isArray(when)) throw badRequest('when must be a list of conditions');
  if (ops.length + when.length >= LIMITS.batchCommandsMax) throw badRequest('too many operations and conditions');
  return { operations: ops.map(parseOperation), when: when.map(parseCondition) };
}

function parseOperation(value: unknown, index: number): Operation {
  const at = `ops[${index}]`;
  const op = fields(value, at, ['put', 'append', 'delete', 'increment', 'value', 'by']);
  const kinds = ['put', 'append', 'delete', 'increment'].filter((kind) => kind in op);
  const kind = kinds[0];
  if (kind === undefined || kinds.length > 1) throw badRequest(`${at} must have one of put, append, delete, increment`);
  const key = bytesOfJson(op[kind], `${at}.${kind}`);
  const takes = kind === 'increment' ? 'by' : kind === 'delete' ? undefined : 'value';
  for (const other of ['value', 'by']) {
    if (other in op && other !== takes) throw badRequest(`${at}: ${kind} takes no ${other}`);
  }
  if (kind === 'delete') return { delete: key };
  if (kind === 'increment') return { increment: key, by: wholeNumber(op.by ?? 1, `${at}.by`) };
  const bytes = bytesOfJson(op.value, `${at}.value`);
  return kind === 'put' ? { put: key, value: bytes } : { append: key, value: bytes };
}

function parseCondition(value: unknown, index: number): Condition {
  const at = `when[${index}]`;
  const condition = fields(value, at, ['key', 'revision', 'value', 'exists']);
  const key = bytesOfJson(condition.key, `${at}.key`);
  if (Object.keys(condition).length !== 2) throw badRequest(`${at} must have key, and one of revision, value, exists`);
  if ('revision' in condition) return { key, revision: wholeNumber(condition.revision, `${at}.revision`) };
  if ('value' in condition) return { key, value: bytesOfJson(condition.value, `${at}.value`) };
  if (typeof condition.exists === 'boolean') return { key, exists: condition.exists };
  throw badRequest(`${at}.exists must be true or false`);
}

function wholeNumber(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw badRequest(`${what} must be a whole number below 2^53`);
}

/** The fields of a JSON object. @throws ERAFT_BAD_REQUEST when it is none, or has a field that is not `known` */
function fields(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest(`${what} must be an object`);
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw badRequest(`${what}: unknown field ${JSON.stringify(name)}; known: ${known.join(', ')}`);
  }
  return { ...value };
}
