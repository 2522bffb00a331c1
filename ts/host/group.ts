import type { Clock } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { decodeConfState, encodeConfState } from '../proto/conf-state.js';
import type { IncomingMessage } from '../proto/peer-frames.js';
import type { Append, Entry, Message, ReplicaId } from '../raft/messages.js';
import { RaftNode } from '../raft/raft-node.js';
import type { Persist, Ready, SnapshotPoint } from '../raft/ready.js';
import {
  type GroupRecovery,
  type LogStore,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  type StateMachine,
} from '../storage/index.js';
import { Applier } from './applier.js';
import { CommitNews } from './commit-news.js';
import { Inbound, type LogEnd } from './inbound.js';
import { LogClock } from './log-clock.js';
import type { Membership } from './membership.js';
import type { ReplicaLimits } from './options.js';
import type { AppendSource, Outbox } from './outbox.js';
import { type Gathered, Proposals } from './proposals.js';
import type { SnapshotInfo } from './snapshot-files.js';
import { recordBytes, Stage, type Staged } from './stage.js';

/** What a group tells the service above it. None of these may throw. */
export interface GroupListener<W> {
  /** These waiters' batches are entry (index, term) of the log now: they may commit, here or under a later leader. */
  onProposed(index: number, term: number, record: Gathered<W>): void;
  /** These will never be in any log. */
  onNotProposed(record: Gathered<W>, why: 'not-leader' | 'uncommitted-limit'): void;
  onRead(context: number, index: number): void;
  onReadLost(context: number): void;
  wantsResults(from: number, to: number): boolean;
}

export interface GroupOptions {
  readonly group: number;
  readonly log: LogStore;
  readonly machine: StateMachine;
  readonly recovery: GroupRecovery;
  readonly membership: Membership;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly jitter: () => number;
  readonly wake: () => void;
  /** Record `index` has changed the membership, and corrected the uids of these replicas. */
  readonly onConf: (index: number, corrected: readonly ReplicaId[]) => void;
  /** The log no longer helps these followers. */
  readonly onNeedSnapshot: (followers: readonly ReplicaId[]) => void;
  /** State machine and log are to be replaced; `installed` is to be called then. */
  readonly onInstall: (point: SnapshotPoint) => void;
}

/** A write that the disk has not confirmed: what to report, and what to send, when it has. */
interface Pending {
  readonly ticket: number;
  readonly persist: Persist | null;
  readonly messages: readonly Message[];
  readonly since: number;
}

/** Commands of so many bytes make a record that is worth its write, whatever the disk does. */
const GATHER_BYTES_MAX = 64 * 1024;
/** Of a group's first command. */
const FIRST_REVISION = 1;
const NO_STATES = new Float64Array(4);
const NO_BYTES = new Uint8Array(0);

/** One Raft group on this replica: turns what the core asks for into writes, messages and applied entries. */
export class Group<W> implements AppendSource {
  readonly group: number;
  readonly node: RaftNode;
  readonly applier: Applier;
  readonly proposals = new Proposals<W>();
  readonly #options: GroupOptions;
  readonly #stage = new Stage();
  readonly #inbound: Inbound;
  readonly #hardState = new Float64Array(4);
  readonly #pending: Pending[] = [];
  readonly #confs: { readonly index: number; readonly term: number; readonly bytes: Uint8Array }[] = [];
  readonly #logClock: LogClock;
  readonly #commitNews: CommitNews;
  #listener: GroupListener<W> | null = null;
  #end: LogEnd;
  #ticket = 0; // of the last write
  #blocked: Ready | null = null; // its write found the queue of the storage full
  #confAt = 0; // of this leadership: its last record that must commit before a (further) conf record
  #ledTerm = 0; // the last term that a blank entry was made for

