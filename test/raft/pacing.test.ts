import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cluster, type ClusterOptions, ENTRY_BYTES } from './harness.js';

const PER_TICK = 5 * ENTRY_BYTES;
const KEEPS_UP = 4 * ENTRY_BYTES;

/** Replica 1 leads; replica 3 has missed `count` entries and has just been found again, with nothing of them on its way. */
function withLaggard(count: number, options: Partial<ClusterOptions> = {}): Cluster {
  const cluster = new Cluster({
    voters: [1, 2, 3],
    electionTicks: 1_000,
    appendBytesMax: ENTRY_BYTES,
    catchUpBytesPerTick: PER_TICK,
    ...options,
  });
  cluster.elect(1);
  cluster.settle();
  cluster.isolate(3);
  for (let i = 0; i < count; i++) {
    cluster.member(1).propose(`${i}`);
    cluster.tick(1);
    cluster.settle();
  }
  cluster.heal();
  cluster.node(1).onUnreachable(3);
  return cluster;
}

describe('a follower far behind', () => {
  test('gets so many bytes a tick, and the rest at once when it is nearly there', () => {
    const cluster = withLaggard(100);
    const lags: number[] = [];
    for (let ticks = 0; ticks < 40; ticks++) {
      cluster.tick(1);
      cluster.settle();
      lags.push((cluster.node(1).lastIndex - cluster.node(3).lastIndex) * ENTRY_BYTES);
    }
    const steps = lags.slice(1).map((bytes, i) => (lags[i] as number) - bytes);
    const far = steps.filter((_, i) => (lags[i + 1] as number) > KEEPS_UP);
    assert.ok(far.length >= 10, `${lags}`);
    for (const gained of far) assert.ok(gained > 0 && gained <= PER_TICK + ENTRY_BYTES, `${lags}`);
    assert.equal(lags.at(-1), 0);
  });

  test('gains on a log that grows faster than that', () => {
    const cluster = withLaggard(100);
    for (let ticks = 0; ticks < 60; ticks++) {
      cluster.tick(1);
      for (let i = 0; i < 8; i++) {
        cluster.member(1).propose('more');
        cluster.settle();
      }
    }
    assert.ok((cluster.node(1).lastIndex - cluster.node(3).lastIndex) * ENTRY_BYTES <= KEEPS_UP);
  });

  test('is not held back when a majority needs it', () => {
    const cluster = withLaggard(100, { electionTicks: 4 });
    cluster.isolate(2);
    for (let ticks = 0; ticks < 12; ticks++) {
      cluster.tick(1);
      cluster.settle();
    }
    cluster.member(1).propose('needs replica 3');
    cluster.settle();
    assert.equal(cluster.node(3).lastIndex, cluster.node(1).lastIndex);
    assert.equal(cluster.node(1).commit, cluster.node(1).lastIndex);
  });
});
