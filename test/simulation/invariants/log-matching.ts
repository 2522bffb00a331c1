import type { Submission } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

const INDEXES = 2 ** 30;

/**
 * An entry is known by its index and term: wherever it is written, it is the same bytes, behind an entry of the same term. And
 * terms never go back along a log.
 *
 * Source: Ongaro & Ousterhout 2014, figure 3 and §5.3.
 */
export class LogMatching implements Invariant {
  readonly #world: World;
  readonly #entries = new Map<number, { readonly before: number; readonly crc: number }>();

  constructor(world: World) {
    this.#world = world;
  }

  submitted({ id, image }: Replica, { heads }: Submission): void {
    for (const { index, term, crc } of heads) {
      const before = image.log[index - 2]?.term ?? 0; // the image has the submission already
      if (before > term) this.#world.fail('LogMatching', `${id} writes ${term}/${index} behind an entry of ${before}`);
      const known = this.#entries.get(term * INDEXES + index);
      if (known === undefined) this.#entries.set(term * INDEXES + index, { before, crc });
      else if (known.before !== before || known.crc !== crc)
        this.#world.fail('LogMatching', `${id} writes another entry ${term}/${index} than others did`);
    }
  }
}
