import type { Submission } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * What is committed is never written over by something else, on any disk that held it.
 *
 * Source: Ongaro & Ousterhout 2014, §5.4; RaftOS#26, CCF#5674 for what goes wrong.
 */
export class NoTruncationOfCommitted implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  submitted({ id, image }: Replica, { heads }: Submission): void {
    const { committed } = this.#world;
    for (const { index, term } of heads) {
      const known = committed[index - 1];
      if (known === undefined) return;
      if (known.term !== term && image.holds(index, known.term))
        this.#world.fail('NoTruncationOfCommitted', `${id} writes ${term}/${index} over ${known.term}/${index}`);
    }
    const [first] = heads;
    const last = heads.at(-1);
    const held = image.durable.length;
    if (first === undefined || last === undefined || last.index >= held) return;
    const lost = committed[last.index];
    if (lost !== undefined && image.holds(last.index + 1, lost.term))
      this.#world.fail('NoTruncationOfCommitted', `${id} cuts off ${lost.term}/${last.index + 1}, which was committed`);
  }
}
