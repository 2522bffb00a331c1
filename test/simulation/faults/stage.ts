import type { Atlas } from '../atlas.js';
import type { Chance } from '../chance.js';
import type { ClientNetwork } from '../client-network.js';
import type { Cluster } from '../cluster.js';
import type { Trouble } from '../excuses.js';
import type { RunOptions } from '../options.js';
import type { Replica } from '../replica.js';
import type { Weather } from '../weather.js';

/** What faults play on. */
export interface Stage {
  readonly options: RunOptions;
  readonly chance: Chance;
  readonly cluster: Cluster;
  readonly replicas: readonly Replica[];
  readonly weather: Weather;
  readonly clients: ClientNetwork;
  readonly clientIds: readonly number[];
  readonly atlas: Atlas;
  /** Virtual; ms. */
  now(): number;
  later(ms: number, run: () => void): void;
  /** Done before time goes on. */
  task(run: () => Promise<void>): void;
  /** Ends the process of this replica, as `how` says, and has it started again after `ms`. */
  fell(replica: Replica, how: 'power' | 'process', ms: number): void;
  /** From now on this replica may fail by itself, or fail to open: its disk was told to. */
  expectFailure(replica: Replica, trouble: Trouble): void;
}

/** Begins, and sees to its own end. Returns what it did; null: there was nothing to do it to. */
export type Fault = (stage: Stage) => string | null;

/** How long a fault lasts: often shorter than an election, at times much longer. */
export function span(stage: Stage): number {
  const { chance, options } = stage;
  return chance.exponential(options.electionTimeoutMs * chance.pick([0.3, 2, 6]));
}

export function pickRunning(stage: Stage): Replica | null {
  const running = stage.replicas.filter((replica) => replica.running && replica.storage !== null);
  return running.length === 0 ? null : stage.chance.pick(running);
}

/** The leader, more often than chance would have it. */
export function pickImportant(stage: Stage): Replica | null {
  const leader = stage.cluster.leader();
  if (leader !== 0 && stage.chance.chance(0.5)) return stage.cluster.process(leader);
  return pickRunning(stage);
}
