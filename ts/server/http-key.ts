// GET, PUT, DELETE and POST on one key: /v1/kv/{percent-encoded key}.
import type { Condition, Operation } from '../client/key-value.js';
import { type Exchange, timeoutOf, VALUE_BYTES_MAX, withBody, writerOf } from './http-exchange.js';
import { type Answer, HttpProblem, json } from './http-problem.js';
import { badRequest, integerIn, percentDecode, Query, revisionOfTag } from './http-text.js';
import { conditionFailed, type Write } from './http-writes.js';

export const KEY_PATH = '/v1/kv/';
const NUMBER_BYTES_MAX = 32;

export async function keyRequest(exchange: Exchange): Promise<Answer> {
  const key = percentDecode(exchange.request.path.slice(KEY_PATH.length), 'key');
  switch (exchange.request.method) {
    case 'GET':
      return get(exchange, key);
    case 'PUT':
      return put(exchange, key);
    case 'DELETE':
      return remove(exchange, key);
    default:
      return modify(exchange, key);
  }
}

async function get({ request, served, signal }: Exchange, key: Uint8Array): Promise<Answer> {
  const query = new Query(request.query, ['consistency', 'minRevision', 'timeout']);
  const minRevision = query.integer('minRevision', 0, Number.MAX_SAFE_INTEGER);
  const entry = await served.kv.getEntry(key, {
    consistency: query.consistency(),
    timeoutMs: timeoutOf(query),
    signal,
    ...(minRevision === undefined ? {} : { minRevision }),
  });
  if (entry === undefined) throw new HttpProblem(404, 'KEY_NOT_FOUND', null, 'there is no such key');
  const headers = { ETag: `"${entry.revision}"`, 'Content-Type': 'application/octet-stream' };
  const known = request.header('if-none-match');
  if (known.split(',').some((tag) => tag.trim() === headers.ETag)) return { status: 304, headers, body: '' };
  return { status: 200, headers, body: entry.value };
}

async function put(exchange: Exchange, key: Uint8Array): Promise<Answer> {
  const body = exchange.request.body(VALUE_BYTES_MAX);
  return withBody(body, async () => {
    const query = new Query(exchange.request.query, ['timeout']);
    const when = conditions(exchange, key);
    return write(exchange, query, { operations: [{ put: key, value: await body }], when });
  });
}

async function remove(exchange: Exchange, key: Uint8Array): Promise<Answer> {
  const query = new Query(exchange.request.query, ['timeout']);
  return write(exchange, query, { operations: [{ delete: key }], when: conditions(exchange, key) });
}

async function modify(exchange: Exchange, key: Uint8Array): Promise<Answer> {
  const body = exchange.request.body(VALUE_BYTES_MAX);
  return withBody(body, async () => {
    const query = new Query(exchange.request.query, ['op', 'timeout']);
    if (conditions(exchange, key).length > 0)
      throw badRequest('If-Match and If-None-Match belong to GET, PUT and DELETE');
    return write(exchange, query, { operations: [operation(query, key, await body)], when: [] });
  });
}

function operation(query: Query, key: Uint8Array, body: Uint8Array): Operation {
  const op = query.text('op');
  if (op === 'append') return { append: key, value: body };
  if (op !== 'increment') throw badRequest('parameter op must be append or increment');
  const digits = Buffer.from(body.subarray(0, NUMBER_BYTES_MAX)).toString('latin1').trim();
  const max = Number.MAX_SAFE_INTEGER;
  return { increment: key, by: digits === '' ? 1 : integerIn(digits, -max, max, 'the body of an increment') };
}

function conditions({ request }: Exchange, key: Uint8Array): Condition[] {
  const match = request.header('if-match');
  const none = request.header('if-none-match');
  const when: Condition[] = [];
  if (match === '*') when.push({ key, exists: true });
  else if (match !== '') when.push({ key, revision: revisionOfTag(match, 'If-Match') });
  if (none === '*') when.push({ key, exists: false });
  else if (none !== '' && request.method !== 'GET') throw badRequest('If-None-Match must be * when writing');
  return when;
}

async function write(exchange: Exchange, query: Query, request: Write): Promise<Answer> {
  const writer = writerOf(exchange);
  const outcome = await writer(request, { timeoutMs: timeoutOf(query), signal: exchange.signal });
  if (!outcome.ok) throw conditionFailed(412, outcome.failed);
  const { ok: _, ...done } = outcome;
  return json(200, done, { ETag: `"${done.revision}"` });
}
