import type { Clock } from '../base/clock.js';
import { KiB } from '../base/limits.js';
import type { Logger } from '../base/logger.js';
import { encodeSnapshotChunk, encodeSnapshotOffer, type SnapshotWant } from '../proto/snapshot-frames.js';
import type { ReplicaId } from '../raft/messages.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { Network } from '../transport/network.js';
import { ByteRate } from './byte-rate.js';
import type { ReplicaLimits } from './options.js';
import type { SnapshotFiles, SnapshotInfo } from './snapshot-files.js';

/** Chunks on their way to one follower. Each is as long as an append, or shorter. */
const WINDOW_CHUNKS = 2;
/** No chunk leaves while more than this waits for the peer: appends and heartbeats go first. */
const QUEUE_BYTES_MAX = 256 * KiB;
const PATIENCE_MS = 3_000;
const OFFERS_MAX = 10; // in a row, without an answer
const RATE_BURST_MS = 100;
/** After a transfer that came to nothing. */
const RETRY_MS = 1_000;

export interface SnapshotSenderOptions {
  readonly group: number;
  readonly node: Pick<RaftNode, 'term' | 'firstIndex' | 'wantsSnapshot' | 'offerSnapshot' | 'snapshotFailed'>;
  readonly files: SnapshotFiles;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  /** A complete snapshot that the log follows is wanted. Asked again and again until there is one. */
  readonly want: () => void;
  /** Something was given to the network. */
  readonly sent: () => void;
}

interface Transfer {
  readonly to: ReplicaId;
  /** queued: waits for a snapshot, a free stream or a connection. held: the follower's host has all of it. */
  phase: 'queued' | 'offered' | 'sending' | 'held';
  number: number;
  snapshot: SnapshotInfo | null;
  /** The next chunk to send; all before `taken` are with the follower. */
  next: number;
  taken: number;
  reading: boolean;
  /** Of the last sign of life, or of the last offer. */
  since: number;
  offers: number;
}

/**
 * Brings snapshots to the followers that the core names, until each of them needs none any more.
 *
 * SAFETY: a stream of megabytes on the connection that carries heartbeats and appends.
 * Claim:   no message waits behind more than WINDOW_CHUNKS chunks, however slow the peer, the disk or the network is.
 * Why:     a chunk leaves only when less than QUEUE_BYTES_MAX waits for this peer and at most WINDOW_CHUNKS - 1 chunks of the
 *          stream are not yet taken, and over time no more than snapshotBytesPerSecondMax of them on all streams together.
 *          The follower takes a chunk when it is written, so its disk is chunk of the window.
 * Rests:   a chunk holds at most the largest row beyond 256 KiB (docs/snapshot-format.md).
 * Checked: test/host/snapshot-transfer.test.ts.
 */
export class SnapshotSender {
  readonly #o: SnapshotSenderOptions;
  readonly #transfers = new Map<ReplicaId, Transfer>();
  readonly #rate: ByteRate;
  readonly #notBefore = new Map<ReplicaId, number>();
  #numbers = 0;
  sentBytes = 0;
  sentSnapshots = 0;

  constructor(options: SnapshotSenderOptions) {
    this.#o = options;
    const { limits, clock } = options;
    this.#rate = new ByteRate(limits.snapshotBytesPerSecondMax, RATE_BURST_MS, clock.now());
  }

  /** Streams under way. */
  get streams(): number {
    let count = 0;
    for (const { phase } of this.#transfers.values()) if (phase === 'offered' || phase === 'sending') count += 1;
    return count;
  }

  /** The log behind here is needed by followers that get a snapshot now; Infinity: there is none. */
  get keepsLogFrom(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { snapshot } of this.#transfers.values()) {
      if (snapshot !== null) least = Math.min(least, snapshot.index);
    }
    return least;
  }

  /** The core has named a follower. */
  need(to: ReplicaId): void {
    const before = this.#transfers.get(to);
    if (before !== undefined) this.#end(before);
    const fresh = { next: 0, taken: 0, reading: false, since: 0, offers: 0, snapshot: null };
    this.#transfers.set(to, { to, phase: 'queued', number: 0, ...fresh });
    this.#o.logger.info('a follower needs a snapshot', { peer: to });
  }

  onConnected(id: ReplicaId, connected: boolean): void {
    const transfer = this.#transfers.get(id);
    if (transfer === undefined || connected || transfer.phase === 'held') return;
    transfer.phase = 'queued'; // what it has, it says when it is offered again
  }

  /** What a follower's host says of its transfer. */
  onWant(from: ReplicaId, { transfer: number, next, refused }: SnapshotWant): void {
    const transfer = this.#transfers.get(from);
    const { snapshot, phase } = transfer ?? { snapshot: null, phase: 'queued' };
    if (transfer === undefined || snapshot === null || phase === 'queued') return;
    const any = number === 0 && phase === 'held'; // it has forgotten the transfer, and has nothing of it
    if (!any && number !== transfer.number) return;
    if (refused !== '') {
      this.#fail(transfer, refused);
      return;
    }
    if (phase === 'held' || next > snapshot.chunks || (phase === 'sending' && next < transfer.taken)) return;
    if (phase === 'offered') transfer.next = next;
    transfer.phase = 'sending';
    transfer.offers = 0;
    transfer.taken = next;
    transfer.next = Math.max(transfer.next, next);
    transfer.since = this.#o.clock.now();
    if (next === snapshot.chunks) this.#complete(transfer, snapshot);
    else this.#send(transfer, snapshot);
  }

