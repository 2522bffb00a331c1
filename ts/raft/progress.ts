import type { Inflights } from './inflights.js';
import { invariant } from './invariant.js';
import type { ReplicaId } from './messages.js';
import type { SnapshotPoint } from './ready.js';

/**
 * - probe: where the follower's log matches ours is a guess; one append is on its way at a time
 * - replicate: it matches up to `match`, and appends stream ahead of the acknowledgements
 * - snapshot: the log no longer holds what the follower needs next; it gets heartbeats, and a snapshot from the host
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** What `RaftNode.progress()` tells about one member, for status and metrics. */
export interface ProgressStatus {
  readonly id: ReplicaId;
  readonly state: ProgressState;
  /** Durable there, and equal to our log. */
  readonly match: number;
  /** The next entry to send. */
  readonly next: number;
  /** Has been heard of within the current or the last check-quorum window. */
  readonly active: boolean;
  /** Further behind than catchUpBytesMax, so that the log is no longer kept for it. */
  readonly outrun: boolean;
  /** The last index of the snapshot that its host holds; 0: none. */
  readonly offered: number;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
}

/**
 * A leader's view of one follower, for one term.
 *
 * Invariant: match < next. While replicating, the entries in (match, next) are on their way.
 */
export class Progress {
  readonly id: ReplicaId;
  /** Never given twice within a term, so that replies to an earlier relation are recognised. */
  readonly session: number;
  readonly inflights: Inflights;
  /** The newest read round that it has been told. */
  toldRound = 0;
  /** The newest read round that it has repeated to us. */
  ackedRound = 0;
  heartbeatDue = false;
  /** Log bytes sent to it that its pace has not yet forgotten. */
  pacedBytes = 0;
  #toldCommit = 0; // of what it holds, or will hold once all in flight arrives
  #state: ProgressState = 'probe';
  #match = 0;
  #next: number;
  #active = false; // heard of in this check-quorum window
  #absent = false; // not heard of in the whole of the last one
  #settled = false; // its position has been established in this term
  #probing = false; // probe: one is on its way. What it carried beyond next - 1:
  #probeLast = 0;
  #probeBytes = 0;
  #probesEmpty = false; // probe: the last guess was wrong or got lost, so the next one risks no bytes
  #checking = false; // a timed heartbeat is out, whose answer shows whether anything got lost. At the last such answer:
  #matchThen = 0;
  #sentThen = 0;
  #nudge = false; // replicate: what was on its way then has not arrived since; ask with an append, be it empty
  #need: 'none' | 'once-heard' | 'now' | 'told' = 'none'; // snapshot: what the host has to be told
  #offered: SnapshotPoint | null = null; // snapshot: its host holds this one
  #offerDue = false;

  constructor(id: ReplicaId, session: number, next: number, inflights: Inflights) {
    this.id = id;
    this.session = session;
    this.inflights = inflights;
    this.#next = next;
  }

  get state(): ProgressState {
    return this.#state;
  }

  get match(): number {
    return this.#match;
  }

  get next(): number {
    return this.#next;
  }

  get active(): boolean {
    return this.#active;
  }

  get absent(): boolean {
    return this.#absent;
  }

  /** Is `match` more than a lower bound? A healthy follower of a new leader is not yet settled, and far behind only in appearance. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Does the next append go out without entries? */
  get asksOnly(): boolean {
    return this.#state === 'probe' ? this.#probesEmpty : this.#nudge && this.inflights.full;
  }

  /** Has what is on its way not arrived for so long that it may be lost? The next append finds out. */
  get nudged(): boolean {
    return this.#nudge;
  }

  /** Should an append leave now, the log ending at `last`? */
  wants(last: number): boolean {
    switch (this.#state) {
      case 'probe':
        return !this.#probing;
      case 'replicate':
        return this.#nudge || (this.#next <= last && !this.inflights.full);
      case 'snapshot':
        return false;
    }
  }

  /** An append of the entries [next, last] has left; last = next - 1 when it carried none. */
  sent(last: number, bytes: number): void {
    this.#nudge = false;
    if (this.#state === 'probe') {
      this.#probing = true;
      this.#probeLast = last;
      this.#probeBytes = bytes;
    } else if (last >= this.#next) {
      this.inflights.add(last, bytes);
      this.#next = last + 1;
    }
  }

  /**
   * Is it worth a message of its own that the log is committed so far? Not while appends are on their way: the next one
   * carries it for nothing, and if there is none, the acknowledgement of the last one brings us here again.
   */
  missesCommit(commit: number): boolean {
    return (
      this.#state === 'replicate' && this.inflights.count === 0 && Math.min(commit, this.#match) > this.#toldCommit
    );
  }

