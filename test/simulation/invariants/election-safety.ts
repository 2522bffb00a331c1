import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * At most one leader in a term.
 *
 * Source: Ongaro & Ousterhout 2014, figure 3 and §5.2.
 */
export class ElectionSafety implements Invariant {
  readonly #world: World;
  readonly #leaders = new Map<number, number>(); // term to id

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft }: Replica): void {
    if (raft?.role !== 'leader') return;
    const known = this.#leaders.get(raft.term);
    if (known === undefined) this.#leaders.set(raft.term, id);
    else if (known !== id) this.#world.fail('ElectionSafety', `${known} and ${id} lead term ${raft.term}`);
  }
}
