// A leader's sender and its followers' receivers, on links and disks that a test holds in its hands.
import { SILENT } from '../../ts/base/logger.js';
import { REPLICA_LIMITS, type ReplicaLimits } from '../../ts/host/options.js';
import { SnapshotReceiver } from '../../ts/host/snapshot-receiver.js';
import { SnapshotSender } from '../../ts/host/snapshot-sender.js';
import { PEER_FRAME, PEER_PREFIX_BYTES } from '../../ts/proto/peer-frames.js';
import { decodeSnapshotChunk, decodeSnapshotOffer, decodeSnapshotWant } from '../../ts/proto/snapshot-frames.js';
import type { Network } from '../../ts/transport/network.js';
import { emptyDisk, MemorySnapshots, type SnapshotDisk } from './memory-snapshots.js';
import { ProcessClock, VirtualTime } from './virtual-clock.js';

export interface Sent {
  readonly from: number;
  readonly to: number;
  readonly kind: number;
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** Replica 1 leads term 5; the others follow. */
export class Stage {
  readonly time = new VirtualTime();
  readonly clock = new ProcessClock(this.time);
  readonly wire: Sent[] = [];
  readonly log: Sent[] = []; // all that was ever sent
  readonly offered: number[] = [];
  readonly failed: number[] = [];
  readonly down = new Set<number>();
  readonly full = new Set<number>(); // their queue takes nothing
  readonly receivers = new Map<number, SnapshotReceiver>();
  readonly disks = new Map<number, MemorySnapshots>();
  readonly limits: ReplicaLimits;
  queued = 0;
  wants = 0;
  commit = 0;
  firstIndex = 1;
  sender: SnapshotSender;
  files: MemorySnapshots;
  readonly needy = new Set<number>();

  constructor(disk: SnapshotDisk, limits: Partial<ReplicaLimits> = {}, followers = [2]) {
    this.limits = { ...REPLICA_LIMITS, snapshotBytesPerSecondMax: 1_000_000_000, ...limits };
    this.files = new MemorySnapshots(disk);
    this.sender = this.startSender();
    for (const id of followers) this.startReceiver(id, emptyDisk());
  }

  startSender(): SnapshotSender {
    const stage = this;
    this.files = new MemorySnapshots(this.files.disk);
    this.sender = new SnapshotSender({
      group: 1,
      node: {
        term: 5,
        get firstIndex() {
          return stage.firstIndex;
        },
        wantsSnapshot: (id) => this.needy.has(id),
        offerSnapshot: (id) => this.offered.push(id) > 0,
        snapshotFailed: (id) => this.failed.push(id),
      },
      files: this.files,
      network: this.network(1),
      clock: this.clock,
      logger: SILENT,
      limits: this.limits,
      want: () => this.wants++,
      sent: () => undefined,
    });
    return this.sender;
  }

  startReceiver(id: number, disk: SnapshotDisk): SnapshotReceiver {
    const stage = this;
    const files = new MemorySnapshots(disk);
    const node = {
      term: 5,
      leader: 1,
      get commit() {
        return stage.commit;
      },
      installing: false,
      termAt: () => 0,
    };
    const options = { group: 1, node, files, network: this.network(id), clock: this.clock, logger: SILENT };
    const receiver = new SnapshotReceiver({ ...options, sent: () => undefined });
    this.receivers.set(id, receiver);
    this.disks.set(id, files);
    return receiver;
  }

  need(id: number): void {
    this.needy.add(id);
    this.sender.need(id);
  }

  /** Disks and links work, until nothing moves; at most `frames` frames arrive. */
  run(frames = 1_000): void {
    let left = frames;
    for (let busy = true; busy && left > 0; ) {
      this.sender.advance();
      busy = this.files.run();
      for (const files of this.disks.values()) busy = files.run() || busy;
      const frame = this.wire.shift();
      if (frame === undefined) continue;
      busy = true;
      left -= 1;
      this.arrive(frame);
    }
  }

  arrive({ from, to, kind, head, tail }: Sent): void {
    if (this.down.has(from) || this.down.has(to)) return;
    if (kind === PEER_FRAME.snapshotWant) this.sender.onWant(from, decodeSnapshotWant(head));
    else if (kind === PEER_FRAME.snapshotOffer) this.receivers.get(to)?.onOffer(from, decodeSnapshotOffer(head));
    else this.receivers.get(to)?.onChunk(from, decodeSnapshotChunk(head), tail);
  }

  /** Chunks sent to `id`, by number, since `from`. */
  chunks(id: number, from = 0): number[] {
    return this.log
      .slice(from)
      .filter((sent) => sent.to === id && sent.kind === PEER_FRAME.snapshotChunk)
      .map((sent) => decodeSnapshotChunk(sent.head).number);
  }

  network(from: number): Network {
    const network = {
      send: (to: number, sealed: Uint8Array, tail: readonly Uint8Array[]) => {
        if (this.down.has(to) || this.down.has(from) || this.full.has(to)) return false;
        const frame = Buffer.concat(tail);
        const sent = { from, to, kind: sealed[12] ?? 0, head: sealed.subarray(PEER_PREFIX_BYTES), tail: frame };
        this.wire.push(sent);
        this.log.push(sent);
        return true;
      },
      connected: (id: number) => !this.down.has(id),
      queuedBytes: () => this.queued,
    };
    return network as unknown as Network;
  }
}
