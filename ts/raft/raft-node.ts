import { Ballot } from './ballot.js';
import { checkConfig, type InitialState, type RaftConfig } from './config.js';
import { answerToStale, leaderNamedBy, speaksOfFutureTerm, Tally, voteReply, voteRequests } from './election.js';
import { ElectionTimer } from './election-timer.js';
import { Followership } from './followership.js';
import { invariant, unreachable } from './invariant.js';
import { Leadership, NOBODY } from './leadership.js';
import { LogMarks } from './log-marks.js';
import type { Entry, LeaderMessage, Message, ReplicaId, VoteRequest } from './messages.js';
import { Outbox } from './outbox.js';
import type { ProgressStatus } from './progress.js';
import { Majority } from './quorum.js';
import { RaftLog } from './raft-log.js';
import { ReadOnly } from './read-only.js';
import type { Persist, Proposed, Ready, Role, SnapshotPoint } from './ready.js';

/**
 * One replica of one Raft group.
 *
 * The host feeds inputs, and once per turn, while `hasReady()`, takes a Ready and does what it says (ready.ts). No input
 * does anything outside by itself.
 */
export class RaftNode extends LogMarks {
  readonly id: ReplicaId;
  readonly #config: RaftConfig;
  readonly #majority: Majority;
  readonly #log: RaftLog;
  readonly #ballot: Ballot;
  readonly #timer: ElectionTimer;
  readonly #followership: Followership;
  readonly #reads = new ReadOnly();
  readonly #outbox = new Outbox();
  #role: Role = 'follower';
  #leader: ReplicaId = 0;
  #leadership: Leadership | null = null; // while the role is leader
  #tally: Tally; // of the last campaign
  #blank: Entry | null = null; // appended on election, not yet handed out
  #handedApply: number;
  #stalled = false;
  #allowed = true;

  /** @throws InvariantError when the configuration, or what the disk holds, contradicts itself */
  constructor(config: RaftConfig, initial: InitialState) {
    checkConfig(config);
    const log = new RaftLog(initial);
    super(log);
    this.id = config.id;
    this.#config = config;
    this.#majority = new Majority(config.voters);
    this.#log = log;
    this.#ballot = new Ballot(initial.hardState);
    this.#timer = new ElectionTimer(config.electionTicks, config.electionJitter);
    this.#followership = new Followership(this.#log, this.id, this.term, initial.compactedIndex);
    this.#tally = new Tally(this.#majority);
    this.#handedApply = initial.appliedIndex;
  }

  get role(): Role {
    return this.#role;
  }

  get term(): number {
    return this.#ballot.term;
  }

  /** Who leads this term, as far as this replica knows; 0: nobody. */
  get leader(): ReplicaId {
    return this.#leader;
  }

  /** No member that the log is kept for needs it from us up to here. A leader's may go back: one for whom it was not needs it again. */
  get truncatable(): number {
    return this.#leadership?.compactable ?? this.#followership.truncatable;
  }

  /** State machine and log are being replaced by a snapshot. */
  get installing(): boolean {
    return this.#followership.installing;
  }

  /** A leader's view of all members, ascending by id; empty on everybody else. Allocates: for status and metrics. */
  progress(): readonly ProgressStatus[] {
    return this.#leadership?.status() ?? [];
  }