  /** A message with this commit index has left; a follower commits no further than it matches. */
  toldCommit(commit: number): void {
    this.#toldCommit = Math.max(this.#toldCommit, Math.min(commit, this.#next - 1));
  }

  /** Any reply at all. */
  heard(): void {
    this.#active = true;
    this.#absent = false;
  }

  /** A check-quorum window ends. */
  endWindow(): void {
    this.#absent = !this.#active;
    this.#active = false;
  }

  /** Everything up to `index` is durable there and matches. True if that is news. */
  acknowledge(index: number): boolean {
    const advanced = index > this.#match;
    if (advanced) {
      this.#match = index;
      this.#next = Math.max(this.#next, index + 1);
    }
    if (this.#state === 'replicate') this.inflights.free(index);
    return advanced;
  }

  /** An append was granted, its `match` already taken in: if that was the probe's, its position is established. */
  appendGranted(): void {
    if (this.#state === 'probe' && this.#match >= this.#next - 1) this.#replicate();
  }

  /**
   * The follower does not hold our entry `rejected`; the best guess for where it matches is `guess`.
   *
   * False if the refusal is about something long settled: messages overtake each other.
   */
  refuse(rejected: number, guess: number): boolean {
    if (this.#state === 'snapshot' || rejected <= this.#match) return false;
    if (this.#state === 'probe' && rejected !== this.#next - 1) return false;
    this.probe();
    this.#next = Math.max(this.#match + 1, Math.min(guess + 1, rejected));
    this.#probesEmpty = this.#next - 1 > this.#match;
    return true;
  }

  /** A timed heartbeat has left. */
  heartbeatLeft(): void {
    this.heartbeatDue = false;
    this.#checking = true;
  }

  /** A heartbeat was answered, its `match` already taken in. Once per timed one: what has made no progress may be lost. */
  heartbeatAnswered(): void {
    if (!this.#checking) return;
    this.#checking = false;
    if (this.#state === 'probe') {
      if (this.#probing) this.#probesEmpty = true;
      this.#probing = false;
    } else if (this.#state === 'replicate') {
      this.#nudge = this.#match === this.#matchThen && this.#match < this.#sentThen;
    } else {
      if (this.#need === 'once-heard') this.#need = 'now';
      this.#offerDue = this.#offered !== null;
    }
    this.#matchThen = this.#match;
    this.#sentThen = this.#next - 1;
  }

  /** What was on its way is given up; start again after `match`. */
  probe(): void {
    this.#enter('probe');
    this.#next = this.#match + 1;
  }

  /** The log no longer reaches back to `next`. A follower that is silent gets its snapshot when it is heard of again. */
  lack(): void {
    this.#enter('snapshot');
    this.#settled = true;
    this.#need = this.#active ? 'now' : 'once-heard';
  }

  /** Is the host to be told, now, that a snapshot is needed? Once. */
  takeNeed(): boolean {
    if (this.#need !== 'now') return false;
    this.#need = 'told';
    return true;
  }

  get offered(): SnapshotPoint | null {
    return this.#offered;
  }

  /** Its host holds this snapshot. */
  offer(point: SnapshotPoint): void {
    this.#offered = point;
    this.#offerDue = true;
  }

  /** The snapshot of which the follower should hear now: when it is new, and again as long as nothing comes of it. */
  takeOffer(): SnapshotPoint | null {
    if (!this.#offerDue) return null;
    this.#offerDue = false;
    return this.#offered;
  }

  /** Nothing came of the snapshot. Another one may be asked for when the follower has been heard of again. */
  snapshotFailed(): void {
    this.#offered = null;
    this.#offerDue = false;
    this.#need = 'once-heard';
  }

  #replicate(): void {
    const last = this.#probeLast;
    const bytes = this.#probeBytes;
    this.#enter('replicate');
    this.#settled = true;
    if (last < this.#next) return;
    // The entries that travelled with the guess follow an entry that matched: no need to send them again.
    this.inflights.add(last, bytes);
    this.#next = last + 1;
  }

  #enter(state: ProgressState): void {
    this.#state = state;
    this.inflights.reset();
    this.#probing = false;
    this.#probeLast = 0;
    this.#probeBytes = 0;
    this.#probesEmpty = false;
    this.#nudge = false;
    this.#need = 'none';
    this.#offered = null;
    this.#offerDue = false;
    this.#toldCommit = Math.min(this.#toldCommit, this.#match);
    invariant(this.#match < this.#next, 'match < next', this.#match, this.#next);
  }
}
