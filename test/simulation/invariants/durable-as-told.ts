import { DEFAULT_GROUP } from '../../../ts/proto/frame.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * What the engine calls durable is what completed syncs have saved: a crash now leaves it.
 *
 * Source: rule 3 of docs/design.md; etcd-io/raft 437bcb8, etcd#14370 for what goes wrong.
 */
export class DurableAsTold implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  looked({ id, storage, image }: Replica): void {
    if (storage === null) return;
    const { term, vote, last, lastTerm } = storage.durable(DEFAULT_GROUP);
    const wrong = image.differs(term, vote, last, lastTerm);
    if (wrong !== '') this.#world.fail('DurableAsTold', `the disk of ${id}, after a crash now: ${wrong}`);
  }
}
