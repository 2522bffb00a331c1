// Which faults may be placed where, so that the cluster can always recover: whatever it does not recover from is then a defect.
//
// A replica's disk is sound, or it is lost: for ever (emptied, exchanged), or until the others have given everything back (bit
// rot). What was acknowledged is on a majority of disks, so it survives as long as the lost ones are a minority. Anything else (crashes of all, broken networks, slow or failing disks)
// passes: processes are started again, and what their disks had confirmed is there.
import type { Replica } from './replica.js';

export class Atlas {
  readonly #replicas: readonly Replica[];
  readonly #lost = new Set<number>();

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
  }

  /** May this replica's disk be taken away? */
  mayLose(replica: Replica): boolean {
    if (this.#lost.has(replica.id) || this.#lost.size >= this.#lostMax) return false;
    // Before all are members, a replica may depend on the word of any other.
    return this.#replicas.every((other) => other.hasBeenMember);
  }

  lose(replica: Replica): void {
    this.#lost.add(replica.id);
  }

  /** It holds everything again that it had acknowledged. */
  regain(replica: Replica): void {
    this.#lost.delete(replica.id);
  }

  isLost(replica: Replica): boolean {
    return this.#lost.has(replica.id);
  }

  get sound(): Replica[] {
    return this.#replicas.filter((replica) => !this.isLost(replica));
  }

  /** A minority; and no more than the uids of replicas survive (ts/host/membership.ts): one, two when they are an odd number. */
  get #lostMax(): number {
    const n = this.#replicas.length;
    return Math.min(Math.ceil(n / 2) - 1, n % 2 === 1 ? 2 : 1);
  }
}
