// MIT 6.824, Speed3A and Speed3B: one client that waits for each answer is not made to wait for a tick.
import assert from 'node:assert/strict';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import { Clerk } from './clerk.js';
import { Lab } from './lab.js';

const APPENDS = 1_000;
/** Two ways over the simulated network, and its disks. */
const APPEND_MS_MAX = 5;

/** @returns whether the leader's log was cut meanwhile */
export async function appendOneByOne(seed: number, options: Partial<ReplicaOptions> = {}): Promise<{ cut: boolean }> {
  await using lab = await Lab.open({ seed, replicas: 3, options });
  const clerk = new Clerk(lab);
  clerk.call({ op: 'get', key: 'x' });
  const start = lab.now;
  let expected = '';
  for (let i = 0; i < APPENDS; i++) {
    clerk.call({ op: 'append', key: 'x', value: `x 0 ${i} y` });
    expected += `x 0 ${i} y`;
  }
  assert.ok(lab.now - start < APPENDS * APPEND_MS_MAX, `${lab.now - start} ms`);
  assert.equal(clerk.call({ op: 'get', key: 'x' }), expected);
  return { cut: lab.raft(lab.leader()).firstIndex > 1 };
}
