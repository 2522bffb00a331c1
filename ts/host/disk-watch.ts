import type { Logger } from '../base/logger.js';
import type { Storage } from '../storage/index.js';
import type { Group } from './group.js';
import { cutTo, wantsFlush } from './log-keeping.js';
import type { HostTimes, ReplicaLimits } from './options.js';

const FLUSH_EVERY_MS = 1_000;

export interface DiskWatchOptions {
  readonly id: number;
  readonly storage: Storage;
  readonly logger: Logger;
  readonly times: HostTimes;
  readonly limits: ReplicaLimits;
  /** The log behind here is needed by followers that get a snapshot now. */
  readonly keepsLogFrom: () => number;
}

/** Looks after what the disk does to a group, and the group to the disk. */
export class DiskWatch<W> {
  readonly #group: Group<W>;
  readonly #options: DiskWatchOptions;
  #stalled = false;
  #requested = 0; // an applied index; 0: nobody asks
  #flushAskedAt = Number.NEGATIVE_INFINITY;

  constructor(group: Group<W>, options: DiskWatchOptions) {
    this.#group = group;
    this.#options = options;
  }

  /** A write that has been waiting longer than an election takes: whoever leads with such a disk holds everybody up. */
  judge(now: number): void {
    const { id, logger, times } = this.#options;
    const pendingMs = Math.round(this.#group.pendingMs(now));
    const stalled = pendingMs > times.electionTimeoutMs;
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    if (stalled)
      logger.warn('the disk has stalled: this replica neither leads nor stands for election', {
        replica: id,
        pendingMs,
      });
    else logger.info('the disk works again', { replica: id });
    this.#group.node.diskStalled(stalled);
  }

  /** Has the log cut, but for its newest part, as soon as the store has flushed what is applied now. */
  request(): void {
    this.#requested = this.#group.applier.applied;
  }

  /** Cuts the log where it is no longer needed (log-keeping.ts), and has the store flush when that stands in the way. */
  tidy(now: number, logBytes: number): void {
    const { storage, limits, keepsLogFrom } = this.#options;
    const { group, node, applier } = this.#group;
    if (node.installing) return;
    const flushed = storage.machine.flushed(group);
    const requested = this.#requested > 0;
    const to = cutTo({ node, limits, flushed, keepsLogFrom: keepsLogFrom(), requested });
    if (to >= node.firstIndex) storage.log.truncate(group, to);
    const compacted = Math.min(storage.log.compacted(group), applier.applied);
    if (compacted >= node.firstIndex) this.#compacted(compacted);
    if (flushed >= this.#requested) this.#requested = 0;
    const long = wantsFlush(Math.max(logBytes, node.logBytes), node.lastIndex - node.firstIndex + 1, limits);
    if (!long && !requested) return;
    if (now - this.#flushAskedAt < FLUSH_EVERY_MS || flushed >= applier.applied) return;
    this.#flushAskedAt = now;
    storage.machine.flush();
  }

  #compacted(index: number): void {
    const { node } = this.#group;
    node.onCompacted(index);
    this.#options.logger.debug('the log was cut', { replica: this.#options.id, firstIndex: index + 1 });
  }
}
