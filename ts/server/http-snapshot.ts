// /v1/snapshot: POST has this replica make one; GET streams one of now, the bytes of a backup (docs/snapshot-format.md).
import { EraftError } from '../base/errors.js';
import type { Exchange } from './http-exchange.js';
import { timeoutOf } from './http-exchange.js';
import { type Answer, json } from './http-problem.js';
import { Query } from './http-text.js';
import type { ServedService, ServedSnapshot } from './served.js';

/** What `POST /v1/snapshot` answers. */
export interface SnapshotFacts {
  readonly id: string;
  readonly index: number;
  readonly term: number;
  readonly bytes: number;
}

/** Any key: what counts is that a majority confirms who leads, and that all it has committed is applied here. */
const NO_KEY = new Uint8Array(1);

export async function makeSnapshot({ request, served }: Exchange): Promise<Answer> {
  new Query(request.query, []);
  const { id, index, term, bytes } = await served.service.snapshots.compact();
  const facts: SnapshotFacts = { id, index, term, bytes };
  return json(200, facts);
}

/**
 * The snapshot of a leader whom a majority has just confirmed holds every write that was answered before it was asked for.
 * After the head has gone, whatever fails breaks the connection off: who has read to a proper end has the whole file.
 */
export async function streamSnapshot(exchange: Exchange): Promise<Answer | undefined> {
  const { request, response, served, signal } = exchange;
  const timeoutMs = timeoutOf(new Query(request.query, ['timeout']));
  const { service } = served;
  demandLeader(service);
  await served.kv.get(NO_KEY, { timeoutMs, signal });
  demandLeader(service);
  const snapshot = await service.snapshots.make();
  const hold = service.snapshots.hold(snapshot);
  try {
    await send(exchange, snapshot);
  } catch (error) {
    if (!response.aborted) response.destroy();
    throw error;
  } finally {
    hold.release();
  }
  return undefined;
}

async function send({ response, served }: Exchange, snapshot: ServedSnapshot): Promise<void> {
  for (let chunk = 0; chunk < snapshot.chunks; chunk++) {
    const bytes = await served.service.snapshots.read(snapshot, chunk);
    if (chunk === 0) response.start(200, { 'Content-Type': 'application/octet-stream', ETag: `"${snapshot.id}"` });
    if (!response.write(bytes)) await response.drained();
    if (response.aborted) return;
  }
  response.end();
}

function demandLeader({ leader, replica }: ServedService): void {
  if (leader.id === replica) return;
  const where = leader.id === 0 ? 'none is known' : `replica ${leader.id} at ${leader.address}`;
  throw new EraftError('ERAFT_NOT_LEADER', `a backup is made by the leader: ${where}`);
}
