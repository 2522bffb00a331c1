import type { Recovered } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A replica finds after a crash what its disk had confirmed, or more of what was written behind it, and nothing else: its
 * vote and its entries are promises to others. Only a disk whose bits have changed may hold less, and must say so.
 *
 * Source: Ongaro & Ousterhout 2014, figure 2, "persistent state"; hashicorp/raft#661, etcd#6378 for what goes wrong.
 */
export class RecoveredAsWritten implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  started(replica: Replica, recovered: Recovered | null): void {
    const nothing = { term: 0, vote: 0, commit: 0, lastIndex: 0, compactedIndex: 0, compactedTerm: 0 };
    const wrong = replica.image.restart(recovered ?? { ...nothing, termRuns: new Float64Array(0) });
    if (wrong !== '') this.#world.fail('RecoveredAsWritten', `replica ${replica.id} was started again: ${wrong}`);
  }
}
