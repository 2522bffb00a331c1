import type { Clock } from '../base/clock.js';
import type { EraftError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { encodeSnapshotWant, type SnapshotChunk, type SnapshotOffer } from '../proto/snapshot-frames.js';
import type { ReplicaId, SnapshotMessage } from '../raft/messages.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { SnapshotPoint } from '../raft/ready.js';
import type { Network } from '../transport/network.js';
import type { SnapshotFiles, SnapshotInfo } from './snapshot-files.js';

const CHUNKS_WAITING_MAX = 4; // not yet written: more than any sender's window
/** After an installation that could not be done. */
const RETRY_MS = 1_000;

export interface SnapshotReceiverOptions {
  readonly group: number;
  readonly node: Pick<RaftNode, 'term' | 'leader' | 'commit' | 'installing' | 'termAt'>;
  readonly files: SnapshotFiles;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Something was given to the network. */
  readonly sent: () => void;
}

interface Incoming {
  from: ReplicaId;
  offer: SnapshotOffer;
  /** The next chunk that may come; those before it are written or on their way to the disk. -1: not yet known. */
  expected: number;
  waiting: number;
}

/**
 * Takes in the snapshot that the leader's host offers. One at a time; what another leader offers takes its place.
 *
 * SAFETY: bytes from outside that are to become the whole state.
 * Claim:   the core hears of a snapshot only when every byte of it is here, verified and durable, and the old state has not
 *          been touched before. Nothing that a peer sends chooses a name on this disk.
 * Why:     chunks go to a file of their own, named by index and term; each is verified against its checksum and its place,
 *          and the last one against all of them, before the file is complete. `mayStep` holds the core's message back
 *          until then.
 * Rests:   native/core/src/snapshot/receiver.rs; the installation verifies all of it once more (engine/snapshots).
 * Checked: test/host/snapshot-transfer.test.ts.
 */
export class SnapshotReceiver {
  readonly #o: SnapshotReceiverOptions;
  #incoming: Incoming | null = null;
  #complete: SnapshotInfo | null = null; // held
  #notBefore = Number.NEGATIVE_INFINITY;
  receivedBytes = 0;

  constructor(options: SnapshotReceiverOptions) {
    this.#o = options;
  }

  onOffer(from: ReplicaId, offer: SnapshotOffer): void {
    const { index, logTerm: term, id, chunks, bytes, transfer } = offer;
    const refused = this.#refusal(from, offer);
    if (refused !== '') {
      this.#answer(from, transfer, 0, refused);
      return;
    }
    const known = this.#incoming;
    if (known !== null && known.offer.id === id && known.offer.bytes === bytes) {
      // The same snapshot, offered again: on a new connection, or since something was lost on the way.
      known.from = from;
      known.offer = offer;
      if (known.expected >= 0) this.#answer(from, transfer, known.expected, '');
      return;
    }
    const incoming: Incoming = { from, offer, expected: -1, waiting: 0 };
    this.#incoming = incoming;
    this.#o.files.receive({ index, term, id, chunks, bytes }, (error, next) => {
      if (next === null || this.#incoming !== incoming) {
        this.#abandon(incoming, error);
        return;
      }
      incoming.expected = next;
      this.#o.logger.info('a snapshot comes in', { peer: incoming.from, index, chunks, next });
      this.#onNext(incoming, next);
    });
  }

  onChunk(from: ReplicaId, { transfer, number }: SnapshotChunk, chunk: Uint8Array): void {
    const incoming = this.#incoming;
    if (incoming === null || incoming.from !== from || incoming.offer.transfer !== transfer) return;
    // One that came twice, or behind one that was lost: the sender offers again, and is told where to go on.
    if (number !== incoming.expected || incoming.waiting >= CHUNKS_WAITING_MAX) return;
    incoming.expected += 1;
    incoming.waiting += 1;
    this.receivedBytes += chunk.length;
    this.#o.files.receiveChunk(number, chunk, (error, next) => {
      incoming.waiting -= 1;
      if (next === null || this.#incoming !== incoming) this.#abandon(incoming, error);
      else this.#onNext(incoming, next);
    });
  }

  /** The complete snapshot that ends there; null: it is not here. */
  held({ index, term }: SnapshotPoint): SnapshotInfo | null {
    for (const info of [this.#complete, this.#o.files.latest()]) {
      if (info !== null && info.index === index && info.term === term) return info;
    }
    return null;
  }

  /** Is the core to hear this? Not before all of the snapshot is here, unless it is of no use to it anyhow. */
  mayStep(m: SnapshotMessage): boolean {
    const { node, clock } = this.#o;
    const needless = m.term < node.term || m.index <= node.commit || node.termAt(m.index) === m.logTerm;
    if (needless || node.installing) return true;
    if (clock.now() < this.#notBefore) return false;
    if (this.held({ index: m.index, term: m.logTerm }) !== null) return true;
    this.#answer(m.from, 0, 0, 'ERAFT_SNAPSHOT_LOST: no such snapshot is here');
    return false;
  }

  /** What came in is installed, or could not be. */
  onInstalled(done: boolean): void {
    if (!done) this.#notBefore = this.#o.clock.now() + RETRY_MS;
    this.#incoming = null;
    this.#letGo();
  }

  #refusal(from: ReplicaId, { group, term, index }: SnapshotOffer): string {
    const { node } = this.#o;
    if (group !== this.#o.group) return `ERAFT_BAD_REQUEST: group ${group} is not served here`;
    if (term !== node.term || node.leader !== from) return 'ERAFT_NOT_LEADER: another term, or another leader';
    if (index <= node.commit) return `ERAFT_BAD_REQUEST: all up to ${node.commit} is here`;
    return node.installing ? 'ERAFT_OVERLOADED: another snapshot is being installed' : '';
  }

  #onNext(incoming: Incoming, next: number): void {
    const { from, offer } = incoming;
    if (next === offer.chunks) this.#keep(offer.id);
    this.#answer(from, offer.transfer, next, '');
  }

  /** It is complete: another one that is made here meanwhile must not take its place. */
  #keep(id: string): void {
    const { files } = this.#o;
    const latest = files.latest();
    if (latest?.id !== id || this.#complete?.id === id) return;
    this.#letGo();
    files.hold(id);
    this.#complete = latest;
  }

  #letGo(): void {
    if (this.#complete !== null) this.#o.files.release(this.#complete.id);
    this.#complete = null;
  }

  /** The disk, or the bytes, or another one in its place: what is here of it counts when it is offered again. */
  #abandon(incoming: Incoming, error: EraftError | null): void {
    if (this.#incoming !== incoming) return;
    this.#incoming = null;
    const { from, offer } = incoming;
    const why = error === null ? 'ERAFT_FAILED: it was not taken' : `${error.code}: ${error.message}`;
    this.#answer(from, offer.transfer, 0, why);
    this.#o.logger.warn('a snapshot is not taken', { peer: from, index: offer.index, error });
  }

  #answer(to: ReplicaId, transfer: number, next: number, refused: string): void {
    if (this.#o.network.send(to, encodeSnapshotWant({ transfer, next, refused }), [])) this.#o.sent();
  }
}
