import type { Message } from '../../../ts/raft/messages.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A replica whose disk was exchanged for an empty one takes no part any more: it has forgotten votes and acknowledgements.
 *
 * Source: ts/host/membership.ts; RethinkDB's Jepsen analysis of 2016 for what goes wrong.
 */
export class EmptiedStaysOut implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  sent(from: Replica, m: Message): void {
    if (from.disk === 0) return;
    this.#world.fail('EmptiedStaysOut', `${m.type} of ${from.id} to ${m.to}, whose disk was emptied`);
  }
}
