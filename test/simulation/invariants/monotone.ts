import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

interface Marks {
  term: number;
  commit: number;
  applied: number;
  first: number;
}

/**
 * Term, commit index, applied index and the first index of the log never go back as long as a process lives.
 *
 * Source: reliability of Raft's figure 2; openraft `monotonic_*`; NATS#5975 for what goes wrong.
 */
export class Monotone implements Invariant {
  readonly #world: World;
  readonly #marks = new WeakMap<object, Marks>();

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft, host }: Replica): void {
    if (raft === null || host === null) return;
    const { term, commit, firstIndex } = raft;
    const { applied } = host.group.applier;
    const before = this.#marks.get(raft);
    if (before === undefined) {
      this.#marks.set(raft, { term, commit, applied, first: firstIndex });
      return;
    }
    if (term < before.term) this.#tell(id, 'term', before.term, term);
    if (commit < before.commit) this.#tell(id, 'commit index', before.commit, commit);
    if (applied < before.applied) this.#tell(id, 'applied index', before.applied, applied);
    if (firstIndex < before.first) this.#tell(id, 'first index', before.first, firstIndex);
    before.term = term;
    before.commit = commit;
    before.applied = applied;
    before.first = firstIndex;
  }

  #tell(id: number, what: string, before: number, now: number): void {
    this.#world.fail('Monotone', `the ${what} of ${id} goes back from ${before} to ${now}`);
  }
}
