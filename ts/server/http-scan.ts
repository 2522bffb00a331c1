// GET /v1/scan: a range as NDJSON, one entry a line, page after page at the speed of the reader.
import type { ScanOptions } from '../client/key-value.js';
import { type Exchange, timeoutOf } from './http-exchange.js';
import { type Answer, answerOf } from './http-problem.js';
import { Query } from './http-text.js';
import { jsonEntry } from './http-writes.js';

const PARAMETERS = [
  'prefix',
  'gte',
  'gt',
  'lt',
  'lte',
  'reverse',
  'limit',
  'keysOnly',
  'snapshot',
  'consistency',
  'minRevision',
  'timeout',
] as const;
/** Lines are sent in chunks of about this size. */
const CHUNK_CHARS = 64 * 1024;

/**
 * The head is sent with the first page, so an error before it is an ordinary error response. A later one becomes a last
 * line with `error`, and the connection is broken off: who has read to a proper end has everything.
 */
export async function scan({ request, response, served, signal }: Exchange): Promise<Answer | undefined> {
  const options = scanOptions(new Query(request.query, PARAMETERS));
  let started = false;
  try {
    for await (const page of served.kv.scan({ ...options, signal }).pages()) {
      if (!started) response.start(200, { 'Content-Type': 'application/x-ndjson' });
      started = true;
      let lines = '';
      for (const { key, value, revision } of page) {
        lines += `${JSON.stringify(jsonEntry({ key, value: options.keysOnly ? undefined : value, revision }))}\n`;
        if (lines.length < CHUNK_CHARS) continue;
        if (!response.write(lines)) await response.drained();
        lines = '';
      }
      if (lines !== '' && !response.write(lines)) await response.drained();
      if (response.aborted) return undefined;
    }
  } catch (error) {
    if (!started) throw error;
    const { body } = answerOf(error);
    response.write(`{"error":${String(body).trim()}}\n`);
    response.destroy();
    return undefined;
  }
  if (!started) return { status: 200, headers: { 'Content-Type': 'application/x-ndjson' }, body: '' };
  response.end();
  return undefined;
}

function scanOptions(query: Query): ScanOptions {
  const range: Record<string, Uint8Array> = {};
  for (const name of ['prefix', 'gte', 'gt', 'lt', 'lte'] as const) {
    const bytes = query.bytes(name);
    if (bytes !== undefined) range[name] = bytes;
  }
  const limit = query.integer('limit', 1, Number.MAX_SAFE_INTEGER);
  const minRevision = query.integer('minRevision', 0, Number.MAX_SAFE_INTEGER);
  return {
    ...range,
    ...(limit === undefined ? {} : { limit }),
    ...(minRevision === undefined ? {} : { minRevision }),
    reverse: query.flag('reverse'),
    keysOnly: query.flag('keysOnly'),
    snapshot: query.flag('snapshot'),
    consistency: query.consistency(),
    timeoutMs: timeoutOf(query),
  };
}
