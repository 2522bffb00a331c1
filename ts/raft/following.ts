import { invariant } from './invariant.js';
import type { Append, AppendReply, HeartbeatReply, LeaderMessage, ReplicaId, SnapshotMessage } from './messages.js';
import type { RaftLog } from './raft-log.js';

/**
 * A replica's relation to the leader of one term: what has been proven to match it, and what it is owed in replies.
 *
 * Replies are formed when a Ready is made, so that any number of appends in a turn cost one acknowledgement, and an
 * append whose entries are still on their way to the disk is acknowledged by the report that they have arrived.
 */
export class Following {
  readonly #log: RaftLog;
  readonly #id: ReplicaId;
  readonly #term: number;
  #leader: ReplicaId = 0;
  #session = 0;
  #proven: number;
  #acked = -1; // the last index acknowledged in this session; -1: none yet
  #ackOwed = false;
  #echoOwed = false;
  #round = 0;

  constructor(log: RaftLog, id: ReplicaId, term: number) {
    this.#log = log;
    this.#id = id;
    this.#term = term;
    this.#proven = log.commit;
  }

  // SAFETY: what an acknowledgement promises (rule 2).
  // Claim:   an entry counted for this replica is on its disk, and is the leader's entry.
  // Why:     durable alone is not enough: a suffix of an old term can be on disk and wrong. Proven alone is not either: the
  //          entry may still be on its way. #proven starts at the commit index, which every later leader holds by Leader
  //          Completeness (§5.4.3), and rises only by appends of this term whose preceding entry matched (Log Matching).
  // Rests:   #proven belongs to one term: a new term makes a new Following. durable falls with each truncation.
  // Checked: transcripts/follower-disk-slow.txt; rules.test.ts, rule 2; random.test.ts, when a granted reply leaves.
  get #promised(): number {
    return Math.min(this.#log.durable, this.#proven);
  }

  get leader(): ReplicaId {
    return this.#leader;
  }

  /** Takes the entries in. Returns the refusal to send if the log does not hold the entry that they follow. */
  onAppend(m: Append): AppendReply | null {
    this.#listen(m);
    const log = this.#log;
    // Below the commit index nothing needs comparing: the leader holds it all, even what is compacted here.
    const matches = m.index <= log.commit || log.holds(m.index, m.logTerm);
    if (!matches) return this.#refusal(m);
    invariant(
      m.last === m.index + m.entries.length,
      'an append carries what it says',
      m.index,
      m.last,
      m.entries.length,
    );
    log.merge(m.entries, this.#proven);
    this.#proven = Math.max(this.#proven, m.last);
    log.commitTo(Math.min(m.commit, this.#proven));
    this.#ackOwed = true;
    this.#echo(m);
    return null;
  }

  // SAFETY: which snapshot replaces a log (§7; etcd-io/raft, raft.restore).
  // Claim:   nothing committed here is ever taken back, and of the rest exactly that is dropped which cannot be kept.
  // Why:     a snapshot up to our commit index says nothing new. A log that holds its last entry agrees with it on all
  //          before (Log Matching), so what follows that entry is kept, and only the commit index moves. Any other log
  //          ends before that entry or holds another one in its place, and what follows another one can never be
  //          committed, as the snapshot's is.
  // And:     what was acknowledged in this term lies below it: a proven log that reaches it would hold its last entry.
  // Checked: transcripts/snapshot-old.txt, snapshot-matching-log.txt, snapshot-conflict.txt; snapshots.test.ts.
  /** Must log and state machine be replaced by it? If not, it is acknowledged. */
  onSnapshot(m: SnapshotMessage): boolean {
    this.#listen(m);
    this.#echo(m);
    const log = this.#log;
    if (m.index > log.commit && !log.holds(m.index, m.logTerm)) {
      invariant(
        this.#proven < m.index,
        'what is proven agrees with every snapshot: proven, index',
        this.#proven,
        m.index,
      );
      return true;
    }
    this.#proven = Math.max(this.#proven, m.index);
    log.commitTo(m.index);
    this.#ackOwed = true;
    return false;
  }

  /** The log begins behind a snapshot that ends with `index`: committed, hence held by every leader from now on. */
  onRestored(index: number): void {
    this.#proven = Math.max(this.#proven, index);
    this.#ackOwed = this.#leader !== 0;
  }

  /** Always to be answered, and never refused. */
  onHeartbeat(m: LeaderMessage): void {
    this.#listen(m);
    this.#log.commitTo(Math.min(m.commit, this.#proven));
    this.#echoOwed = true;
    this.#round = Math.max(this.#round, m.round);
  }

  /** Would takeReply return one? */
  get owes(): boolean {
    return this.#echoOwed || this.#canAcknowledge;
  }

  /** What the leader should hear now, if anything. A read round is repeated at once, whatever the disk does. */
  takeReply(): AppendReply | HeartbeatReply | null {
    if (!this.owes) return null;
    const acknowledges = this.#canAcknowledge;
    const [from, to, term, session, round] = [this.#id, this.#leader, this.#term, this.#session, this.#round];
    const index = this.#promised;
    this.#echoOwed = false;
    if (!acknowledges) return { type: 'heartbeatReply', from, to, term, session, index, round };
    this.#ackOwed = this.#log.durable < this.#proven;
    this.#acked = index;
    const granted = true; // without a hint
    return { type: 'appendReply', from, to, term, session, granted, index, hintIndex: 0, hintTerm: 0, round };
  }

  get #canAcknowledge(): boolean {
    return this.#ackOwed && (this.#log.durable >= this.#proven || this.#promised > this.#acked);
  }

  /** A read round that is new is repeated at once. */
  #echo(m: LeaderMessage): void {
    this.#echoOwed ||= m.round > this.#round;
    this.#round = Math.max(this.#round, m.round);
  }

  #listen(m: LeaderMessage): void {
    invariant(this.#leader === 0 || this.#leader === m.from, 'one leader per term', this.#leader, m.from, m.term);
    this.#leader = m.from;
    if (m.session <= this.#session) return;
    this.#session = m.session;
    this.#acked = -1;
  }

  /** Says where the logs may agree, so that the leader need not step back entry by entry (§5.3, end). */
  #refusal(m: Append): AppendReply {
    const hintIndex = this.#log.lastAtMost(m.index, m.logTerm);
    invariant(hintIndex >= this.#log.commit, 'what is committed matches every leader', hintIndex, this.#log.commit);
    return {
      type: 'appendReply',
      from: this.#id,
      to: m.from,
      term: this.#term,
      session: m.session,
      granted: false,
      index: m.index,
      hintIndex,
      hintTerm: this.#log.termAt(hintIndex),
      round: Math.max(this.#round, m.round),
    };
  }
}
