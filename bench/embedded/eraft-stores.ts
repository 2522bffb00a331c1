// eraft's Store in the process of the callers: alone, or leading two replicas in processes of their own.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { choosePorts } from '../../ts/cli/cluster/ports.js';
import { Store, type StoreOptions } from '../../ts/index.js';
import { BenchError } from '../lib/errors.js';
import { Child } from '../lib/processes.js';
import type { MeasuredStore } from './store.js';

const PEER = fileURLToPath(new URL('peer.js', import.meta.url));
export const PEER_OPEN = 'open';
const REPLICAS = 3;
const PATIENCE_MS = 30_000;
/**
 * Of the two others: so long that the replica of the callers is the one that stands first and leads. Matters in elections
 * alone.
 */
const PEER_ELECTION_TIMEOUT_MS = 6_000;

function measured(store: Store, pids: readonly number[], close: () => Promise<unknown>): MeasuredStore {
  return {
    put: (key, value) => store.put(key, value),
    get: (key) => store.get(key),
    close,
    pids,
  };
}

export async function openEraft(dir: string): Promise<MeasuredStore> {
  const store = await Store.open({ dir: join(dir, 'replica-1') });
  await store.ready({ timeoutMs: PATIENCE_MS });
  return measured(store, [], () => store.close());
}

export async function openEraftOfThree(dir: string): Promise<MeasuredStore> {
  const ports = await choosePorts(0, REPLICAS);
  const peers = Object.fromEntries(ports.map((port, i) => [i + 1, `127.0.0.1:${port}`]));
  const optionsOf = (id: number): StoreOptions => ({ dir: join(dir, `replica-${id}`), id, peers });
  mkdirSync(dir, { recursive: true });
  const children = [2, 3].map((id) => {
    const options: StoreOptions = { ...optionsOf(id), electionTimeoutMs: PEER_ELECTION_TIMEOUT_MS };
    return new Child(process.execPath, [PEER, JSON.stringify(options)]);
  });
  const endPeers = (): Promise<unknown> => Promise.all(children.map((child) => child.stop()));
  try {
    const [store] = await Promise.all([
      Store.open(optionsOf(1)),
      ...children.map((child) => child.ready(() => child.stdout.includes(PEER_OPEN))),
    ]);
    await untilLeading(store);
    const pids = children.map((child) => child.pid);
    return measured(store, pids, () => store.close().finally(endPeers));
  } catch (error) {
    await endPeers();
    throw error;
  }
}

async function untilLeading(store: Store): Promise<void> {
  await store.ready({ timeoutMs: PATIENCE_MS });
  const deadline = Date.now() + PATIENCE_MS;
  while (store.leader.id !== store.id) {
    if (Date.now() > deadline) throw new BenchError('the replica of the callers does not lead');
    await delay(20);
  }
}
