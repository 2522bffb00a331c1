import { invariant } from './invariant.js';
import type { ReplicaId } from './messages.js';

export type Verdict = 'won' | 'lost' | 'pending';

/** More than half of a set of voters: any two such halves share a member, which is what all of Raft rests on. */
export class Majority {
  readonly voters: readonly ReplicaId[];
  readonly #ascending: Float64Array; // scratch of reached(); nothing is allocated per acknowledgement

  constructor(voters: readonly ReplicaId[]) {
    this.voters = [...voters].sort((a, b) => a - b);
    this.#ascending = new Float64Array(voters.length);
    invariant(this.voters.length > 0, 'an empty set has no majority');
  }

  /** The smallest number of voters that is a majority. */
  get size(): number {
    return (this.voters.length >>> 1) + 1;
  }

  includes(id: ReplicaId): boolean {
    return this.voters.includes(id);
  }

  /** The highest value that a majority has reached. O(n²) for n voters, of which there are few. */
  reached(reachedBy: (id: ReplicaId) => number): number {
    const sorted = this.#ascending;
    let count = 0;
    for (const id of this.voters) {
      const value = reachedBy(id);
      let slot = count;
      while (slot > 0 && (sorted[slot - 1] as number) > value) {
        sorted[slot] = sorted[slot - 1] as number;
        slot -= 1;
      }
      sorted[slot] = value;
      count += 1;
    }
    return sorted[count - this.size] as number;
  }

  /** undefined: has not answered. Lost as soon as too few are left to win. */
  verdict(voteOf: (id: ReplicaId) => boolean | undefined): Verdict {
    let granted = 0;
    let refused = 0;
    for (const id of this.voters) {
      const vote = voteOf(id);
      if (vote === true) granted += 1;
      else if (vote === false) refused += 1;
    }
    if (granted >= this.size) return 'won';
    return refused > this.voters.length - this.size ? 'lost' : 'pending';
  }
}
