// ts/client: the KeyValue interface over a link that comes and goes.
//
// In:   calls of one event-loop turn. Out: whole frames on a Link, at the turn's end; promises settled by answers.
// How:  view.ts takes calls, write-pipeline.ts and read-pipeline.ts gather, send and repeat them, channel.ts matches answers.
// Not:  consensus, storage, native code: `eraft/client` is to be loaded anywhere.
// May import: ts/base, ts/proto. Clocks and chance are handed in; timing is tested in virtual time.
// Start here, then linked-key-value.ts; client.ts and cluster-link.ts are the way over the network.
import type { EraftError } from '../base/errors.js';

/** What the other side accepts. A Welcome fits. */
export interface LinkLimits {
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  readonly frameBytesMax: number;
  readonly batchCommandsMax: number;
  /** Unanswered write frames that it takes, and as many read frames. At least 1. */
  readonly inflightBatchesMax: number;
}

/** What a link tells. Frames arrive between `up` and `down`, and none that was sent before the last `up` is answered. */
export interface LinkEvents {
  up(limits: LinkLimits): void;
  /** What was sent and is not answered may have arrived, or not. Followed by `up`, `ended` or nothing for long. */
  down(reason: EraftError): void;
  /** A whole frame, valid during the call. */
  frame(frame: Uint8Array): void;
  /** There will be no `up` any more. Every call rejects with this, now and later. */
  ended(reason: EraftError): void;
}

/** A way to the cluster: a WebSocket that moves between replicas, or a replica in this process. */
export interface Link {
  /** Called once. May call `events.up` before it returns. */
  open(events: LinkEvents): void;
  /**
   * Sends a whole frame; only between `up` and `down`. The link never writes to it. The sender writes to its header again
   * only to send it once more, after it was answered or the link went down.
   */
  send(frame: Uint8Array): void;
  /** An answer named the leader. A link that can move goes there: `down`, then `up`. */
  follow(leader: { readonly id: number; readonly address: string }): void;
  /** The other side knows no leader. A link that can move looks elsewhere when that lasts. */
  leaderless(): void;
  /** The other side broke the protocol or has failed: leave it, and find another (`down`, later `up`). */
  fail(reason: EraftError): void;
  /** No event comes after this. */
  close(): void;
}
