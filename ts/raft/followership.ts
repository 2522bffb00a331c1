import { Following } from './following.js';
import { Installation } from './installation.js';
import type { AppendReply, HeartbeatReply, LeaderMessage, ReplicaId } from './messages.js';
import type { RaftLog } from './raft-log.js';
import type { SnapshotPoint } from './ready.js';

/** What a replica does for whoever leads, over all terms: takes in what they send, and owes them answers. */
export class Followership {
  readonly #log: RaftLog;
  readonly #id: ReplicaId;
  readonly #installation = new Installation();
  #following: Following; // of this term
  #truncatable: number;

  constructor(log: RaftLog, id: ReplicaId, term: number, truncatable: number) {
    this.#log = log;
    this.#id = id;
    this.#following = new Following(log, id, term);
    this.#truncatable = truncatable;
  }

  /** As the leaders said, or this replica when it was one. Never goes back. */
  get truncatable(): number {
    return this.#truncatable;
  }

  raiseTruncatable(index: number): void {
    this.#truncatable = Math.max(this.#truncatable, index);
  }

  enterTerm(term: number): void {
    this.#following = new Following(this.#log, this.#id, term);
  }

  /** Returns the refusal to send, if it is one. While a snapshot is being installed, all that counts is that the leader lives. */
  onLeaderMessage(m: LeaderMessage): AppendReply | null {
    const refusal = this.#take(m);
    this.raiseTruncatable(Math.min(m.truncatable, this.#log.commit));
    return refusal;
  }

  /** State machine and log are being replaced by a snapshot. */
  get installing(): boolean {
    return this.#installation.underWay;
  }

  /** Is there something to be replaced now? */
  installIsDue(termDurable: boolean): boolean {
    return this.#installation.isDue(termDurable);
  }

  takeInstall(termDurable: boolean): SnapshotPoint | null {
    return this.#installation.take(termDurable);
  }

  onInstalled(index: number): void {
    const { term } = this.#installation.end(index);
    this.#log.restore(index, term);
    this.#following.onRestored(index);
  }

  onInstallFailed(index: number): void {
    this.#installation.end(index);
  }

  /** Would takeReply return one? */
  get owes(): boolean {
    return this.#following.owes;
  }

  takeReply(): AppendReply | HeartbeatReply | null {
    return this.#following.takeReply();
  }

  #take(m: LeaderMessage): AppendReply | null {
    if (m.type === 'append' && !this.installing) return this.#following.onAppend(m);
    if (m.type !== 'snapshot' || this.installing) this.#following.onHeartbeat(m);
    else if (this.#following.onSnapshot(m)) this.#installation.begin(m.index, m.logTerm);
    return null;
  }
}
