import { decodeConfState, encodeConfState, type Members } from '../proto/conf-state.js';
import type { PeerHello, Uid } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';

/** What a replica is to its cluster. */
export type Standing =
  | 'member' // votes and acknowledges
  | 'blank' // has never voted or acknowledged; asks before it does
  | 'stranger'; // the cluster knows another uid in its place

export interface MembershipStart {
  readonly id: ReplicaId;
  readonly uid: Uid;
  readonly blank: boolean;
  /** From the options; what the disk says beats it. */
  readonly voters: readonly ReplicaId[];
  /** As `encodeConfState` wrote it; undefined: nothing on disk yet. */
  readonly saved: Uint8Array | undefined;
}

// SAFETY: a disk that was emptied, under an id that has lived.
//
// Claim:   a replica that may have forgotten a vote or an acknowledgement neither votes nor acknowledges.
// Why:     A disk gets a random uid when it is formatted, and is marked as lived (setMemberKnown, durably) before its first
//          vote or acknowledgement; until then it is blank and takes no part at all: the host gives the core no messages
//          and carries none of its own. A blank replica becomes a member when `askedOf` = n - majority + 1 other replicas
//          have told it that they hold its uid, on their disks, for its place. Each replica holds one uid for a place: the
//          first that it met, or the one that a committed conf record names. Suppose that a replica with uid A has lived,
//          its disk is emptied, and it returns as B. A was held by n - majority + 1 = ceil(n / 2) others, B needs as
//          many of the n - 1 others, and 2 · ceil(n / 2) > n - 1: the two sets meet, and where they meet B is refused.
//          So B never becomes a member. The argument survives other emptied disks as long as the two sets meet in one that
//          was not: they meet in at least 2 · ceil(n / 2) - (n - 1), so it survives one more for odd n above 3.
// And:     conf records spread what is known to replicas that never met A. A leader names a uid in one only when its
//          replica says that it has lived (blank = false), hence has passed the question above; so a conf record never
//          names B. A conf record beats what a replica had noted of a place by itself, as that may be a replica that came
//          and went before it lived.
// And:     a snapshot carries what its maker held, met or committed; who installs it notes a uid from it only where it holds
//          none (`note`), as if it had met that replica then. Whoever holds A keeps it, so B gains nothing there; and of
//          A's holders none can have told B.
// Rests:   an answer leaves only when it is durable (`knownUid` comes from #durable); a uid that contradicts what is held is
//          refused at the handshake (transport/handshake.ts), so nothing of such a replica reaches the core.
// Not:     the other condition that one could accept, a leader that has committed in its term: such a leader has a majority
//          behind it, so n - majority + 1 others are up and can answer, and the rule above lacks only their connection. To
//          accept the leader's word alone would need its log to be held before the first vote, for nothing gained.
// Checked: test/host/membership.test.ts, test/kv/emptied-disk.test.ts.
export class Membership {
  readonly id: ReplicaId;
  readonly uid: Uid;
  readonly #members = new Map<ReplicaId, Uid | null>();
  readonly #durable: Map<ReplicaId, Uid | null>;
  readonly #lived = new Map<ReplicaId, Uid>(); // said so themselves, to this process
  readonly #confirmed = new Set<ReplicaId>(); // named with this uid by a conf record of this leadership
  readonly #answers = new Set<ReplicaId>();
  #standing: Standing;

  constructor(start: MembershipStart) {
    this.id = start.id;
    this.uid = start.uid;
    for (const id of start.voters) this.#members.set(id, null);
    if (start.saved !== undefined) {
      this.#members.clear();
      for (const [id, uid] of decodeConfState(start.saved)) this.#members.set(id, uid);
    }
    this.#durable = new Map(start.saved === undefined ? [] : this.#members);
    this.#standing = start.blank ? 'blank' : 'member';
    this.#judgeSelf();
  }

  get standing(): Standing {
    return this.#standing;
  }

