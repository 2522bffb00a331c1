import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * A read sees everything that anybody held to be committed when it was asked.
 *
 * Listens at the core itself: no message and no disk tells which index it gave to a read.
 *
 * Source: Ongaro 2014, §6.4; etcd#741, etcd-io/raft#12680, etcd-io/raft#397 for what goes wrong.
 */
export class ReadsCurrent implements Invariant {
  readonly #world: World;
  readonly #heard = new WeakSet<object>();

  constructor(world: World) {
    this.#world = world;
  }

  stepped({ id, raft }: Replica): void {
    if (raft === null || this.#heard.has(raft)) return;
    this.#heard.add(raft);
    const asked = new Map<number, number>(); // by context: what was committed then
    const [ask, take] = [raft.readIndex.bind(raft), raft.ready.bind(raft)];
    raft.readIndex = (context) => {
      asked.set(context, this.#world.committed.length);
      return ask(context);
    };
    raft.ready = () => {
      const ready = take();
      for (const { context, index } of ready.reads) this.#check(id, index, asked.get(context) ?? 0);
      return ready;
    };
  }

  #check(id: number, index: number, committed: number): void {
    if (index >= committed) return;
    const told = `${id} answers a read from ${index}, and ${committed} was committed when it was asked`;
    this.#world.fail('ReadsCurrent', told);
  }
}
