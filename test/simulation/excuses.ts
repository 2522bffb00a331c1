// Which failures of replicas were brought about, and are none of a defect: their disks were told to fail.
import { EraftError } from '../../ts/base/errors.js';
import type { DiskFault } from '../../ts/storage/index.js';
import type { Replica } from './replica.js';

/** `store`: its writes or flushes are refused; else an operation on the files of the log and of snapshots. */
export type Trouble = DiskFault | 'store';

/** What an opening may end with when the disk was told to fail. */
const PASSING: ReadonlySet<string> = new Set(['ERAFT_IO', 'ERAFT_FAILED', 'ERAFT_DISK_FULL']);
/** A replica says what could not be done; only this is of the store. */
const OF_STORE = /the store .*cannot be (written|flushed)/;
const OF_BOTH = /could not be installed/;

export class Excuses {
  readonly #troubles = new Map<Replica, Set<Trouble>>();

  add(replica: Replica, trouble: Trouble): void {
    const troubles = this.#troubles.get(replica) ?? new Set();
    this.#troubles.set(replica, troubles.add(trouble));
  }

  /** Nothing works any more until it has crashed. */
  needsCrash(replica: Replica): boolean {
    return this.#troubles.get(replica)?.has('power-loss') === true;
  }

  /** Its disk works again. */
  crashed(replica: Replica): void {
    this.#troubles.delete(replica);
  }

  /** What is wrong with it that a replica has failed as it did; '' when it had to. */
  judge(replica: Replica): string {
    const { failed } = replica;
    const troubles = this.#troubles.get(replica);
    if (failed === null) return '';
    if (troubles === undefined && !replica.limited) return failed.message;
    if (failed.code !== 'ERAFT_FAILED') return `${failed.code}: ${failed.message}`;
    const store = troubles?.has('store') === true;
    const files = replica.limited || (troubles?.size ?? 0) > Number(store);
    const excused = OF_STORE.test(failed.message) ? store : files || (store && OF_BOTH.test(failed.message));
    return excused ? '' : `${failed.message}, and its disk was told: ${[...(troubles ?? [])].join(', ')}`;
  }

  /** May an opening of this replica have ended so? */
  excuse(replica: Replica, error: unknown): boolean {
    if (!this.#troubles.has(replica) && !replica.limited) return false;
    return EraftError.is(error) && PASSING.has(error.code);
  }
}
