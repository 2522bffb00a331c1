// Links over TCP. Each pair of replicas has two connections: who is to receive dials, who is to send accepts. Bulk flows
// from the leader to the others, and only the side that dials can have node:net read into a buffer of its own choosing,
// so this is the way in which receiving costs no allocation, whoever leads.
import { createServer, type Server, Socket } from 'node:net';
import type { Clock, Random, Timer } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import type { Logger } from '../base/logger.js';
import { encodeRaftFrame } from '../proto/peer-frames.js';
import { PEER_HELLO_BYTES_MAX, type PeerHello } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';
import { parseHostPort } from './address.js';
import { Backoff } from './backoff.js';
import { FrameReader } from './frame-reader.js';
import type { Network, NetworkHost, PeerCounters } from './network.js';
import { type LinkEvents, TcpLink } from './tcp-link.js';
import { Peer } from './tcp-peer.js';

export interface TcpNetworkOptions {
  readonly id: ReplicaId;
  /** `host:port` to listen on. */
  readonly listen: string;
  /** Every other replica's `host:port`. */
  readonly peers: ReadonlyMap<ReplicaId, string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Bytes waiting for one peer; over it, frames to it are dropped. */
  readonly queueBytesMax: number;
  /** false: connections do not keep the process running. */
  readonly keepAlive: boolean;
  /** An idle sender says so this often; ms. */
  readonly pingMs?: number;
}

const PING_MS = 500;
const QUIET_PINGS_MAX = 6; // nothing received for so long: the connection is dead, dial again
const STALLED_PINGS_MAX = 20; // nothing taken from a full queue for so long: hang up
const CONNECT_PINGS_MAX = 6; // for connecting and the handshake
const STRANGERS_MAX = 64; // accepted connections that have not said hello
const GARBAGE_LOG_MS = 10_000;
const CLOSE_MS = 500; // for the last bytes of a peer that is slow to take them

export class TcpNetwork implements Network {
  readonly #options: TcpNetworkOptions;
  readonly #peers = new Map<ReplicaId, Peer>();
  readonly #strangers = new Set<TcpLink>();
  readonly #dirty = new Set<TcpLink>();
  readonly #sockets = new Set<Socket>(); // accepted ones: the server closes when they have
  readonly #server: Server;
  #host: NetworkHost | null = null;
  #watchdog: Timer | null = null;
  #garbageLoggedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: TcpNetworkOptions) {
    this.#options = options;
    for (const [id, address] of options.peers) {
      if (id === options.id) continue;
      this.#peers.set(id, new Peer(id, parseHostPort(address), new Backoff(options.random)));
    }
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async start(host: NetworkHost): Promise<void> {
    this.#host = host;
    await listen(this.#server, this.#options.listen);
    this.#server.on('error', (error) =>
      this.#options.logger.warn('a peer connection could not be accepted', { error }),
    );
    if (!this.#options.keepAlive) this.#server.unref();
    for (const peer of this.#peers.values()) this.#dial(peer);
    this.#watch();
  }

  /** Where it listens: of use when the port was chosen by the system. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Where to find a peer from now on: a test's way to name ports that the system chose. */
  setAddress(id: ReplicaId, address: string): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) peer.address = parseHostPort(address);
  }

  send(to: ReplicaId, sealed: Uint8Array, tail: readonly Uint8Array[], gone?: () => void): boolean {
    const peer = this.#peers.get(to);
    const link = peer?.outbound;
    if (peer === undefined || link === undefined || !link.open || link.queuedBytes > this.#options.queueBytesMax) {
      if (peer !== undefined) peer.dropped++;
      return false;
    }
    link.send(sealed, tail, gone);
    this.#dirty.add(link);
    return true;
  }

