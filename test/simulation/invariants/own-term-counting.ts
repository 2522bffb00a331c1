import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A leader moves the commit index to an entry of its own term only: entries of earlier terms are committed by those behind.
 *
 * Source: Ongaro & Ousterhout 2014, §5.4.2 and figure 8; LogCabin#44.
 */
export class OwnTermCounting implements Invariant {
  readonly #world: World;
  readonly #commits = new WeakMap<object, { term: number; commit: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft }: Replica): void {
    if (raft === null) return;
    const before = this.#commits.get(raft);
    const { role, term, commit } = raft;
    if (before === undefined) {
      this.#commits.set(raft, { term: role === 'leader' ? term : 0, commit });
      return;
    }
    // What it knew when it was elected came from an earlier leader.
    if (role === 'leader' && before.term === term && commit > before.commit && raft.termAt(commit) !== term)
      this.#world.fail('OwnTermCounting', `${id} leads term ${term} and commits ${commit} of an earlier one`);
    before.commit = commit;
    before.term = role === 'leader' ? term : 0;
  }
}
