import type { PeerHello } from '../proto/peer-hello.js';
import type { Message, ReplicaId } from '../raft/messages.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { LogDamage } from '../storage/index.js';

/**
 * - whole: nothing is known to be lost
 * - asking: not even the term is known in which this replica may have promised something; it hears nobody
 * - filling: it follows, and acknowledges what it is given; it neither votes nor campaigns
 * - noting: it holds everything again, and writes down so
 */
export type RepairPhase = 'whole' | 'asking' | 'filling' | 'noting';

// SAFETY: a log that has lost entries, or a vote, that this replica had acknowledged.
//
// Claim:   it does what a replica with the same disk and no damage might do, or less.
// Why:     Let it have acknowledged something, an entry or a vote, in a term T at the latest.
//          Term: it hears the terms of askedOf = n - floor(n / 2) others first, and enters the highest. An acknowledgement in T
//          that anybody relies on is one of floor(n / 2) + 1, its own and floor(n / 2) others', who were in T then or later.
//          Among n - 1 others these and those that it asks meet, so it enters T or a later term: no leader of an older term
//          gets anything from it.
//          If it is not known what was lost, it hears all others: a vote may be in somebody's hands who has not won yet, and
//          counts later. Then it enters the term of that vote, or a later one.
//          Votes: it gives none until it is whole, and in the term of that moment none but to the leader, who has won.
//          Entries: it acknowledges what is on its disk now, which is true. What it had acknowledged to the leader of this
//          term is not counted any more, as that one begins its progress anew when it hears of the damage (Leadership.onForgot), before
//          it sends anything. So all that was ever committed with the help of what it had acknowledged lies at or below
//          the commit index that the leader tells from then on, once that is of an entry of the leader's own term (§5.4.2).
//          It is whole when it has all of that on its disk. The commit index on its own disk proves nothing: what it
//          acknowledged beyond may be committed, and gone.
// Rests:   hellos come after its opening, as connections do not outlive a process; a replica that is damaged itself is not
//          asked; the mark on the disk stays until (term, vote) of that moment are durable.
// Not:     a store alone, which nobody can give anything back; it is refused as before.
// Checked: test/host/repair.test.ts, test/raft/transcripts/follower-forgot.txt
export class Repair {
  readonly #damage: LogDamage | undefined;
  readonly #askedOf: number;
  readonly #terms = new Map<ReplicaId, number>();
  #phase: RepairPhase;
  #told = { term: 0, commit: 0 }; // by a leader, to this process

  /** @param askedOf - so many of the others are enough when it is known what was lost */
  constructor(damage: LogDamage | undefined, askedOf: number, others: number) {
    this.#damage = damage;
    this.#askedOf = damage?.known === false ? others : askedOf;
    this.#phase = damage === undefined ? 'whole' : 'asking';
  }

  get phase(): RepairPhase {
    return this.#phase;
  }

  get asks(): boolean {
    return this.#phase === 'asking';
  }

  /** For the operator; '' = nothing is wrong. */
  get problem(): string {
    if (this.#phase === 'whole') return '';
    const doing = this.asks
      ? `it asks ${this.#askedOf} other replicas, of which ${this.#terms.size} have answered`
      : 'it takes what it lacks from the leader';
    return `the log of this replica was damaged (${this.#damage?.description}): it does not vote; ${doing}`;
  }

  /** A peer that takes part says in which term it is. */
  onHello({ replica, term, damaged, blank }: PeerHello): void {
    if (this.asks && !damaged && !blank) this.#terms.set(replica, Math.max(term, this.#terms.get(replica) ?? 0));
  }

  /** A leader has told how far its commit index is. */
  onMessage(m: Message): void {
    if (m.type !== 'append' && m.type !== 'heartbeat' && m.type !== 'snapshot') return;
    const { term, commit } = m;
    if (this.#phase !== 'filling' || term < this.#told.term) return;
    this.#told = { term, commit: term > this.#told.term ? commit : Math.max(commit, this.#told.commit) };
  }

  /** Goes on if it can. True: what this replica may do has changed. `settled`: all that the core decided is on this disk. */
  advance(node: RaftNode, settled: boolean): boolean {
    switch (this.#phase) {
      case 'whole':
        return false;
      case 'asking':
        if (this.#terms.size < this.#askedOf) return false;
        node.mayCampaign(false, Math.max(this.#damage?.maybeTerm ?? 0, ...this.#terms.values()));
        this.#phase = 'filling';
        return true;
      case 'filling':
        if (!this.#holdsAll(node)) return false;
        node.mayCampaign(true);
        this.#phase = 'noting';
        return true;
      case 'noting':
        if (!settled) return false;
        this.#phase = 'whole';
        return true;
    }
  }

  #holdsAll(node: RaftNode): boolean {
    const { term, commit } = this.#told;
    if (node.leader === 0 || term !== node.term || Math.min(node.durableIndex, node.commit) < commit) return false;
    return node.termAt(commit) === term;
  }
}
