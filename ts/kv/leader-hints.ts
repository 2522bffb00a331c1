import { EraftError } from '../base/errors.js';
import { encodeLeader } from '../proto/control-frames.js';
import type { ReplicaId } from '../raft/messages.js';
import type { Requester } from './requester.js';

export interface LeaderHint {
  /** 0: none is known. */
  readonly id: ReplicaId;
  /** Where clients reach it; '' while that is not known. */
  readonly address: string;
}

/** Who leads, where clients find it, and who has been told. */
export class LeaderHints {
  readonly #replica: ReplicaId;
  readonly #group: number;
  readonly #listeners = new Set<(leader: LeaderHint) => void>();
  #told = new WeakSet<Requester>(); // of the leader of now
  #leader: LeaderHint = { id: 0, address: '' };

  constructor(replica: ReplicaId, group: number) {
    this.#replica = replica;
    this.#group = group;
  }

  get leader(): LeaderHint {
    return this.#leader;
  }

  listen(listener: (leader: LeaderHint) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns whether somebody else leads now. */
  set(id: ReplicaId, address: string): boolean {
    const { id: before, address: addressBefore } = this.#leader;
    if (id === before && address === addressBefore) return false;
    this.#leader = { id, address };
    this.#told = new WeakSet();
    for (const listener of this.#listeners) listener(this.#leader);
    return id !== before && id !== 0;
  }

  /** Tells a requester once where the leader is: a client goes there. */
  tell(from: Requester): void {
    if (this.#leader.address === '' || this.#told.has(from) || !from.alive) return;
    this.#told.add(from);
    from.reply(encodeLeader(this.#leader, this.#group));
  }

  /** Not applied, and where to go instead. */
  notLeader(): EraftError {
    const { id } = this.#leader;
    const message = id === 0 ? 'this replica does not lead, and knows no leader' : `replica ${id} is the leader`;
    const elsewhere = id !== 0 && id !== this.#replica;
    return new EraftError('ERAFT_NOT_LEADER', message, elsewhere ? { leader: this.#leader } : {});
  }
}
