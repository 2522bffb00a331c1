import type { RaftConfig } from './config.js';
import { Inflights } from './inflights.js';
import { invariant } from './invariant.js';
import type {
  Append,
  AppendReply,
  Heartbeat,
  HeartbeatReply,
  Message,
  ReplicaId,
  SnapshotMessage,
} from './messages.js';
import { Pace } from './pacing.js';
import { Progress, type ProgressStatus } from './progress.js';
import type { Majority } from './quorum.js';
import type { RaftLog } from './raft-log.js';
import type { ReadOnly } from './read-only.js';
import type { Proposed, SnapshotPoint } from './ready.js';

export const NOBODY: readonly ReplicaId[] = Object.freeze([]);

/**
 * A replica's leadership of one term: what each follower has, what it should be told next, what is committed.
 *
 * Nothing is sent while an input is handled. Inputs change what followers lack; `tell`, called once when a Ready is made,
 * sends each of them what it lacks then. So all proposals of a turn share an append, and every message carries the newest
 * commit index and read round.
 */
export class Leadership {
  readonly term: number;
  readonly #config: RaftConfig;
  readonly #majority: Majority;
  readonly #log: RaftLog;
  readonly #reads: ReadOnly;
  readonly #pace: Pace;
  readonly #followers = new Map<ReplicaId, Progress>();
  #truncatable: number;
  #sessions = 0;
  #lacking: ReplicaId[] = []; // followers that newly need a snapshot
  #news = true; // may somebody lack something?
  #heartbeatElapsed = 0;
  #windowElapsed = 0; // of check-quorum

  /** The log must not yet hold an entry of `term`. */
  constructor(
    config: RaftConfig,
    majority: Majority,
    log: RaftLog,
    reads: ReadOnly,
    term: number,
    truncatable: number,
  ) {
    invariant(log.lastTerm < term, 'a leader starts without entries of its term', log.lastTerm, term);
    this.term = term;
    this.#config = config;
    this.#majority = majority;
    this.#log = log;
    this.#reads = reads;
    this.#truncatable = truncatable;
    this.#pace = new Pace(config.catchUpBytesPerTick, config.appendBytesMax);
    for (const id of majority.voters) if (id !== config.id) this.#followers.set(id, this.#stranger(id));
  }

  /** Might `tell` have something to say? */
  get news(): boolean {
    return this.#news;
  }

  /** Up to here, no member that the log is kept for needs it from anybody else. Never goes back. */
  get truncatable(): number {
    return this.#truncatable;
  }