  /** One message from another replica of the group. In any order, any number of times. */
  step(m: Message): void {
    invariant(m.to === this.id, 'a message reaches whom it is for', m.to, this.id);
    if (m.term > this.term) {
      if (this.#shieldsLeaderFrom(m)) return;
      if (!speaksOfFutureTerm(m)) this.#becomeFollower(m.term, leaderNamedBy(m));
    }
    const answer = m.term < this.term ? answerToStale(m, this.term) : null;
    if (answer !== null) this.#outbox.promise(answer);
    if (m.term >= this.term) this.#dispatch(m);
  }

  // SAFETY: a pause is not evidence (rule 8).
  // Claim:   what other replicas did while this process stood still is never held against them.
  // Why:     one tick per timer call makes the longest pause as short as a tick; and in the tick that follows it nobody
  //          campaigns or judges the quorum, so that the messages which wait in the sockets are stepped first. A leader's
  //          window starts again, as part of it may lie before the pause, and the answers to it were never read.
  // Rests:   the host calls tick(true) after a gap of more than two heartbeats, and polls before the next tick.
  // Checked: transcripts/paused-process.txt; rules.test.ts, rule 8.
  /** Time passes. `afterPause`: unknown time has passed, of which this replica saw nothing. */
  tick(afterPause = false): void {
    if (this.#leadership !== null) {
      if (!this.#leadership.tick(afterPause) && (this.#config.checkQuorum ?? true)) this.#becomeFollower(this.term, 0);
      return;
    }
    this.#timer.tick();
    if (afterPause) return;
    const alone = this.#majority.voters.length === 1;
    if (alone ? this.#role === 'follower' : this.#timer.expired) this.campaign();
  }

  /** One entry of `bytes`, record header included. The caller seals it with (index, `term`) before it takes the Ready. */
  propose(bytes: number): Proposed {
    return this.#leadership?.propose(bytes) ?? { refused: 'not-leader' };
  }

  /**
   * Asks from where on a read is linearizable. Answered under `context` in `Ready.reads`, or given up in `Ready.readsLost`.
   *
   * Costs one message round to a majority, shared by all reads of the turn; no disk. A new leader answers once an entry
   * of its own term is committed. False: not the leader, and nothing will come.
   */
  readIndex(context: number): boolean {
    if (this.#leadership === null) return false;
    this.#reads.ask(context);
    this.#leadership.readAsked();
    return true;
  }

  /** What this Ready asked to be written is on disk, and all that earlier ones asked. In any order; any may be left out. */
  onDurable(p: Persist): void {
    // A report of an older term is not needed: entering a term asks for a write, whose report covers the log again.
    if (p.term !== this.term) return;
    if (this.#log.markDurable(p.lastIndex, p.lastTerm, p.epoch)) this.#leadership?.logChanged();
    if (this.#ballot.markDurable(p.vote) && this.#role === 'candidate') this.#countVote(this.id, true);
  }

  /** The state machine has everything up to `index`. */
  onApplied(index: number): void {
    this.#log.applyTo(index);
  }

  /** The log no longer holds the entries up to `index`, all of them applied. */
  onCompacted(index: number): void {
    this.#log.compactTo(index);
    this.#leadership?.logChanged();
  }

  /** A snapshot that a Ready asked for has replaced state machine and log, durably. */
  onInstalled(index: number): void {
    this.#followership.onInstalled(index);
    this.#handedApply = index;
  }

  /** It has not, and nothing was touched. */
  onInstallFailed(index: number): void {
    this.#followership.onInstallFailed(index);
  }

  /** Leader: has `id` acknowledged everything up to `index`? */
  isHeldBy(id: ReplicaId, index: number): boolean {
    return this.#leadership?.isHeldBy(id, index) ?? false;
  }

  /** Leader: does the log no longer reach what `id` needs next? */
  wantsSnapshot(id: ReplicaId): boolean {
    return this.#leadership?.wantsSnapshot(id) ?? false;
  }

  /** The host of `id` holds this snapshot, whole: its core is told. False: that would not help it, or no longer. */
  offerSnapshot(id: ReplicaId, point: SnapshotPoint): boolean {
    return this.#leadership?.offerSnapshot(id, point) ?? false;
  }

  /** Nothing came of the snapshot for `id`. If it still needs one, a later Ready says so again. */
  snapshotFailed(id: ReplicaId): void {
    this.#leadership?.snapshotFailed(id);
  }

  /** The connection to `id` broke: what was on its way is lost; `forgot`: part of what its disk had acknowledged, too. */
  onUnreachable(id: ReplicaId, forgot = false): void {
    if (forgot) this.#leadership?.onForgot(id);
    else this.#leadership?.onUnreachable(id);
  }

  /** A sync takes longer than an election timeout: somebody else should lead, and no election can be won here until it ends. */
  diskStalled(stalled: boolean): void {
    this.#stalled = stalled;
    if (stalled && this.#role !== 'follower') this.#becomeFollower(this.term, 0);
  }

  /**
   * false: neither votes nor campaigns, as it may have forgotten a vote. It follows and acknowledges a leader that others
   * elected; whether it is a member at all is for the hosts' handshake. true: it does, in this term for its leader alone.
   * `term`: that others are in.
   */
  mayCampaign(allowed: boolean, term = 0): void {
    if (term > this.term) this.#becomeFollower(term, 0);
    if (allowed && !this.#allowed && this.#leader !== 0 && this.#ballot.vote === 0) this.#ballot.voteFor(this.#leader);
    this.#allowed = allowed;
    if (!allowed && this.#leader === 0) this.#becomeFollower(this.term, 0);
  }

  /** Stands for election now, unless it leads, or must not, or is no voter. */
  campaign(): void {
    if (this.#role === 'leader' || this.#stalled || !this.#allowed || this.installing) return;
    if (!this.#majority.includes(this.id)) return;
    if (this.#config.preVote ?? true) this.#becomePreCandidate();
    else this.#becomeCandidate();
  }

  /** Is there anything to do outside? Cheap. */
  hasReady(): boolean {
    return (
      !this.#outbox.empty ||
      this.#ballot.changed ||
      this.#log.handed < this.#log.last ||
      this.#handedApply < this.#applicable ||
      this.#reads.concluded ||
      this.#followership.installIsDue(this.#ballot.durable) ||
      (this.#leadership?.news ?? this.#followership.owes)
    );
  }

  /** What must happen outside, now. Forms the messages to followers and leader, so that a turn's inputs share them. */
  ready(): Ready {
    this.#tellOthers();
    const append = this.#log.handOut();
    const hardState = this.#ballot.take(append.length > 0, this.#log.applicable);
    const messages = this.#outbox.take(this.#ballot.durable);
    this.#handedApply = this.#applicable;
    return Object.freeze({
      hardState,
      append,
      blank: this.#takeBlank(),
      persist: hardState === null && append.length === 0 ? null : this.#ballot.persist(this.#log),
      sendNow: messages.now,
      sendWhenDurable: messages.whenDurable,
      applyUpTo: this.#handedApply,
      reads: this.#reads.takeAnswered(),
      readsLost: this.#reads.takeLost(),
      needSnapshot: this.#leadership?.takeLacking() ?? NOBODY,
      install: this.#followership.takeInstall(this.#ballot.durable),
    });
  }

  // ---- who handles what

  #dispatch(m: Message): void {
    switch (m.type) {
      case 'preVote':
      case 'vote':
        this.#onVoteRequest(m);
        break;
      case 'preVoteReply':
        if (this.#role !== 'preCandidate') break;
        // A grant for another term answers another attempt.
        if (!m.granted || m.term === this.term + 1) this.#countVote(m.from, m.granted);
        break;
      case 'voteReply':
        if (this.#role === 'candidate') this.#countVote(m.from, m.granted);
        break;
      case 'append':
      case 'heartbeat':
      case 'snapshot':
        this.#onLeaderMessage(m);
        break;
      case 'appendReply':
      case 'heartbeatReply':
        this.#leadership?.onReply(m);
        break;
      default:
        unreachable(m);
    }
  }

  #onLeaderMessage(m: LeaderMessage): void {
    invariant(this.#role !== 'leader', 'one leader per term: term, this, other', this.term, this.id, m.from);
    if (this.#role === 'follower') this.#timer.rewind();
    else this.#becomeFollower(this.term, m.from);
    this.#leader = m.from;
    const refusal = this.#followership.onLeaderMessage(m);
    if (refusal !== null) this.#outbox.promise(refusal);
  }

  // ---- roles

  #becomeFollower(term: number, leader: ReplicaId): void {
    if (term > this.term) this.#enterTerm(term, 0);
    this.#takeRole('follower', leader);
  }

  /** Asks whether an election could be won. Changes nothing that lasts, here or elsewhere (thesis §9.6). */
  #becomePreCandidate(): void {
    this.#takeRole('preCandidate', 0);
    for (const m of this.#requests('preVote', this.term + 1)) this.#outbox.post(m);
    this.#countVote(this.id, true);
  }

  /** Its requests, and its own vote, wait for the disk (ballot.ts). */
  #becomeCandidate(): void {
    this.#enterTerm(this.term + 1, this.id);
    this.#takeRole('candidate', 0);
    for (const m of this.#requests('vote', this.term)) this.#outbox.promise(m);
  }

  #requests(type: VoteRequest['type'], term: number): VoteRequest[] {
    this.#tally = new Tally(this.#majority);
    return voteRequests(type, this.#majority, this.#log, this.id, term);
  }

  #becomeLeader(): void {
    invariant(this.#role === 'candidate' && this.#ballot.durable, 'only a durable candidate leads', this.term);
    this.#takeRole('leader', this.id);
    const { term, truncatable } = this;
    this.#leadership = new Leadership(this.#config, this.#majority, this.#log, this.#reads, term, truncatable);
    // An entry of the new term: with it commits what earlier leaders left, and reads can be answered (§5.4.2, §8).
    const bytes = this.#config.blankBytes;
    this.#blank = { index: this.#log.append(term, bytes), term, bytes };
    this.#leadership.logChanged();
  }

  #takeRole(role: Role, leader: ReplicaId): void {
    if (this.#leadership !== null) {
      this.#followership.raiseTruncatable(this.#leadership.truncatable);
      this.#leadership = null;
      this.#reads.lose();
    }
    this.#role = role;
    this.#leader = leader;
    this.#timer.restart();
  }

  #enterTerm(term: number, vote: ReplicaId): void {
    this.#ballot.enterTerm(term, vote);
    this.#outbox.dropPromises();
    this.#followership.enterTerm(term);
  }

  // ---- elections

  /** A follower of a live leader does not hear candidates: one that was cut off must not depose it (thesis §4.2.3). */
  #shieldsLeaderFrom(m: Message): boolean {
    if (m.type !== 'preVote' && m.type !== 'vote') return false;
    return (this.#config.checkQuorum ?? true) && (this.#role === 'leader' || (this.#leader !== 0 && this.#timer.fresh));
  }

  #onVoteRequest(m: VoteRequest): void {
    // One vote per term, and only for a log as complete as ours (§5.2, §5.4.1).
    const free = this.#ballot.isFreeFor(m.from, m.term, this.#leader);
    const granted = free && this.#allowed && this.#log.isCoveredBy(m.index, m.logTerm);
    if (granted && m.type === 'preVote') {
      this.#outbox.post(voteReply(m, m.term, true)); // promises nothing, and speaks of the candidate's term
      return;
    }
    if (granted) {
      this.#ballot.voteFor(m.from);
      // A repeated request of the leader that it became changes nothing.
      if (this.#leader === 0) this.#becomeFollower(this.term, 0);
    }
    this.#outbox.promise(voteReply(m, this.term, granted));
  }

  #countVote(from: ReplicaId, granted: boolean): void {
    this.#tally.record(from, granted);
    if (this.#role === 'candidate' && !this.#ballot.durable) return; // noted, and counted when durable: rule 1
    const { verdict } = this.#tally;
    if (verdict === 'lost') this.#becomeFollower(this.term, 0);
    if (verdict !== 'won') return;
    if (this.#role === 'preCandidate') this.#becomeCandidate();
    else this.#becomeLeader();
  }

  // ---- parts of a Ready
  /** Up to where entries may be applied. */
  get #applicable(): number {
    return this.installing ? this.#handedApply : this.#log.applicable;
  }

  #tellOthers(): void {
    if (this.#leadership !== null) {
      invariant(this.#ballot.durable, 'a leader speaks only of a durable term', this.term);
      this.#leadership.tell((m) => this.#outbox.post(m));
      return;
    }
    const reply = this.#followership.takeReply();
    if (reply !== null) this.#outbox.promise(reply);
  }

  #takeBlank(): Entry | null {
    const blank = this.#blank;
    this.#blank = null;
    return blank !== null && this.#log.holds(blank.index, blank.term) ? blank : null;
  }
}
