import type { Logger } from '../base/logger.js';
import type { Storage } from '../storage/index.js';
import type { Group } from './group.js';
import type { HostTimes, ReplicaLimits } from './options.js';

const FLUSH_EVERY_MS = 1_000;

export interface DiskWatchOptions {
  readonly id: number;
  readonly storage: Storage;
  readonly logger: Logger;
  readonly times: HostTimes;
  readonly limits: ReplicaLimits;
}

/** Looks after what the disk does to a group, and the group to the disk. */
export class DiskWatch<W> {
  readonly #group: Group<W>;
  readonly #options: DiskWatchOptions;
  #stalled = false;
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

  /**
   * Cuts the log behind what every member holds and the own store has flushed (rule 5), and has the store flush when the
   * log has grown too long.
   */
  tidy(now: number, logBytes: number): void {
    const { storage, limits } = this.#options;
    const { group, node, applier } = this.#group;
    const flushed = storage.machine.flushed(group);
    const to = Math.min(node.truncatable, flushed);
    if (to >= node.firstIndex) storage.log.truncate(group, to);
    const compacted = Math.min(storage.log.compacted(group), applier.applied);
    if (compacted >= node.firstIndex) node.onCompacted(compacted);
    if (limits.maxLogBytes < 0 || logBytes <= limits.maxLogBytes) return;
    if (now - this.#flushAskedAt < FLUSH_EVERY_MS || flushed >= applier.applied) return;
    this.#flushAskedAt = now;
    storage.machine.flush();
  }
}