  constructor(options: GroupOptions) {
    const { recovery, limits } = options;
    this.group = options.group;
    this.#options = options;
    this.#inbound = new Inbound(options.log, this.#stage);
    this.#logClock = new LogClock(options.clock);
    this.#commitNews = new CommitNews(options.clock, options.wake);
    this.node = new RaftNode(
      {
        id: options.membership.id,
        voters: options.membership.voters,
        electionTicks: options.electionTicks,
        heartbeatTicks: options.heartbeatTicks,
        electionJitter: options.jitter,
        inflightMessagesMax: limits.inflightMessagesMax,
        inflightBytesMax: limits.inflightBytesMax,
        appendBytesMax: limits.appendBytesMax,
        uncommittedBytesMax: limits.uncommittedBytesMax,
        catchUpBytesMax: limits.maxLogBytes < 0 ? Number.MAX_SAFE_INTEGER : limits.maxLogBytes,
        catchUpBytesPerTick: Math.max(1, Math.floor((limits.catchUpBytesPerSecondMax * options.tickMs) / 1_000)),
        blankBytes: RECORD_HEADER_BYTES,
      },
      {
        hardState: { term: recovery.term, vote: recovery.vote, commit: recovery.commit },
        compactedIndex: recovery.compactedIndex,
        compactedTerm: recovery.compactedTerm,
        termRuns: pairs(recovery.termRuns),
        sizes: recovery.sizes,
        appliedIndex: recovery.appliedIndex,
      },
    );
    this.applier = new Applier(options.machine, this.group, recovery.appliedIndex, limits, options.clock, options.wake);
    this.#end = {
      index: recovery.lastIndex,
      term: this.node.termAt(recovery.lastIndex),
      time: recovery.lastTime,
      // A log without records tells 0, which stands for "no entry" and "no session" everywhere else.
      nextRevision: Math.max(FIRST_REVISION, recovery.nextRevision),
    };
  }

  get epoch(): number {
    return this.node.epoch;
  }

  /** A write waits for room in the storage; until then nothing goes on. */
  get isBlocked(): boolean {
    return this.#blocked !== null;
  }

  listen(listener: GroupListener<W>): void {
    this.#listener = listener;
  }

  /** Is all that the core has decided on this disk? */
  get isSettled(): boolean {
    return this.#pending.every((pending) => pending.persist === null) && !this.node.hasReady();
  }

  /** How long the oldest unconfirmed write has been waiting for the disk; ms. */
  pendingMs(now: number): number {
    const oldest = this.#pending.find((pending) => pending.persist !== null);
    return oldest === undefined ? 0 : now - oldest.since;
  }

  // ---- in

  /** A message of a peer. @throws EraftError ERAFT_BAD_REQUEST when its records are not what it says */
  receive(incoming: IncomingMessage, tail: Uint8Array): void {
    if (this.#blocked !== null && incoming.end > incoming.start) return; // Raft sends it again
    this.node.step(this.#inbound.take(incoming, tail, this.#end));
  }

  /** Everything up to `ticket` is on disk. */
  durable(ticket: number): void {
    while (this.#pending.length > 0 && (this.#pending[0]?.ticket ?? 0) <= ticket) {
      const pending = this.#pending.shift();
      if (pending === undefined) return;
      if (pending.persist !== null) this.node.onDurable(pending.persist);
      this.#options.outbox.add(this, pending.messages);
    }
  }

  /** Proposes what was gathered in this turn. */
  propose(): void {
    if (this.#blocked !== null) return;
    if (this.node.role === 'leader' && this.#ledTerm !== this.node.term) this.work(); // the blank entry comes first
    if (this.gathers) return;
    for (const record of this.proposals.drain()) {
      const bytes = recordBytes(record.end - record.start - RECORD_HEADER_BYTES);
      const proposed = this.node.propose(bytes);
      if ('refused' in proposed) {
        this.#listener?.onNotProposed(record, proposed.refused);
        continue;
      }
      const entry = { index: proposed.index, term: this.node.term, bytes };
      this.#seal(entry, RECORD_KINDS.commands, record);
      this.#listener?.onProposed(entry.index, entry.term, record);
    }
    this.#proposeConf();
  }

  // SAFETY: commands wait for those that come while our disk writes the record before them. Another record would only
  // stand in the queue of each disk; all of them together cost one record, one message and one write.
  // Claim:   they wait no longer than that record needs to our disk or to a majority's, whichever is first.
  // Why:     each of the two asks for a turn when it happens (onProgress, a frame), and each turn looks anew: so whoever
  //          adds commands meanwhile need not ask for one. If neither happens, nothing could commit; and who no longer
  //          leads refuses them, as what no log has.
  // Rests:   a lone caller's record is committed before it has the answer, so its next command finds nothing to wait for.
  // Checked: test/host/order.test.ts
  get gathers(): boolean {
    const { role, lastIndex, commit, durableIndex } = this.node;
    return role === 'leader' && lastIndex > Math.max(commit, durableIndex) && this.proposals.bytes < GATHER_BYTES_MAX;
  }

  // ---- out

  /** Does all that the core asks for, until it asks for nothing more. */
  work(): void {
    this.#options.outbox.add(this, this.#commitNews.takeDue());
    if (this.#blocked !== null && !this.#write(this.#blocked)) return;
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (ready.blank !== null) this.#sealBlank(ready.blank);
      if (!this.#write(ready)) return;
    }
  }

  /** State machine and log are those of a snapshot now. */
  installed({ index, term, time, nextRevision }: SnapshotInfo): void {
    this.#end = { index, term, time, nextRevision };
    this.#confs.length = 0;
    this.applier.restart(index);
    this.node.onInstalled(index);
  }

  stop(): void {
    this.applier.stop();
    this.#commitNews.stop();
  }

  /** The bytes of this turn are with the storage: room for the next. */
  endTurn(): void {
    if (this.#blocked !== null) return;
    this.#stage.clear();
    this.#inbound.clear();
    this.proposals.clear();
  }

  mayStillSend(append: Append, epoch: number): boolean {
    const { node } = this;
    return (
      node.role === 'leader' && node.term === append.term && node.epoch === epoch && append.index + 1 >= node.firstIndex
    );
  }

  isHeld({ to, last }: Append): boolean {
    return this.node.isHeldBy(to, last);
  }

  onLost(to: ReplicaId): void {
    this.node.onUnreachable(to);
  }

  /** Writes what a Ready asks for, then sends. False: the storage takes no more for now, and the Ready waits. */
  #write(ready: Ready): boolean {
    if (ready.persist !== null) {
      const ticket = this.#submit(ready);
      if (ticket === null) {
        this.#blocked = ready;
        return false;
      }
      this.#ticket = ticket;
    }
    this.#blocked = null;
    const { outbox, clock } = this.#options;
    outbox.add(this, this.#commitNews.pass(ready.sendNow));
    const messages = ready.sendWhenDurable;
    if (ready.persist !== null || (messages.length > 0 && this.#pending.length > 0)) {
      this.#pending.push({ ticket: this.#ticket, persist: ready.persist, messages, since: clock.now() });
    } else outbox.add(this, messages);
    let bytes = 0;
    for (const entry of ready.append) bytes += entry.bytes;
    this.applier.allow(ready.applyUpTo, bytes);
    this.#adoptConfs(ready.applyUpTo);
    for (const read of ready.reads) this.#listener?.onRead(read.context, read.index);
    for (const context of ready.readsLost) this.#listener?.onReadLost(context);
    if (ready.needSnapshot.length > 0) this.#options.onNeedSnapshot(ready.needSnapshot);
    if (ready.install !== null) this.#options.onInstall(ready.install);
    return true;
  }

  /** Returns the ticket, or null when the storage's queue is full. @throws EraftError when the storage has failed */
  #submit(ready: Ready): number | null {
    const { hardState } = ready;
    const records = ready.append.map((entry) => this.#staged(entry));
    if (hardState !== null) {
      this.#hardState.set([this.group, hardState.term, hardState.vote, hardState.commit]);
    }
    const run = contiguous(records);
    let ticket: number;
    try {
      const states = hardState === null ? NO_STATES : this.#hardState;
      ticket = this.#options.log.submit(run.bytes, run.start, run.end, states, hardState === null ? 0 : 1);
    } catch (error) {
      if (EraftError.is(error) && error.code === 'ERAFT_OVERLOADED') return null;
      throw error;
    }
    for (const record of records) this.#appended(record);
    return ticket;
  }

  #staged(entry: Entry): Staged {
    const staged = this.#stage.find(entry);
    if (staged === undefined) throw new Error(`no bytes for entry ${entry.index} of term ${entry.term}`);
    return staged;
  }

  /** The log now ends with this record. */
  #appended({ entry, kind, time, nextRevision, slab, start, end }: Staged): void {
    const { index, term } = entry;
    this.#end = { index, term, time, nextRevision };
    while ((this.#confs.at(-1)?.index ?? 0) >= index) this.#confs.pop();
    if (kind === RECORD_KINDS.conf) {
      this.#confs.push({ index, term, bytes: slab.bytes.slice(start + RECORD_HEADER_BYTES, end) });
    }
  }

  // ---- records made here

  #sealBlank(blank: Entry): void {
    this.#ledTerm = blank.term;
    this.#logClock.start();
    this.#options.membership.newLeadership();
    this.#confAt = blank.index;
    this.#seal(blank, RECORD_KINDS.blank, this.proposals.lone(null));
  }

  /** A leader that has committed in its term spreads the uids that it can vouch for. One such record at a time. */
  #proposeConf(): void {
    const { node } = this;
    if (node.role !== 'leader' || node.commit < this.#confAt) return;
    const members = this.#options.membership.propose();
    if (members === null) return;
    const record = this.proposals.lone(encodeConfState(members));
    const bytes = recordBytes(record.end - record.start - RECORD_HEADER_BYTES);
    const proposed = node.propose(bytes);
    if ('refused' in proposed) return;
    this.#confAt = proposed.index;
    this.#seal({ index: proposed.index, term: node.term, bytes }, RECORD_KINDS.conf, record);
  }

  /** Fills in the header. The entry is the log's last from now on, as a leader only ever appends. */
  #seal(entry: Entry, kind: number, { slab, start, end, commands }: Gathered<W>): void {
    const { index, term } = entry;
    const time = this.#logClock.next(this.#end.time);
    const firstRevision = this.#end.nextRevision;
    const { log } = this.#options;
    const sealedEnd = log.seal(slab.bytes, start, end, kind, this.group, index, term, time, firstRevision, commands);
    const nextRevision = firstRevision + commands;
    this.#stage.add({ entry, slab, start, end: sealedEnd, kind, time, nextRevision, from: 0 });
    this.#end = { index, term, time, nextRevision };
  }

  #adoptConfs(applyUpTo: number): void {
    for (;;) {
      const conf = this.#confs[0];
      if (conf === undefined || conf.index > applyUpTo) return;
      this.#confs.shift();
      const corrected = this.#options.membership.adopt(decodeConfState(conf.bytes));
      this.#options.onConf(conf.index, corrected);
    }
  }
}

function pairs(flat: Float64Array): [number, number][] {
  const out: [number, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] ?? 0, flat[i + 1] ?? 0]);
  return out;
}

interface Run {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** One run of bytes that holds these records one behind the other: where they lie, when they lie so, else a copy. */
function contiguous(records: readonly Staged[]): Run {
  const first = records[0];
  if (first === undefined) return { bytes: NO_BYTES, start: 0, end: 0 };
  let end = first.start;
  for (const { slab, start, end: next } of records) {
    if (slab !== first.slab || start !== end) return gathered(records);
    end = next;
  }
  return { bytes: first.slab.bytes, start: first.start, end };
}

function gathered(records: readonly Staged[]): Run {
  const parts = records.map((r) => r.slab.bytes.subarray(r.start, r.end));
  const bytes = Buffer.concat(parts);
  return { bytes, start: 0, end: bytes.length };
}
