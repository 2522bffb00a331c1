import type { Timer } from '../base/clock.js';
import type { ReplicaId } from '../raft/messages.js';
import type { HostPort } from './address.js';
import type { Backoff } from './backoff.js';
import type { PeerCounters } from './network.js';
import type { TcpLink } from './tcp-link.js';

/** One other replica: the connection that we receive on, the one that we send on, and what both have seen. */
export class Peer {
  readonly id: ReplicaId;
  readonly backoff: Backoff;
  address: HostPort;
  /** We dialled it, and receive on it. */
  inbound: TcpLink | undefined;
  /** It dialled us; we send on it. Always admitted. */
  outbound: TcpLink | undefined;
  connected = false;
  timer: Timer | undefined;
  /** The last refusal that was told to the host; '' = none. */
  refusal = '';
  dropped = 0;
  garbage = 0;
  refused = 0;
  readonly #past = { sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0 };

  constructor(id: ReplicaId, address: HostPort, backoff: Backoff) {
    this.id = id;
    this.address = address;
    this.backoff = backoff;
  }

  /** Keeps the counts of a link that is gone. */
  retire(link: TcpLink): void {
    this.#past.sentFrames += link.sentFrames;
    this.#past.sentBytes += link.sentBytes;
    this.#past.receivedFrames += link.receivedFrames;
    this.#past.receivedBytes += link.receivedBytes;
  }

  counters(): PeerCounters {
    const { inbound, outbound } = this;
    return {
      id: this.id,
      connected: this.connected,
      queuedBytes: outbound?.queuedBytes ?? 0,
      sentFrames: this.#past.sentFrames + (outbound?.sentFrames ?? 0),
      sentBytes: this.#past.sentBytes + (outbound?.sentBytes ?? 0),
      receivedFrames: this.#past.receivedFrames + (inbound?.receivedFrames ?? 0),
      receivedBytes: this.#past.receivedBytes + (inbound?.receivedBytes ?? 0),
      dropped: this.dropped,
      garbage: this.garbage,
      refused: this.refused,
    };
  }
}
