import type { Message } from '../../../ts/raft/messages.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * An acknowledgement leaves only when what it promises is on disk, and is what the leader of that term has.
 *
 * Source: Ongaro & Ousterhout 2014, figure 2; openraft `ee460f37`, etcd-io/raft async_storage_writes_append_aba_race; rule
 * 2 of docs/design.md.
 */
export class PromisesKept implements Invariant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  sent(from: Replica, m: Message): void {
    if (m.type !== 'heartbeatReply' && !(m.type === 'appendReply' && m.granted)) return;
    if (m.index === 0) return;
    const held = from.image.durable[m.index - 1];
    const told = `${m.type} of ${from.id} to ${m.to} in term ${m.term} promises ${m.index}`;
    if (held === undefined) {
      this.#world.fail('PromisesKept', `${told}, its disk ends at ${from.image.durable.length}`);
      return;
    }
    const leader = this.#world.replicas.find(({ id }) => id === m.to);
    if (leader?.raft?.role !== 'leader' || leader.raft.term !== m.term) return;
    const theirs = leader.raft.termAt(m.index) || leader.image.log[m.index - 1]?.term;
    if (theirs !== held.term)
      this.#world.fail('PromisesKept', `${told}, of term ${held.term}; the leader has term ${theirs ?? 'none'}`);
  }
}