  flush(): void {
    for (const link of this.#dirty) link.flush();
    this.#dirty.clear();
  }

  announce(): void {
    const host = this.#host;
    if (host === null) return;
    for (const peer of this.#peers.values()) peer.outbound?.sendHello(host.hello(peer.id));
  }

  disconnect(id: ReplicaId): void {
    const peer = this.#peers.get(id);
    peer?.outbound?.close('disconnected');
    peer?.inbound?.close('disconnected');
  }

  connected(id: ReplicaId): boolean {
    return this.#peers.get(id)?.connected ?? false;
  }

  queuedBytes(id: ReplicaId): number {
    return this.#peers.get(id)?.outbound?.queuedBytes ?? 0;
  }

  counters(): readonly PeerCounters[] {
    return [...this.#peers.values()].map((peer) => peer.counters());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchdog?.cancel();
    for (const link of [...this.#strangers]) link.close('closing');
    for (const peer of this.#peers.values()) {
      peer.timer?.cancel();
      peer.outbound?.end('closing');
      peer.outbound = undefined;
      peer.inbound?.close('closing');
    }
    if (!this.#server.listening) return;
    const force = this.#options.clock.after(CLOSE_MS, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await new Promise<void>((done) => this.#server.close(() => done()));
    force.cancel();
  }

  // ---- connections

  #accept(socket: Socket): void {
    if (this.#closed || this.#strangers.size >= STRANGERS_MAX) {
      socket.destroy();
      return;
    }
    if (!this.#options.keepAlive) socket.unref();
    const link = new TcpLink(socket, new FrameReader(PEER_HELLO_BYTES_MAX), 0, this.#acceptedEvents);
    socket.on('data', (chunk) => link.push(chunk));
    this.#strangers.add(link);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #dial(peer: Peer): void {
    const host = this.#host;
    if (this.#closed || host === null) return;
    const reader = new FrameReader(LIMITS.peerFrameBytesMax);
    const onread = {
      buffer: () => reader.room(),
      callback: (bytes: number) => {
        link.received(bytes);
        return true;
      },
    };
    const socket = new Socket({ onread } as ConstructorParameters<typeof Socket>[0]);
    if (!this.#options.keepAlive) socket.unref();
    const link = new TcpLink(socket, reader, peer.id, this.#dialledEvents);
    peer.inbound = link;
    socket.connect({ ...peer.address, noDelay: true }, () => link.sendHello(host.hello(peer.id)));
  }

  /** They dialled: their hello comes first and ours is the answer; then we send. */
  readonly #acceptedEvents: LinkEvents = {
    hello: (link, hello) => {
      const host = this.#host;
      if (host === null) return;
      if (link.admitted || hello.refused !== '') return this.#theyRefuse(link, hello);
      const refusal = host.judge(hello, null);
      const peer = this.#peers.get(hello.replica);
      if (refusal !== null || peer === undefined) {
        const why = refusal ?? `ERAFT_REPLICA_UNKNOWN: replica ${hello.replica} has no address here`;
        link.sendHello({ ...host.hello(hello.replica), refused: why });
        if (peer !== undefined && hello.to === this.#options.id) peer.refused++;
        this.#weRefuse(hello.replica, why);
        link.end(why);
        return;
      }
      this.#strangers.delete(link);
      const before = peer.outbound;
      link.peer = peer.id;
      link.admitted = true;
      link.sendHello(host.hello(peer.id));
      peer.outbound = link;
      before?.close('replaced by a newer connection');
      host.onHello(hello);
      this.#settle(peer);
    },
    frame: () => {
      throw new Error('a frame on the connection that is ours to send on');
    },
    garbage: (link, error) => this.#garbage(link, error),
    closed: (link) => {
      this.#strangers.delete(link);
      this.#dirty.delete(link);
      const peer = this.#peers.get(link.peer);
      if (peer === undefined) return;
      peer.retire(link);
      if (peer.outbound === link) peer.outbound = undefined;
      this.#settle(peer);
    },
  };

  /** We dialled: ours was the first hello; what follows theirs is what they have to say. */
  readonly #dialledEvents: LinkEvents = {
    hello: (link, hello) => {
      const host = this.#host;
      const peer = this.#peers.get(link.peer);
      if (host === null || peer === undefined) return;
      if (hello.refused !== '') return this.#theyRefuse(link, hello);
      const refusal = host.judge(hello, peer.id);
      if (refusal !== null) {
        peer.refused++;
        this.#weRefuse(peer.id, refusal);
        link.sendHello({ ...host.hello(peer.id), refused: refusal });
        link.end(refusal);
        return;
      }
      const first = !link.admitted;
      link.admitted = true;
      if (first) peer.backoff.reset();
      host.onHello(hello);
      if (first) this.#settle(peer);
    },
    frame: (link, kind, head, tail) => this.#host?.onFrame(link.peer, kind, head, tail),
    garbage: (link, error) => this.#garbage(link, error),
    closed: (link, why) => {
      const peer = this.#peers.get(link.peer);
      if (peer === undefined || peer.inbound !== link) return;
      peer.retire(link);
      peer.inbound = undefined;
      this.#settle(peer);
      if (this.#closed) return;
      const ms = peer.backoff.next();
      this.#options.logger.debug('a peer is not connected', { peer: peer.id, why, retryMs: Math.round(ms) });
      peer.timer = this.#options.clock.after(ms, () => this.#dial(peer));
    },
  };

  #theyRefuse(link: TcpLink, hello: PeerHello): void {
    const peer = this.#peers.get(link.peer === 0 ? hello.replica : link.peer);
    if (peer !== undefined && hello.refused !== '') {
      peer.backoff.discourage();
      this.#tellRefused(peer, 'them', hello.refused);
    }
    link.close(hello.refused === '' ? 'it said hello twice' : hello.refused);
  }

  #weRefuse(id: ReplicaId, why: string): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) this.#tellRefused(peer, 'us', why);
    else if (this.#mayLogGarbage()) this.#options.logger.warn('a stranger was refused', { replica: id, why });
  }

  #tellRefused(peer: Peer, by: 'us' | 'them', why: string): void {
    if (peer.refusal === why) return;
    peer.refusal = why;
    this.#host?.onRefused(peer.id, by, why);
  }

  /** After any change of a peer's links: tells the host when both directions work, or no longer. */
  #settle(peer: Peer): void {
    const connected = peer.inbound?.admitted === true && peer.outbound?.admitted === true;
    if (connected === peer.connected) return;
    peer.connected = connected;
    if (connected && peer.refusal !== '') {
      peer.refusal = '';
      this.#host?.onRefused(peer.id, 'us', '');
    }
    this.#host?.onConnected(peer.id, connected);
  }

  // ---- what goes wrong

  #garbage(link: TcpLink, error: unknown): void {
    const peer = this.#peers.get(link.peer);
    if (peer !== undefined) peer.garbage++;
    if (!this.#mayLogGarbage()) return;
    const from = `${link.socket.remoteAddress}:${link.socket.remotePort}`;
    this.#options.logger.warn('what came over a peer connection is no frame; it is closed', {
      from,
      peer: link.peer,
      error,
    });
  }

  #mayLogGarbage(): boolean {
    const now = this.#options.clock.now();
    if (now - this.#garbageLoggedAt < GARBAGE_LOG_MS) return false;
    this.#garbageLoggedAt = now;
    return true;
  }

  /** One timer for all links: says something on idle ones, gives up on dead ones. */
  #watch(): void {
    this.#watchdog = this.#options.clock.after(this.#options.pingMs ?? PING_MS, () => {
      for (const link of [...this.#strangers]) if (++link.quietIn > CONNECT_PINGS_MAX) link.close('it says nothing');
      for (const peer of this.#peers.values()) {
        if (peer.inbound !== undefined && ++peer.inbound.quietIn > QUIET_PINGS_MAX)
          peer.inbound.close('it has fallen silent');
        if (peer.outbound !== undefined) this.#watchOutbound(peer.outbound);
      }
      if (!this.#closed) this.#watch();
    });
  }

  #watchOutbound(link: TcpLink): void {
    const queued = link.queuedBytes;
    link.stalled = queued > 0 && queued >= link.stalledQueue && link.stalledQueue > 0 ? link.stalled + 1 : 0;
    link.stalledQueue = queued;
    if (link.stalled > STALLED_PINGS_MAX) link.close('it takes nothing');
    else if (queued === 0 && ++link.quietOut > 1) {
      link.send(encodeRaftFrame([]), []);
      link.flush();
    }
  }
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const taken = error.code === 'EADDRINUSE';
      const what = taken ? 'another process listens there' : error.message;
      reject(
        new EraftError(taken ? 'ERAFT_PORT_IN_USE' : 'ERAFT_IO', `cannot listen for peers on ${address}: ${what}`, {
          cause: error,
        }),
      );
    };
    server.once('error', failed);
    server.listen(parseHostPort(address), () => {
      server.off('error', failed);
      resolve();
    });
  });
}
