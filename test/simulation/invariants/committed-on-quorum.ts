import type { Head } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * When a replica first holds an entry to be committed, the disks of a majority hold it; and it stays the entry of its index
 * for ever, whoever commits it.
 *
 * Source: Ongaro & Ousterhout 2014, §5.3 and §5.4; Ongaro 2014, §10.2.1 for the disks; openraft `committed_on_quorum`,
 * `committed_immutable`.
 */
export class CommittedOnQuorum implements Invariant {
  readonly #world: World;
  readonly #seen = new WeakMap<object, number>(); // by process: how far its commits were looked at

  constructor(world: World) {
    this.#world = world;
  }

  stepped(replica: Replica): void {
    const { raft } = replica;
    if (raft === null) return;
    let seen = this.#seen.get(raft) ?? 0;
    if (raft.commit <= seen) return;
    while (seen < raft.commit) {
      const entry = replica.image.log[seen];
      const term = raft.termAt(seen + 1); // 0: cut off in front, hence written
      if (entry === undefined || (term !== 0 && entry.term !== term)) break; // it will be handed to the disk in this turn
      this.#check(replica, entry);
      seen++;
    }
    this.#seen.set(raft, seen);
  }

  #check(replica: Replica, { index, term, crc }: Head): void {
    const { committed } = this.#world;
    const known = committed[index - 1];
    if (known === undefined) this.#checkNew(replica, index, term, crc);
    else if (known.term !== term || known.crc !== crc) {
      const told = `${replica.id} commits ${term}/${index}, where ${known.term}/${index} was committed`;
      this.#world.fail('CommittedImmutable', told);
    }
  }

  #checkNew(replica: Replica, index: number, term: number, crc: number): void {
    const { replicas, majority, committed } = this.#world;
    // A disk that is lost after it was counted counts: whoever is elected has the votes of a majority, and all of those are
    // sound, so that one of them holds the entry as long as a minority is lost.
    const holds = ({ image, lost }: Replica): boolean => image.holds(index, term) || lost?.holds(index, term) === true;
    const holders = replicas.filter(holds).map((r) => r.id);
    if (holders.length < majority) {
      const where = holders.length === 0 ? 'nobody' : holders.join(', ');
      this.#world.fail('CommittedOnQuorum', `${replica.id} commits ${term}/${index}, on the disks of ${where}`);
    }
    committed.push({ term, crc });
  }
}
