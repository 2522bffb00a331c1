// The time of the first record that a leader makes, from what its log says when it is opened.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SILENT } from '../../ts/base/logger.js';
import { Group, type GroupOptions } from '../../ts/host/group.js';
import { Membership } from '../../ts/host/membership.js';
import { REPLICA_LIMITS } from '../../ts/host/options.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

const RECOVERY = {
  term: 3,
  vote: 0,
  commit: 20,
  compactedIndex: 20,
  compactedTerm: 3,
  lastIndex: 20,
  lastTime: 7_000,
  nextRevision: 41,
  appliedIndex: 20,
  termRuns: new Float64Array(0),
  sizes: new Float64Array(0),
};

/** The time of the record with which replica 1, alone, begins its leadership. */
function timeOfFirstRecord(recovery: object): number {
  const times: number[] = [];
  const log = {
    seal: (...args: number[]) => {
      times.push(args[7] as number);
      return args[2];
    },
    submit: () => 1,
  };
  const options = {
    group: 1,
    log,
    machine: { applied: () => 20 },
    recovery,
    membership: new Membership({ id: 1, uid: '0'.repeat(32), blank: false, voters: [1], saved: undefined }),
    outbox: { add: () => undefined },
    clock: new ProcessClock(new VirtualTime()),
    logger: SILENT,
    limits: REPLICA_LIMITS,
    tickMs: 50,
    electionTicks: 10,
    heartbeatTicks: 2,
    jitter: () => 0,
    wake: () => undefined,
  };
  const group = new Group(options as unknown as GroupOptions);
  for (let tick = 0; tick < 100 && times.length === 0; tick++) {
    group.node.tick();
    group.work();
    group.durable(1);
  }
  const [time] = times;
  assert.ok(time !== undefined, 'nobody became leader');
  return time;
}

test('a leader begins where its log ends', () => {
  assert.equal(timeOfFirstRecord(RECOVERY), 7_000);
});
