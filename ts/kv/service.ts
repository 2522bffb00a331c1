// ts/kv: the key-value service over one group: client frames in, answers out.
//
// In:   whole client frames, from connections, peers that forward, and local links. Out: whole client frames.
// Not:  commands (Rust verifies, applies and answers them; here they are bytes), sockets (ts/server), elections (ts/host).
// May import: ts/host and all that lies below it.
//
// service.ts routes a frame; replica.ts makes a whole replica of host, storage and network. Then, by kind of request:
//   writes.ts    proposed by turn, answered in log order      reads.ts    confirmed by turn, one native call
//   forwards.ts  passed on to the leader                      waiting.ts  kept until there is one
import { ERRORS, EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import type { Host, HostService } from '../host/host.js';
import type { Gathered } from '../host/proposals.js';
import { decodeCloseView, encodeError, encodeStatusReply } from '../proto/control-frames.js';
import { FRAME, type FrameHeader, frameBody, frameOf, readFrameHeader } from '../proto/frame.js';
import { decodeForward, PEER_FRAME } from '../proto/peer-frames.js';
import { decodeReadHead } from '../proto/read-batch.js';
import { decodeScanRequest, SNAPSHOT } from '../proto/scan-frames.js';
import { copyOf, malformed } from '../proto/table.js';
import type { ReplicaId } from '../raft/messages.js';
import type { KvContext } from './context.js';
import { Forwards, PeerRequester } from './forwards.js';
import { checkHello, type GreetingOptions, welcomeFrame } from './greeting.js';
import { type LeaderHint, LeaderHints } from './leader-hints.js';
import { Deadlines, Pending } from './pending.js';
import { Reads, stateRefusal } from './reads.js';
import type { Requester } from './requester.js';
import { SnapshotDesk } from './snapshot-desk.js';
import type { ClusterStatus, ReplicaStatus } from './status.js';
import { StatusBoard } from './status-board.js';
import { WaitingForLeader } from './waiting.js';
import { Writes } from './writes.js';

export type { LeaderHint } from './leader-hints.js';

export interface KvServiceOptions extends Omit<KvContext, 'reject' | 'notLeader'>, GreetingOptions {
  readonly clientAddress: string;
  readonly peerAddresses: ReadonlyMap<ReplicaId, string>;
  /** Role or term have changed. */
  readonly onState: (role: ReplicaStatus['role'], term: number) => void;
  readonly onFailed: (error: EraftError) => void;
}

const DEADLINE_MS_DEFAULT = 5_000;
const DEADLINE_MS_MAX = 600_000;

export class KvService implements HostService<Pending> {
  readonly clusterId: string;
  readonly replica: ReplicaId;
  readonly snapshots: SnapshotDesk;
  readonly #options: KvServiceOptions;
  readonly #host: Host<Pending>;
  readonly #context: KvContext;
  readonly #writes: Writes;
  readonly #reads: Reads;
  readonly #forwards: Forwards;
  readonly #waiting: WaitingForLeader;
  readonly #deadlines: Deadlines;
  readonly #board: StatusBoard;
  readonly #hints: LeaderHints;
  readonly #foreign = new WeakSet<Pending>(); // forwarded to us: never forwarded again
  #closed: ((inDoubt: boolean) => EraftError) | null = null;

  constructor(options: KvServiceOptions) {
    this.clusterId = options.clusterId;
    this.replica = options.replica;
    this.snapshots = new SnapshotDesk(options.host);
    this.#options = options;
    this.#host = options.host;
    this.#hints = new LeaderHints(options.replica, options.group);
    this.#context = {
      ...options,
      reject: (pending, error) => this.#reject(pending, error),
      notLeader: (pending) => this.#reject(pending, this.#hints.notLeader()),
    };
    this.#writes = new Writes(this.#context);
    this.#reads = new Reads(this.#context);
    this.#forwards = new Forwards(this.#context);
    this.#waiting = new WaitingForLeader(this.#context);
    this.#deadlines = new Deadlines(options.clock.now());
    this.#board = new StatusBoard(options, (frame, from, to) => this.#askPeer(frame, from, to));
  }

  get leader(): LeaderHint {
    return this.#hints.leader;
  }

  /** Calls `listener` at each change of leader, or of its address. Returns how to stop that. */
  onLeaderChange(listener: (leader: LeaderHint) => void): () => void {
    return this.#hints.listen(listener);
  }

  get role(): ReplicaStatus['role'] {
    return this.#board.role;
  }

  status(): ReplicaStatus {
    return this.#board.own();
  }

  /** Every replica of the cluster, each asked by its peer link; those that do not answer in time are marked. Never rejects. */
  clusterStatus(timeoutMs = 1_000): Promise<ClusterStatus> {
    return this.#board.cluster(timeoutMs);
  }

  /** For metrics: what is held for whom. */
  get gauges(): Record<'proposalsInFlight' | 'readsWaiting' | 'framesWaitingForLeader' | 'forwardsPending', number> {
    return {
      proposalsInFlight: this.#writes.gauge.frames,
      readsWaiting: this.#reads.gauge.frames,
      framesWaitingForLeader: this.#waiting.gauge.frames,
      forwardsPending: this.#forwards.count,
    };
  }

  /**
   * Takes one client frame, valid only during the call. Answers come through `from`, some at once, most from a later turn;
   * what is wrong with a frame is an answer too.
   */
  handle(frame: Uint8Array, from: Requester): void {
    let header: FrameHeader;
    try {
      if (frame.length > LIMITS.clientFrameBytesMax) {
        const details = { bytes: frame.length, bytesMax: LIMITS.clientFrameBytesMax };
        throw new EraftError(
          'ERAFT_FRAME_TOO_LARGE',
          `a frame of ${frame.length} bytes, at most ${details.bytesMax} are taken`,
          details,
        );
      }
      header = readFrameHeader(frame);
    } catch (error) {
      const request = frame.length >= 12 ? Buffer.from(frame.buffer, frame.byteOffset).readUInt32LE(8) : 0;
      from.reply(encodeError(asEraftError(error), this.#options.group, request));
      return;
    }
    this.#route(frame, header, this.#pending(from, header, header.deadlineMs));
  }

  // ---- routing

  #pending(from: Requester, { kind, group, request }: FrameHeader, deadlineMs: number): Pending {
    const patience = Math.min(deadlineMs === 0 ? DEADLINE_MS_DEFAULT : deadlineMs, DEADLINE_MS_MAX);
    return new Pending(from, kind, group, request, this.#options.clock.now() + patience);
  }

  #route(frame: Uint8Array, header: FrameHeader, pending: Pending): void {
    try {
      if (this.#closed !== null) throw this.#closed(false);
      if (header.group !== this.#options.group) throw malformed(`group ${header.group} is not served here`);
      this.#dispatch(frame, pending);
    } catch (error) {
      this.#reject(pending, asEraftError(error));
    }
  }

  #dispatch(frame: Uint8Array, pending: Pending): void {
    switch (pending.kind) {
      case FRAME.hello:
        this.#onHello(frame, pending);
        break;
      case FRAME.write:
        this.#toLeader(frame, pending, () => this.#writes.take(frame, pending));
        break;
      case FRAME.read:
        this.#onRead(frame, pending);
        break;
      case FRAME.scan:
        this.#onScan(frame, pending);
        break;
      case FRAME.status:
        this.#onStatus(pending);
        break;
      case FRAME.closeView:
        this.#onCloseView(frame, pending);
        break;
      default:
        throw malformed(`frame kind ${pending.kind}`);
    }
  }

  /** Here if we lead; to the leader if there is one that can be reached; else later. */
  #toLeader(frame: Uint8Array, pending: Pending, here: () => void): void {
    const { node } = this.#host.group;
    this.#watch(pending);
    const foreign = this.#foreign.has(pending);
    if (!this.#waiting.isEmpty && !foreign)
      this.#waiting.take(frame, pending); // behind those that came before
    else if (node.role === 'leader') here();
    else if (foreign) this.#reject(pending, this.#hints.notLeader());
    else if (node.leader !== 0 && this.#forwards.take(frame, pending, node.leader)) this.#hints.tell(pending.from);
    else this.#waiting.take(frame, pending);
  }

  #watch(pending: Pending): void {
    if (pending.watched) return;
    pending.watched = true;
    this.#deadlines.add(pending);
  }

  #onRead(frame: Uint8Array, pending: Pending): void {
    const body = frameBody(frame);
    const { linearizable, minRevision } = decodeReadHead(body);
    if (linearizable) this.#toLeader(frame, pending, () => this.#reads.takeRead(body, true, 0, pending));
    else {
      this.#watch(pending);
      this.#reads.takeRead(body, false, minRevision, pending);
    }
  }

  /** A page of a pinned view needs no round: what it shows was settled when the view was opened, wherever that was. */
  #onScan(frame: Uint8Array, pending: Pending): void {
    const body = frameBody(frame);
    const { linearizable, minRevision, snapshot } = decodeScanRequest(body);
    const pinned = snapshot !== SNAPSHOT.none && snapshot !== SNAPSHOT.open;
    if (linearizable && !pinned) {
      this.#toLeader(frame, pending, () => this.#reads.takeScan(body, true, 0, pending, null));
      return;
    }
    this.#watch(pending);
    let elsewhere: (() => boolean) | null = null;
    if (pinned && !this.#foreign.has(pending)) {
      const copy = copyOf(frame, 0, frame.length);
      elsewhere = () => this.#scanElsewhere(copy, pending);
    }
    this.#reads.takeScan(body, false, pinned ? 0 : minRevision, pending, elsewhere);
  }

  /** The view is not here: then the leader opened it, when the first page was forwarded. */
  #scanElsewhere(frame: Uint8Array, pending: Pending): boolean {
    const { node } = this.#host.group;
    if (node.role === 'leader' || node.leader === 0) return false;
    return this.#forwards.take(frame, pending, node.leader);
  }

  #onCloseView(frame: Uint8Array, pending: Pending): void {
    this.#options.machine.closeView(decodeCloseView(frameBody(frame)));
    const { node } = this.#host.group;
    if (node.role !== 'leader' && node.leader !== 0 && !this.#foreign.has(pending)) {
      this.#askPeer(frame, NOBODY, node.leader);
    }
    pending.reply(frameOf(FRAME.viewClosed, pending.group, pending.request, 0, NOTHING));
  }

  #onHello(frame: Uint8Array, pending: Pending): void {
    checkHello(frameBody(frame), this.#options);
    const from = pending.from;
    pending.reply(this.welcome());
    this.#hints.tell(from);
  }

  /** The whole Welcome frame. */
  welcome(): Uint8Array {
    return welcomeFrame(this.#options);
  }

  /** A value from memory, as of now. undefined: absent. null: not in memory. */
  peek(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined | null {
    if (this.#closed !== null) throw this.#closed(false);
    const refusal = stateRefusal(this.#host.group.node.installing);
    if (refusal !== null) throw refusal;
    return this.#board.peek(key);
  }

  #onStatus(pending: Pending): void {
    const { group, request } = pending;
    const answer = (status: unknown): void => pending.reply(encodeStatusReply(JSON.stringify(status), group, request));
    if (this.#foreign.has(pending)) answer(this.status());
    else void this.clusterStatus(Math.max(1, (pending.deadline - this.#options.clock.now()) / 2)).then(answer);
  }

  #askPeer(frame: Uint8Array, from: Requester, to: ReplicaId, deadlineMs = 1_000): boolean {
    const pending = this.#pending(from, readFrameHeader(frame), deadlineMs);
    this.#watch(pending);
    return this.#forwards.take(frame, pending, to);
  }

  // ---- HostService

  beforeTurn(): void {
    this.#reads.ask();
  }

  afterApply(): boolean {
    const { progress } = this.#host;
    if (progress.resultsBytes > 0 || this.#writes.waits) this.#writes.drain();
    return this.#reads.serve();
  }

  onProposed(index: number, term: number, record: Gathered<Pending>): void {
    this.#writes.onProposed(index, term, record);
  }

  onNotProposed(record: Gathered<Pending>, why: 'not-leader' | 'uncommitted-limit'): void {
    this.#writes.onNotProposed(record, why);
  }

  onRead(context: number, index: number): void {
    this.#reads.onRead(context, index);
  }

  onReadLost(context: number): void {
    this.#reads.onReadLost(context);
  }

  wantsResults(from: number, to: number): boolean {
    return this.#writes.wantsResults(from, to);
  }

  onRole(): void {
    const { node } = this.#host.group;
    this.#writes.lose(node.role === 'leader', node.term);
    this.#lookUpLeader();
    this.#options.onState(this.#board.role, node.term);
    this.#releaseWaiting();
  }

  onTick(now: number): void {
    this.#deadlines.advance(now, (pending) => {
      const code = pending.expire();
      if (code !== null) this.#options.counters.reject(code);
    });
    this.#waiting.sweep();
    this.#releaseWaiting();
  }

  onForward(from: ReplicaId, kind: number, head: Uint8Array, frame: Uint8Array): void {
    if (kind === PEER_FRAME.forwarded) {
      this.#forwards.onAnswer(from, head, frame);
      return;
    }
    const { request, deadlineMs } = decodeForward(head);
    const header = readFrameHeader(frame);
    this.#options.counters.forwardedIn++;
    const pending = this.#pending(
      new PeerRequester(this.#options.network, this.#host, from, request),
      header,
      deadlineMs,
    );
    this.#foreign.add(pending);
    this.#route(frame, header, pending);
  }

  onConnected(id: ReplicaId, connected: boolean): void {
    if (!connected) this.#forwards.onDisconnected(id);
    this.#lookUpLeader();
    if (connected && id === this.leader.id) this.#releaseWaiting();
  }

  onFailed(error: EraftError): void {
    const message = error.message;
    const honest = (inDoubt: boolean) =>
      new EraftError('ERAFT_FAILED', message, { cause: error, outcome: inDoubt ? 'unknown' : 'not-applied' });
    this.#board.onFailed();
    this.close(honest);
    this.#options.onFailed(error);
  }

  /** Answers everything that is pending with `error`, and what comes from now on. */
  close(error: (inDoubt: boolean) => EraftError): void {
    if (this.#closed !== null) return;
    this.#closed = error;
    this.#board.onDown();
    for (const part of [this.#writes, this.#reads, this.#forwards, this.#waiting]) part.failAll(error);
    const { code, message } = error(false);
    this.#host.tags.abandon(ERRORS[code].wire, message);
  }

  // ---- the leader

  #lookUpLeader(): void {
    const id = this.#host.group.node.leader;
    const address = id === this.replica ? this.#options.clientAddress : (this.#host.peers.get(id)?.clientAddress ?? '');
    if (this.#hints.set(id, address)) this.#options.counters.leaderChanges++;
  }

  #releaseWaiting(): void {
    const { node } = this.#host.group;
    if (this.#waiting.isEmpty || node.leader === 0) return;
    this.#waiting.release((frame, pending) => this.#route(frame, readFrameHeader(frame), pending));
  }

  #reject(pending: Pending, error: EraftError): void {
    this.#options.counters.reject(error.code);
    pending.fail(error);
  }
}

const NOTHING = new Uint8Array(0);
const NOBODY: Requester = { alive: true, reply: () => undefined };

function asEraftError(error: unknown): EraftError {
  if (EraftError.is(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new EraftError('ERAFT_FAILED', text, { cause: error, outcome: 'not-applied' });
}