  get voters(): readonly ReplicaId[] {
    return [...this.#members.keys()].sort((a, b) => a - b);
  }

  /** How many other replicas must have noted our uid before we take part. */
  get askedOf(): number {
    const n = this.#members.size;
    return n === 1 ? 0 : n - (Math.floor(n / 2) + 1) + 1;
  }

  get answers(): number {
    return this.#answers.size;
  }

  /** null: a member that nobody has met; undefined: no member. */
  uidOf(id: ReplicaId): Uid | null | undefined {
    return id === this.id && this.#members.has(id) ? this.uid : this.#members.get(id);
  }

  /** What our disk holds for the place of `id`: all that may be told to it. */
  knownUid(id: ReplicaId): Uid | null {
    return this.#durable.get(id) ?? null;
  }

  /** An admitted hello. Returns true when there is something new to save. */
  onHello(theirs: PeerHello): boolean {
    const { replica, uid } = theirs;
    if (!this.#members.has(replica)) return false;
    if (theirs.knownUid === this.uid) this.#answers.add(replica);
    if (!theirs.blank) this.#lived.set(replica, uid);
    if (this.#members.get(replica) !== null) return false;
    this.#members.set(replica, uid);
    return true;
  }

  /** May a blank replica go on as a member? The caller marks the disk first, then calls `admit`. */
  get mayBeAdmitted(): boolean {
    return this.#standing === 'blank' && this.#answers.size >= this.askedOf;
  }

  admit(): void {
    this.#standing = 'member';
  }

  /** Somebody who knows the cluster holds another uid in our place. */
  disown(): void {
    if (this.#standing === 'blank') this.#standing = 'stranger';
  }

  /** What to write; `saved` must be called with the same bytes once they are durable. */
  encode(): Uint8Array {
    return encodeConfState(this.#members);
  }

  /** These bytes are on disk. Returns true when there is something new to tell. */
  saved(bytes: Uint8Array): boolean {
    let changed = false;
    for (const [id, uid] of decodeConfState(bytes)) {
      if (this.#durable.get(id) !== uid) changed = true;
      this.#durable.set(id, uid);
    }
    return changed;
  }

  /** A new leadership: what earlier leaders spread may have missed somebody, so all is said once more. */
  newLeadership(): void {
    this.#confirmed.clear();
  }

  /** The conf record that a leader should propose now: every uid it can vouch for. null: it would say nothing new. */
  propose(): Members | null {
    const vouched = new Map<ReplicaId, Uid | null>();
    let news = false;
    for (const id of this.voters) {
      const uid = id === this.id ? this.uid : (this.#lived.get(id) ?? null);
      vouched.set(id, uid);
      if (uid !== null && !this.#confirmed.has(id)) news = true;
    }
    return news ? vouched : null;
  }

  /**
   * A conf record is committed: what it names holds from now on.
   *
   * @returns the replicas whose uid here was another one: connections with them are to be ended
   */
  adopt(conf: Members): ReplicaId[] {
    const corrected: ReplicaId[] = [];
    for (const [id, uid] of conf) {
      if (uid === null || !this.#members.has(id)) continue;
      const before = this.#members.get(id) ?? null;
      if (before !== null && before !== uid) corrected.push(id);
      this.#members.set(id, uid);
      this.#confirmed.add(id);
    }
    this.#judgeSelf();
    return corrected.filter((id) => id !== this.id);
  }

  /** What a snapshot says of members: noted where nothing is known. */
  note(conf: Members): void {
    for (const [id, uid] of conf) if (this.#members.get(id) === null) this.#members.set(id, uid);
    this.#judgeSelf();
  }

  /** What `encode` would give after `note`. */
  noting(conf: Members): Uint8Array {
    const noted = [...this.#members].map(([id, uid]) => [id, uid ?? conf.get(id) ?? null] as const);
    return encodeConfState(new Map(noted));
  }

  #judgeSelf(): void {
    const own = this.#members.get(this.id);
    if (own === undefined || (own !== null && own !== this.uid)) this.#standing = 'stranger';
  }
}