  /** Goes on with whatever can go on. Once per turn that changes something, and at each tick. */
  advance(): void {
    if (this.#transfers.size === 0) return;
    for (const transfer of [...this.#transfers.values()]) {
      if (!this.#o.node.wantsSnapshot(transfer.to)) this.#end(transfer);
      else this.#advance(transfer);
    }
  }

  #advance(transfer: Transfer): void {
    const { phase, snapshot } = transfer;
    if (phase === 'held') return;
    if (phase === 'queued') {
      this.#start(transfer);
      return;
    }
    if (snapshot === null) return;
    const late = this.#o.clock.now() - transfer.since > PATIENCE_MS;
    if (late && transfer.offers >= OFFERS_MAX) this.#fail(transfer, 'it does not answer');
    else if (late) this.#offer(transfer, snapshot);
    else if (phase === 'sending') this.#send(transfer, snapshot);
  }

  #start(transfer: Transfer): void {
    const { node, files, network, limits, clock, want } = this.#o;
    if (clock.now() < (this.#notBefore.get(transfer.to) ?? 0)) return;
    if (!network.connected(transfer.to) || this.streams >= limits.snapshotStreamsMax) return;
    const latest = files.latest();
    if (latest === null || latest.index < node.firstIndex - 1) {
      this.#letGo(transfer);
      want();
      return;
    }
    if (transfer.snapshot?.id !== latest.id) {
      this.#letGo(transfer);
      files.hold(latest.id);
    }
    transfer.number = ++this.#numbers;
    transfer.offers = 0;
    this.#offer(transfer, latest);
  }

  #offer(transfer: Transfer, snapshot: SnapshotInfo): void {
    const { node, group, clock } = this.#o;
    const { index, term: logTerm, id, chunks, bytes } = snapshot;
    transfer.phase = 'offered';
    transfer.snapshot = snapshot;
    transfer.since = clock.now();
    transfer.offers += 1;
    const offer = { transfer: transfer.number, group, term: node.term, index, logTerm, id, chunks, bytes };
    this.#give(transfer.to, encodeSnapshotOffer(offer), []);
  }

  #send(transfer: Transfer, snapshot: SnapshotInfo): void {
    const { files, network, clock } = this.#o;
    const { to, number } = transfer;
    if (transfer.reading || transfer.next >= snapshot.chunks) return;
    if (transfer.next - transfer.taken >= WINDOW_CHUNKS || network.queuedBytes(to) > QUEUE_BYTES_MAX) return;
    if (!this.#rate.allows(clock.now())) return;
    transfer.reading = true;
    const chunk = transfer.next;
    files.read(snapshot.id, chunk, (error, bytes) => {
      transfer.reading = false;
      const current = transfer.phase === 'sending' && transfer.number === number && transfer.next === chunk;
      if (!current || this.#transfers.get(to) !== transfer) return;
      if (bytes === null) {
        this.#fail(transfer, error?.message ?? 'it cannot be read');
        return;
      }
      this.#rate.spend(bytes.length);
      transfer.next = chunk + 1;
      if (this.#give(to, encodeSnapshotChunk({ transfer: number, number: chunk }, bytes.length), [bytes])) {
        this.sentBytes += bytes.length;
      }
      this.#send(transfer, snapshot);
    });
  }

  /** All of it is there: now the cores talk. */
  #complete(transfer: Transfer, { index, term }: SnapshotInfo): void {
    transfer.phase = 'held';
    this.sentSnapshots += 1;
    this.#o.logger.info('a follower has the whole snapshot', { peer: transfer.to, index });
    if (!this.#o.node.offerSnapshot(transfer.to, { index, term })) this.#fail(transfer, 'the log was cut beyond it');
  }

  #give(to: ReplicaId, sealed: Uint8Array, tail: Uint8Array[]): boolean {
    const taken = this.#o.network.send(to, sealed, tail);
    if (taken) this.#o.sent();
    return taken; // what was dropped is found missing when patience ends
  }

  #fail(transfer: Transfer, why: string): void {
    this.#end(transfer);
    this.#notBefore.set(transfer.to, this.#o.clock.now() + RETRY_MS);
    this.#o.logger.warn('a snapshot was not taken', { peer: transfer.to, why });
    this.#o.node.snapshotFailed(transfer.to);
  }

  #end(transfer: Transfer): void {
    this.#transfers.delete(transfer.to);
    this.#letGo(transfer);
  }

  #letGo(transfer: Transfer): void {
    if (transfer.snapshot !== null) this.#o.files.release(transfer.snapshot.id);
    transfer.snapshot = null;
  }
}
