import { DEFAULT_GROUP } from '../../../ts/proto/frame.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * Two replicas that have applied as much have the same state: data, sessions, their results, revision. A restarted one has what
 * it had when it had applied as much.
 *
 * Source: Schneider 1990, state machine replication; openraft `state_machine_safety`, dragonboat's "SMs in sync".
 */
export class AppliedAlike implements Invariant {
  readonly #world: World;
  readonly #states = new Map<number, { readonly id: number; readonly digest: string }>(); // by applied index

  constructor(world: World) {
    this.#world = world;
  }

  looked({ id, storage, raft }: Replica): void {
    if (storage === null || raft?.installing) return; // part of a state is none
    const { applied, digest } = storage.digest(DEFAULT_GROUP);
    const known = this.#states.get(applied);
    if (known === undefined) this.#states.set(applied, { id, digest });
    else if (known.digest !== digest)
      this.#world.fail('AppliedAlike', `replicas ${known.id} and ${id} differ, with entries up to ${applied} applied`);
  }
}
