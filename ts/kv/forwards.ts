import { EraftError } from '../base/errors.js';
import type { Host } from '../host/host.js';
import { decodeForward, encodeForward, PEER_FRAME } from '../proto/peer-frames.js';
import { copyOf } from '../proto/table.js';
import type { ReplicaId } from '../raft/messages.js';
import type { Network } from '../transport/network.js';
import type { KvContext } from './context.js';
import type { Pending } from './pending.js';
import type { Requester } from './requester.js';

interface Forwarded {
  readonly pending: Pending;
  readonly to: ReplicaId;
}

/**
 * Requests passed on to the leader, as they came. One is passed on at most once: when nothing is heard of it, whether it
 * was done is not known here, and a write is never done twice for the sake of an answer.
 */
export class Forwards {
  readonly #context: KvContext;
  readonly #pending = new Map<number, Forwarded>();
  #next = 1;
  #sweepAt = 1024;

  constructor(context: KvContext) {
    this.#context = context;
  }

  get count(): number {
    return this.#pending.size;
  }

  /** False: `to` cannot take it now; nothing was sent. `frame` is copied. */
  take(frame: Uint8Array, pending: Pending, to: ReplicaId): boolean {
    const { network, host, clock, limits, counters } = this.#context;
    if (this.#pending.size >= this.#sweepAt) this.#sweep();
    if (this.#pending.size >= limits.forwardFramesMax) {
      const message = `${this.#pending.size} requests are forwarded and not answered already`;
      this.#context.reject(pending, new EraftError('ERAFT_OVERLOADED', message));
      return true;
    }
    const request = this.#next;
    const deadlineMs = Math.max(1, Math.ceil(pending.deadline - clock.now()));
    const head = encodeForward(PEER_FRAME.forward, { request, deadlineMs }, frame.length);
    if (!network.connected(to) || !network.send(to, head, [copyOf(frame, 0, frame.length)])) return false;
    this.#next = this.#next === 0xffff_ffff ? 1 : this.#next + 1;
    this.#pending.set(request, { pending, to });
    pending.fate = 'in-doubt';
    pending.discharge();
    counters.forwarded++;
    host.sent();
    return true;
  }

  /** The answer is a client frame that carries the client's own request number: it goes on as it is. */
  onAnswer(from: ReplicaId, head: Uint8Array, frame: Uint8Array): void {
    const { request } = decodeForward(head);
    const forwarded = this.#pending.get(request);
    if (forwarded?.to !== from) return; // given up meanwhile
    this.#pending.delete(request);
    forwarded.pending.reply(frame);
  }

  /** What was on its way to or from `id` may be lost. */
  onDisconnected(id: ReplicaId): void {
    for (const [request, { pending, to }] of this.#pending) {
      if (to !== id) continue;
      this.#pending.delete(request);
      const lost = `the connection to replica ${id} was lost with the request on its way`;
      this.#context.reject(
        pending,
        new EraftError(pending.isWrite ? 'ERAFT_OUTCOME_UNKNOWN' : 'ERAFT_UNAVAILABLE', lost),
      );
    }
  }

  failAll(error: (inDoubt: boolean) => EraftError): void {
    for (const { pending } of this.#pending.values()) pending.fail(error(pending.isWrite));
    this.#pending.clear();
  }

  /** Forgets those whose deadline has passed. */
  #sweep(): void {
    for (const [request, { pending }] of this.#pending) if (pending.abandoned()) this.#pending.delete(request);
    this.#sweepAt = Math.max(1024, 2 * this.#pending.size);
  }
}

/** Whoever asked another replica, which passed the request on to this one. */
export class PeerRequester implements Requester {
  readonly #network: Network;
  readonly #host: Host<Pending>;
  readonly #to: ReplicaId;
  readonly #request: number;

  constructor(network: Network, host: Host<Pending>, to: ReplicaId, request: number) {
    this.#network = network;
    this.#host = host;
    this.#to = to;
    this.#request = request;
  }

  get alive(): boolean {
    return this.#network.connected(this.#to);
  }

  reply(frame: Uint8Array): void {
    const head = encodeForward(PEER_FRAME.forwarded, { request: this.#request, deadlineMs: 0 }, frame.length);
    this.#network.send(this.#to, head, [copyOf(frame, 0, frame.length)]);
    this.#host.sent();
  }
}