  /** Up to here, no member that the log is kept for needs it from us. May go back: a member that had none may need it now. */
  get compactable(): number {
    return Math.min(this.#truncatable, this.#leastMatch());
  }

  /** Is an entry of this term committed, so that the commit index is known to cover all that earlier leaders committed? */
  get commitIsCurrent(): boolean {
    return this.#log.termAt(this.#log.commit) === this.term;
  }

  propose(bytes: number): Proposed {
    const uncommitted = this.#log.uncommittedBytes;
    if (uncommitted > 0 && uncommitted + bytes > this.#config.uncommittedBytesMax)
      return { refused: 'uncommitted-limit' };
    const index = this.#log.append(this.term, bytes);
    this.#pace.grew(bytes);
    this.logChanged();
    return { index };
  }

  /** The log grew, here or on our disk, or was compacted. */
  logChanged(): void {
    this.#news = true;
    this.#advance();
  }

  /** A read waits for a round. */
  readAsked(): void {
    this.#news = true;
  }

  onReply(m: AppendReply | HeartbeatReply): void {
    const follower = this.#followers.get(m.from);
    if (follower === undefined || follower.session !== m.session) return; // a stranger, or an earlier relation
    this.#news = true;
    follower.heard();
    if (m.round > follower.ackedRound) {
      follower.ackedRound = m.round;
      this.#confirmReads();
    }
    if (m.type === 'heartbeatReply') {
      this.#acknowledged(follower, m.index);
      follower.heartbeatAnswered();
    } else if (m.granted) {
      this.#acknowledged(follower, m.index);
      follower.appendGranted();
    } else {
      follower.refuse(m.index, this.#log.lastAtMost(m.hintIndex, m.hintTerm));
    }
  }

  /** Has this follower acknowledged everything up to `index`? */
  isHeldBy(id: ReplicaId, index: number): boolean {
    return (this.#followers.get(id)?.match ?? 0) >= index;
  }

  /** Does the log no longer help this follower? */
  wantsSnapshot(id: ReplicaId): boolean {
    return this.#followers.get(id)?.state === 'snapshot';
  }

  /** The follower's host holds this snapshot. False: that does not help it, or no longer. */
  offerSnapshot(id: ReplicaId, point: SnapshotPoint): boolean {
    const follower = this.#followers.get(id);
    if (follower?.state !== 'snapshot' || point.index < this.#log.compacted) return false;
    invariant(point.index <= this.#log.commit, 'a snapshot is of what is committed', point.index, this.#log.commit);
    follower.offer(point);
    this.#news = true;
    return true;
  }

  snapshotFailed(id: ReplicaId): void {
    const follower = this.#followers.get(id);
    if (follower?.state === 'snapshot') follower.snapshotFailed();
  }

  /** Followers that newly need a snapshot. */
  takeLacking(): readonly ReplicaId[] {
    if (this.#lacking.length === 0) return NOBODY;
    const lacking = this.#lacking;
    this.#lacking = [];
    return lacking;
  }

  /** The transport lost the connection, and with it whatever was on its way. */
  onUnreachable(id: ReplicaId): void {
    const follower = this.#followers.get(id);
    if (follower?.state === 'replicate') follower.probe();
    this.#news = true;
  }

  // SAFETY: a follower whose disk has lost part of what it has acknowledged.
  // Claim:   no acknowledgement of bytes that are gone is ever counted again, nor waited for.
  // Why:     its progress begins anew, as that of a follower of whom nothing is known, with a session of its own: answers to
  //          what was sent before carry an older one.
  // Rests:   the host reports it before it sends that follower anything more (Repair).
  // Checked: transcripts/follower-forgot.txt.
  onForgot(id: ReplicaId): void {
    if (!this.#followers.has(id)) return;
    this.#followers.set(id, this.#stranger(id));
    this.#news = true;
  }

  /** False: a whole window has passed without a word from a majority, and somebody else may lead. */
  tick(afterPause: boolean): boolean {
    this.#heartbeatElapsed += 1;
    if (this.#heartbeatElapsed >= this.#config.heartbeatTicks) {
      this.#heartbeatElapsed = 0;
      for (const follower of this.#followers.values()) follower.heartbeatDue = true;
      this.#news = true;
    }
    this.#leak();
    this.#windowElapsed = afterPause ? 0 : this.#windowElapsed + 1;
    if (this.#windowElapsed < this.#config.electionTicks) return true;
    this.#windowElapsed = 0;
    const { id } = this.#config;
    const verdict = this.#majority.verdict((voter) => voter === id || this.#followers.get(voter)?.active === true);
    for (const follower of this.#followers.values()) follower.endWindow();
    this.#advance();
    return verdict === 'won';
  }

  /** What was held back for the last tick's sake may leave now. */
  #leak(): void {
    this.#pace.tick();
    for (const follower of this.#followers.values()) {
      if (follower.pacedBytes === 0) continue;
      follower.pacedBytes = this.#pace.leaked(follower.pacedBytes);
      this.#news = true;
    }
  }

  /** Sends every follower what it lacks. */
  tell(send: (m: Message) => void): void {
    this.#news = false;
    if (this.#reads.asking && this.commitIsCurrent) {
      this.#reads.open(this.#log.commit);
      this.#confirmReads();
    }
    for (const follower of this.#followers.values()) this.#tellOne(follower, send);
  }

  status(): ProgressStatus[] {
    const { id } = this.#config;
    const { durable, last } = this.#log;
    const own: ProgressStatus = {
      id,
      state: 'replicate',
      match: durable,
      next: last + 1,
      active: true,
      outrun: false,
      offered: 0,
      inflightMessages: 0,
      inflightBytes: 0,
    };
    return this.#majority.voters.map((voter) => {
      const f = this.#followers.get(voter);
      if (f === undefined) return own;
      return {
        id: voter,
        state: f.state,
        match: f.match,
        next: f.next,
        active: f.active || !f.absent,
        outrun: this.#isOutrun(f),
        offered: f.offered?.index ?? 0,
        inflightMessages: f.inflights.count,
        inflightBytes: f.inflights.bytes,
      };
    });
  }

  /** A follower of whom nothing is known. */
  #stranger(id: ReplicaId): Progress {
    this.#sessions += 1;
    const { inflightMessagesMax, inflightBytesMax } = this.#config;
    return new Progress(id, this.#sessions, this.#log.last + 1, new Inflights(inflightMessagesMax, inflightBytesMax));
  }

  #acknowledged(follower: Progress, index: number): void {
    invariant(index <= this.#log.last, 'nobody acknowledges what was never sent: index, last', index, this.#log.last);
    const advanced = follower.acknowledge(index);
    if (follower.state === 'snapshot') {
      if (follower.match >= this.#log.compacted) follower.probe();
      else if (follower.match >= (follower.offered?.index ?? Number.POSITIVE_INFINITY)) follower.lack(); // cut beyond it
    }
    if (advanced) this.#advance();
  }

  // SAFETY: reads without log entries (thesis §6.4).
  // Claim:   when a read is answered with `index`, everything committed before it was asked lies at or below `index`.
  // Why:     `index` is the commit index when the round began, after the read was asked. It covers all that earlier leaders
  //          committed, as an entry of our own term is committed; and no later leader can have committed anything before
  //          a majority repeated the round, as each of them was still in our term when it did so.
  // Rests:   rounds are never reused; replies count within their term and session; a replica replies in its current
  //          term, and only once that term is durable (Outbox.promise).
  // Checked: transcripts/read-new-leader.txt, read-without-quorum.txt, read-reordered.txt; reads.test.ts.
  #confirmReads(): void {
    this.#reads.confirm(this.#majority.reached(this.#ackedRoundOf));
  }

  // SAFETY: entries go to followers while our own disk still writes them (Ongaro 2014, §10.2.1), and old terms' entries
  // are never committed by counting (§5.4.2).
  // Claim:   a committed entry is durable on a majority, and every later leader holds it.
  // Why:     everybody, this replica included, counts only with what is on its disk; and the entry at the new commit
  //          index is of our own term, so whoever lacks it cannot win an election against that majority (§5.4.1).
  // Rests:   rule 2 for followers' acknowledgements; RaftLog.markDurable for our own.
  // Checked: transcripts/leader-disk-slow.txt, figure-8.txt; random.test.ts, CommittedOnQuorum after every step.
  #advance(): void {
    const log = this.#log;
    const index = this.#majority.reached(this.#matchOf);
    if (index > log.commit && log.termAt(index) === this.term && log.commitTo(index)) this.#news = true;
    this.#advanceTruncatable();
  }

  #advanceTruncatable(): void {
    this.#truncatable = Math.max(this.#truncatable, this.#leastMatch());
  }

  #leastMatch(): number {
    let least = Math.min(this.#log.durable, this.#log.commit);
    for (const follower of this.#followers.values()) {
      if (follower.match < least && !this.#isOutrun(follower)) least = follower.match;
    }
    return least;
  }

  /**
   * Is the follower so far behind that the log is no longer kept for it? It is still sent what the log has.
   *
   * A new leader knows nothing about anybody's match: until a follower's position is established, or a whole window has
   * passed in silence, it is behind in appearance only.
   */
  #isOutrun(follower: Progress): boolean {
    if (follower.state === 'snapshot') return true;
    if (!follower.settled && !follower.absent) return false;
    if (follower.settled && follower.match < this.#log.compacted) return true;
    return this.#log.bytesBetween(follower.match, this.#log.last) > this.#config.catchUpBytesMax;
  }

  #tellOne(follower: Progress, send: (m: Message) => void): void {
    const log = this.#log;
    if (follower.state !== 'snapshot' && follower.next - 1 < log.compacted) follower.lack();
    if (follower.takeNeed()) this.#lacking.push(follower.id);
    const offered = follower.takeOffer();
    if (offered !== null) send(this.#snapshot(follower, offered));
    while (follower.wants(log.last)) {
      const paced = this.#isPaced(follower);
      if (paced && !this.#pace.admits(follower)) break;
      send(this.#append(follower, paced ? this.#pace.appendBytesMax : this.#config.appendBytesMax));
    }
    const missesRound = this.#reads.round > follower.toldRound;
    if (!follower.heartbeatDue && !missesRound && !follower.missesCommit(log.commit)) return;
    if (follower.heartbeatDue) follower.heartbeatLeft();
    send(this.#heartbeat(follower));
  }

  /**
   * Is the follower sent what it lacks at a pace, a little at a time? When it is far behind; never when its acknowledgements
   * are waited for: without it, a majority is heard of and keeps up.
   */
  #isPaced(follower: Progress): boolean {
    if (!this.#isFarBehind(follower.next - 1)) return false;
    const { id } = this.#config;
    const keepsUp = (voter: ReplicaId): boolean => {
      const other = this.#followers.get(voter);
      if (other === undefined) return voter === id;
      return other !== follower && (other.active || !other.absent) && !this.#isFarBehind(other.match);
    };
    return this.#majority.verdict(keepsUp) === 'won';
  }

  #isFarBehind(index: number): boolean {
    return index < this.#log.compacted || this.#pace.isFarBehind(this.#log.bytesBetween(index, this.#log.last));
  }

  #append(follower: Progress, bytesMax: number): Append {
    const index = follower.next - 1;
    const last = follower.asksOnly ? index : this.#log.fit(index, bytesMax);
    const logTerm = this.#log.termAt(index);
    const bytes = this.#log.bytesBetween(index, last);
    if (this.#isFarBehind(index)) follower.pacedBytes += bytes;
    follower.sent(last, bytes);
    const { from, to, term, session, commit, truncatable, round } = this.#heartbeat(follower);
    return { type: 'append', from, to, term, session, commit, truncatable, round, index, logTerm, entries: [], last };
  }

  #snapshot(follower: Progress, point: SnapshotPoint): SnapshotMessage {
    const { from, to, term, session, commit, truncatable, round } = this.#heartbeat(follower);
    const { index, term: logTerm } = point;
    return { type: 'snapshot', from, to, term, session, commit, truncatable, round, index, logTerm };
  }

  /** What every message says; with nothing else, a heartbeat. */
  #heartbeat(follower: Progress): Heartbeat {
    const { commit } = this.#log;
    const { round } = this.#reads;
    const { id: to, session } = follower;
    follower.toldCommit(commit);
    follower.toldRound = round;
    const truncatable = this.#truncatable;
    return { type: 'heartbeat', from: this.#config.id, to, term: this.term, session, commit, truncatable, round };
  }

  readonly #matchOf = (id: ReplicaId): number =>
    id === this.#config.id ? this.#log.durable : (this.#followers.get(id)?.match ?? 0);

  readonly #ackedRoundOf = (id: ReplicaId): number =>
    id === this.#config.id ? this.#reads.round : (this.#followers.get(id)?.ackedRound ?? 0);
}
