import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A leader holds every entry that was committed in an earlier term.
 *
 * Source: Ongaro & Ousterhout 2014, figure 3 and §5.4.3.
 */
export class LeaderCompleteness implements Invariant {
  readonly #world: World;
  readonly #checked = new Set<number>(); // terms

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft, image }: Replica): void {
    if (raft?.role !== 'leader' || this.#checked.has(raft.term)) return;
    this.#checked.add(raft.term);
    for (const [i, { term }] of this.#world.committed.entries()) {
      const held = raft.termAt(i + 1) || image.log[i]?.term; // 0: cut off in front
      if (term >= raft.term || held === term) continue;
      const told = `${id} leads term ${raft.term} without ${term}/${i + 1}, which was committed`;
      this.#world.fail('LeaderCompleteness', told);
      return;
    }
  }
}
