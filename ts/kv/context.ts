import type { Clock } from '../base/clock.js';
import type { EraftError } from '../base/errors.js';
import type { Host } from '../host/host.js';
import type { ReplicaLimits } from '../host/options.js';
import type { LogStore, StateMachine } from '../storage/index.js';
import type { Network } from '../transport/network.js';
import type { Counters } from './metrics.js';
import type { Pending } from './pending.js';

/** What the parts of the service share. */
export interface KvContext {
  readonly group: number;
  readonly host: Host<Pending>;
  readonly log: LogStore;
  readonly machine: StateMachine;
  readonly network: Network;
  readonly clock: Clock;
  readonly limits: ReplicaLimits;
  readonly counters: Counters;
  /** Answers with an error, and counts it. */
  reject(pending: Pending, error: EraftError): void;
  /** Answers that this is the wrong place: not applied, and where the right one is. */
  notLeader(pending: Pending): void;
}
