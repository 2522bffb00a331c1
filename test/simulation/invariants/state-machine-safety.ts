import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * What a replica applies is committed, and on its own disk: no other replica ever applies another entry at that index.
 *
 * Source: Ongaro & Ousterhout 2014, figure 3 and §5.4.3; rule 4 of docs/design.md.
 */
export class StateMachineSafety implements Invariant {
  readonly #world: World;
  readonly #seen = new WeakMap<object, number>();

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, host, image }: Replica): void {
    if (host === null) return;
    const { applier } = host.group;
    const from = this.#seen.get(applier) ?? 0;
    const to = Math.max(applier.target, applier.applied);
    if (to <= from) return;
    this.#seen.set(applier, to);
    for (let index = from + 1; index <= to; index++) {
      const known = this.#world.committed[index - 1];
      const entry = image.durable[index - 1];
      if (known === undefined) this.#world.fail('StateMachineSafety', `${id} applies ${index}, which is not committed`);
      else if (entry === undefined)
        this.#world.fail('StateMachineSafety', `${id} applies ${index}, which is not on its disk`);
      else if (entry.term !== known.term || entry.crc !== known.crc)
        this.#world.fail('StateMachineSafety', `${id} applies ${entry.term}/${index}, committed is ${known.term}`);
    }
  }
}
