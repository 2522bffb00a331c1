import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusTable } from '../../ts/cli/commands/status.js';
import type { ClusterStatus, PeerStatus } from '../../ts/proto/status.js';

function peer(id: number, more: Partial<PeerStatus> = {}): PeerStatus {
  return { id, address: `h${id}:1`, connected: true, uid: '0', ...more };
}

test('the table marks the leader and who cannot be reached, and says below what needs an operator', () => {
  const status: ClusterStatus = {
    clusterId: 'c',
    leader: 1,
    replicas: [
      {
        id: 1,
        address: 'h1:2',
        reachable: true,
        role: 'leader',
        term: 7,
        logBytes: 3 * 1024 ** 2,
        peers: [peer(2, { sending: 'snapshot', outrun: true }), peer(3, { sending: 'probe', outrun: true })],
      },
      { id: 2, address: 'h2:2', reachable: true, role: 'unknown', problem: 'its folder was emptied', diskFull: true },
      { id: 3, address: '', reachable: false, role: 'unreachable' },
    ],
  };
  assert.deepEqual(statusTable(status).split('\n'), [
    'cluster c, leader 1',
    'id   address  role         term  commit  applied  log      store',
    '1 *  h1:2     leader       7     -       -        3.0 MiB  -',
    '2    h2:2     unknown      -     -       -        -        -',
    '3    -        UNREACHABLE  -     -       -        -        -',
    'replica 2 needs a snapshot: the log that it lacks is gone',
    'replica 3 is so far behind that the log is no longer kept for it',
    'replica 2: its folder was emptied',
    'replica 2: the disk is full; writes are refused while it leads',
    '',
  ]);
});
