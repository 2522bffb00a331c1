import { DEFAULT_GROUP } from '../../../ts/proto/frame.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * Compacted <= applied <= committed <= last; and the log is never cut behind what the store has flushed.
 *
 * Source: openraft `state_ordering`; rule 5 of docs/design.md.
 */
export class OrderOfMarks implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft, host }: Replica): void {
    if (raft === null || host === null) return;
    const { firstIndex, commit, lastIndex } = raft;
    const { applied, target } = host.group.applier;
    if (firstIndex - 1 <= applied && applied <= commit && target <= commit && commit <= lastIndex) return;
    const marks = `compacted ${firstIndex - 1}, applied ${applied} (up to ${target}), commit ${commit}, last ${lastIndex}`;
    this.#world.fail('OrderOfMarks', `${id}: ${marks}`);
  }

  looked({ id, storage }: Replica): void {
    if (storage === null) return;
    const compacted = storage.log.compacted(DEFAULT_GROUP);
    const flushed = storage.machine.flushed(DEFAULT_GROUP);
    if (compacted > flushed)
      this.#world.fail('OrderOfMarks', `${id}: the log begins behind ${compacted}, the store has flushed ${flushed}`);
  }
}
