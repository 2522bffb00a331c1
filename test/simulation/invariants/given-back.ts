import type { Recovered } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A replica whose log was damaged counts as whole again only when its disk holds everything that it had acknowledged, as far
 * as that was committed when it came back.
 *
 * Source: ts/host/repair.ts, which has the argument; Alagappan et al. 2018, "Protocol-Aware Recovery", for what goes wrong.
 */
export class GivenBack implements Invariant {
  readonly #world: World;
  readonly #owed = new Map<Replica, number>(); // how much was committed when its damage was found

  constructor(world: World) {
    this.#world = world;
  }

  started(replica: Replica, _: Recovered | null): void {
    if (!replica.repairing) this.#owed.delete(replica);
    else if (!this.#owed.has(replica)) this.#owed.set(replica, this.#world.committed.length);
  }

  stepped(replica: Replica): void {
    const owed = this.#owed.get(replica);
    const { host, image, lost, id } = replica;
    if (owed === undefined || lost === null || host === null || host.logDamaged) return;
    this.#owed.delete(replica);
    for (let index = 1; index <= owed; index++) {
      const term = this.#world.committed[index - 1]?.term ?? 0;
      if (!lost.holds(index, term) || image.holds(index, term)) continue;
      this.#world.fail(
        'GivenBack',
        `the log of ${id} is whole again, without ${term}/${index}, which it had acknowledged`,
      );
      return;
    }
  }
}
