// A replica that does as it is told: the server's own behaviour is tested against it, without Raft and storage.
import { EraftError } from '../../ts/base/errors.js';
import { LIMITS } from '../../ts/base/limits.js';
import { decodeHello, encodeError, encodeWelcome } from '../../ts/proto/control-frames.js';
import { FRAME, type FrameHeader, frameBody, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import type { MetricsSnapshot, Requester, ServedLeader, ServedReplica, ServedService } from '../../ts/server/served.js';

export const CLUSTER = '0123456789abcdef0123456789abcdef';

export interface HeldFrame {
  readonly header: FrameHeader;
  readonly from: Requester;
  /** Answers with so many bytes of body. */
  answer(bytes?: number): void;
}

const EMPTY_HISTOGRAM = { bounds: [0.001, 1], counts: [2, 1, 1], sum: 4.5, count: 4 };

export class FakeReplica implements ServedReplica, ServedService {
  readonly clusterId = CLUSTER;
  readonly replica = 7;
  leader: ServedLeader = { id: 7, address: '127.0.0.1:2460' };
  /** Frames that are neither hello nor answered at once. */
  readonly held: HeldFrame[] = [];
  /** What a frame is answered with at once; undefined: it is held. */
  answerNow: ((header: FrameHeader) => number | undefined) | undefined;
  readonly snapshots = {
    make: () => Promise.reject(new EraftError('ERAFT_IO', 'there is no disk')),
    compact: () => Promise.reject(new EraftError('ERAFT_IO', 'there is no disk')),
    hold: () => ({ release: () => undefined }),
    read: () => Promise.reject(new EraftError('ERAFT_SNAPSHOT_LOST', 'there is none')),
  };
  #onHeld: (() => void) | undefined;
  readonly #listeners = new Set<(leader: ServedLeader) => void>();

  get service(): ServedService {
    return this;
  }

  handle(frame: Uint8Array, from: Requester): void {
    const header = readFrameHeader(frame);
    if (header.kind === FRAME.hello) this.#greet(frame, from);
    else if (header.kind <= FRAME.closeView) this.#work(header, from);
    else from.reply(encodeError(new EraftError('ERAFT_BAD_REQUEST', 'unknown kind'), header.group, header.request));
  }

  #work(header: FrameHeader, from: Requester): void {
    const answer = (bytes = 0): void =>
      from.reply(frameOf(FRAME.written, header.group, header.request, 0, new Uint8Array(bytes)));
    const now = this.answerNow?.(header);
    if (now === undefined) {
      this.held.push({ header, from, answer });
      this.#onHeld?.();
    } else {
      answer(now);
    }
  }

  /** Resolves when so many frames are held. */
  async holds(count: number): Promise<void> {
    while (this.held.length < count) {
      await new Promise<void>((resolve) => {
        this.#onHeld = resolve;
      });
    }
  }

  setLeader(leader: ServedLeader): void {
    this.leader = leader;
    for (const listener of this.#listeners) listener(leader);
  }

  onLeaderChange(listener: (leader: ServedLeader) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): ReturnType<ServedService['status']> {
    return { id: 7, role: 'leader' } as ReturnType<ServedService['status']>;
  }

  clusterStatus(): ReturnType<ServedService['clusterStatus']> {
    return Promise.resolve({ clusterId: CLUSTER, leader: this.leader.id, replicas: [] });
  }

  metrics(): MetricsSnapshot {
    const numbers = new Proxy({}, { get: () => 3 }) as MetricsSnapshot;
    return {
      ...numbers,
      role: 'leader',
      term: 5,
      rejected: { ERAFT_DISK_FULL: 2 },
      commitSeconds: EMPTY_HISTOGRAM,
      batchCommands: EMPTY_HISTOGRAM,
      peers: [],
      storage: undefined,
    } as MetricsSnapshot;
  }

  #greet(frame: Uint8Array, from: Requester): void {
    const hello = decodeHello(frameBody(frame));
    const refusal =
      hello.versionMin > 1 || hello.versionMax < 1
        ? new EraftError('ERAFT_VERSION', 'only version 1')
        : hello.cluster !== '' && hello.cluster !== CLUSTER
          ? new EraftError('ERAFT_WRONG_CLUSTER', 'another cluster')
          : undefined;
    if (refusal !== undefined) {
      from.reply(encodeError(refusal, 1, 0));
      return;
    }
    from.reply(
      encodeWelcome({
        version: 1,
        features: 0n,
        cluster: CLUSTER,
        replica: 7,
        server: 'fake',
        keyBytesMax: LIMITS.keyBytesMax,
        valueBytesMax: LIMITS.valueBytesMax,
        frameBytesMax: LIMITS.clientFrameBytesMax,
        batchCommandsMax: LIMITS.batchCommandsMax,
        inflightBatchesMax: LIMITS.sessionWindow,
      }),
    );
  }
}
