// The same links in virtual time: frames arrive after a delay that is drawn from a seed, or not at all. Frames are copied when
// sent and decoded when they arrive, as over a wire.
import type { Clock, Random } from '../base/clock.js';
import { PEER_FRAME, PEER_PREFIX_BYTES } from '../proto/peer-frames.js';
import { decodePeerHello, encodePeerHello } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';
import type { Network, NetworkHost, PeerCounters } from './network.js';

export interface MemoryHubOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds from sending to arrival: `delayMs` at least, up to `jitterMs` more. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Bytes under way to one replica from one other; over it, frames are dropped. */
  readonly queueBytesMax: number;
}

/** What becomes of a frame: when each copy of it arrives, in ms from now. None: it is lost. */
export interface Fate {
  readonly delays: readonly number[];
  /** Behind what was sent before it, as on one connection. Raft frames alone may overtake. */
  readonly inOrder: boolean;
}

/** The event loop of a replica, as far as the network sees it. */
export interface Receiver {
  readonly paused: boolean;
  /** Runs this when the process next looks at its sockets: now, unless it stands still. */
  poll(run: () => void): void;
}

const AT_ONCE: Receiver = { paused: false, poll: (run) => run() };

/** One direction between two replicas. */
interface Way {
  cut: boolean;
  /** One was under way while it was cut. */
  owesHello: boolean;
  lastArrival: number;
  bytesUnderWay: number;
}

/** What travels, and connects, between the replicas of one process. */
export class MemoryHub {
  /** Chance that a Raft frame is lost, 0 to 1. */
  loss = 0;
  /** Decides instead of `loss`, `delayMs` and `jitterMs`. */
  weather: ((from: ReplicaId, to: ReplicaId, frame: Uint8Array) => Fate) | null = null;
  /** Called with every frame that leaves, before anything becomes of it. */
  onSend: ((from: ReplicaId, to: ReplicaId, frame: Uint8Array) => void) | null = null;
  /** Called with every frame that arrives. */
  onDelivery: ((from: ReplicaId, to: ReplicaId, frame: Uint8Array) => void) | null = null;
  /** Called when a replica takes a frame for garbage, which ends the connection that it came on. */
  onGarbage: ((from: ReplicaId, to: ReplicaId, error: unknown) => void) | null = null;
  readonly options: MemoryHubOptions;
  readonly #endpoints = new Map<ReplicaId, MemoryNetwork>();
  readonly #ways = new Map<ReplicaId, Map<ReplicaId, Way>>();

  constructor(options: MemoryHubOptions) {
    this.options = options;
  }

  /** The network of replica `id`, which takes its place at `start`. */
  endpoint(id: ReplicaId, receiver: Receiver = AT_ONCE): MemoryNetwork {
    return new MemoryNetwork(this, id, receiver);
  }

  /**
   * Nothing sent from `from` to `to` arrives any more. Connections stay, as TCP's do; new ones are not made. Of what was sent on
   * one meanwhile, a hello arrives when the cut is mended: who says it does not say it again.
   */
  cut(from: ReplicaId, to: ReplicaId): void {
    this.#way(from, to).cut = true;
  }

  /** Undoes a cut. */
  mend(from: ReplicaId, to: ReplicaId): void {
    this.#mendWay(from, to);
    const a = this.#endpoints.get(from);
    const b = this.#endpoints.get(to);
    if (a !== undefined && b !== undefined) this.#connect(a, b);
  }

  isCut(from: ReplicaId, to: ReplicaId): boolean {
    return this.#way(from, to).cut;
  }

  /** Cuts both ways between the members of different groups, and nowhere else. */
  partition(...groups: readonly (readonly ReplicaId[])[]): void {
    this.#mendAll();
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue;
        for (const a of group) for (const b of other) this.cut(a, b);
      }
    }
  }

  heal(): void {
    this.#mendAll();
    for (const a of this.#endpoints.values()) this.join(a);
  }

  /** Connects a replica that has started, or goes on after a pause, with every other one that lets it. */
  join(endpoint: MemoryNetwork): void {
    this.#endpoints.set(endpoint.id, endpoint);
    for (const other of this.#endpoints.values()) if (other !== endpoint) this.#connect(endpoint, other);
  }

  leave(endpoint: MemoryNetwork): void {
    if (this.#endpoints.get(endpoint.id) === endpoint) this.#endpoints.delete(endpoint.id);
    for (const other of this.#endpoints.values()) other.drop(endpoint.id);
  }

  /** Bytes sent and not yet arrived. */
  underWay(from: ReplicaId, to: ReplicaId): number {
    return this.#way(from, to).bytesUnderWay;
  }

  sever(a: ReplicaId, b: ReplicaId): void {
    this.#endpoints.get(a)?.drop(b);
    this.#endpoints.get(b)?.drop(a);
  }

  /** @returns false when it was refused at the door: too much is under way */
  transmit(from: MemoryNetwork, to: ReplicaId, frame: Uint8Array): boolean {
    const { clock, queueBytesMax } = this.options;
    const way = this.#way(from.id, to);
    if (way.bytesUnderWay + frame.length > queueBytesMax && !isHello(frame)) return false;
    this.onSend?.(from.id, to, frame);
    const { delays, inOrder } = this.weather?.(from.id, to, frame) ?? this.#fairWeather(frame);
    const target = this.#endpoints.get(to);
    if (target === undefined) return true;
    for (const delay of delays) {
      const at = clock.now() + delay;
      const arrival = inOrder ? Math.max(at, way.lastArrival) : at;
      if (inOrder) way.lastArrival = arrival;
      way.bytesUnderWay += frame.length;
      clock.after(arrival - clock.now(), () => {
        way.bytesUnderWay -= frame.length;
        if (!way.cut) this.#deliver(from, target, frame);
        else if (isHello(frame)) way.owesHello = true;
      });
    }
    return true;
  }

  #deliver(from: MemoryNetwork, to: MemoryNetwork, frame: Uint8Array): void {
    if (this.#endpoints.get(to.id) !== to || this.#endpoints.get(from.id) !== from || !to.connected(from.id)) return;
    to.receiver.poll(() => {
      this.onDelivery?.(from.id, to.id, frame);
      try {
        to.arrive(from.id, frame);
      } catch (error) {
        this.onGarbage?.(from.id, to.id, error);
        to.disconnect(from.id);
      }
    });
  }

  #fairWeather(frame: Uint8Array): Fate {
    const { random, delayMs, jitterMs } = this.options;
    const delay = delayMs + jitterMs * random();
    const lost = isRaftFrame(frame) && random() < this.loss;
    return { delays: lost ? [] : [delay], inOrder: true };
  }

  #way(from: ReplicaId, to: ReplicaId): Way {
    let ways = this.#ways.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.#ways.set(from, ways);
    }
    let way = ways.get(to);
    if (way === undefined) {
      way = { cut: false, owesHello: false, lastArrival: 0, bytesUnderWay: 0 };
      ways.set(to, way);
    }
    return way;
  }

  #mendAll(): void {
    for (const [from, ways] of this.#ways) for (const to of ways.keys()) this.#mendWay(from, to);
  }

  #mendWay(from: ReplicaId, to: ReplicaId): void {
    const way = this.#way(from, to);
    const owesHello = way.cut && way.owesHello;
    way.cut = false;
    if (!owesHello) return;
    way.owesHello = false;
    this.#endpoints.get(from)?.sayHello(to);
  }

  #connect(a: MemoryNetwork, b: MemoryNetwork): void {
    if (a.connected(b.id) || a.host === null || b.host === null) return;
    if (this.isCut(a.id, b.id) || this.isCut(b.id, a.id)) return;
    if (a.receiver.paused || b.receiver.paused) return;
    const ofA = a.host.hello(b.id);
    const ofB = b.host.hello(a.id);
    const noFromB = b.host.judge(ofA, null);
    const noFromA = a.host.judge(ofB, b.id);
    if (noFromB !== null || noFromA !== null) {
      if (noFromB !== null) b.refuse(a.id, 'us', noFromB);
      if (noFromB !== null) a.refuse(b.id, 'them', noFromB);
      if (noFromA !== null) a.refuse(b.id, 'us', noFromA);
      if (noFromA !== null) b.refuse(a.id, 'them', noFromA);
      return;
    }
    a.host.onHello(ofB);
    b.host.onHello(ofA);
    a.take(b.id);
    b.take(a.id);
  }
}

/** Loss, copies and another order are for these alone: forwarded requests travel as on one TCP connection. */
export function isRaftFrame(frame: Uint8Array): boolean {
  return frame[12] === PEER_FRAME.raft;
}

function isHello(frame: Uint8Array): boolean {
  return frame[12] === PEER_FRAME.hello;
}

/** One replica's end of a MemoryHub. */
export class MemoryNetwork implements Network {
  readonly id: ReplicaId;
  readonly receiver: Receiver;
  host: NetworkHost | null = null;
  readonly #hub: MemoryHub;
  readonly #connected = new Set<ReplicaId>();
  readonly #refusals = new Map<ReplicaId, string>();
  readonly #counts = { sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0, dropped: 0 };

  constructor(hub: MemoryHub, id: ReplicaId, receiver: Receiver) {
    this.#hub = hub;
    this.id = id;
    this.receiver = receiver;
  }

  async start(host: NetworkHost): Promise<void> {
    this.host = host;
    this.#hub.join(this);
  }

  send(to: ReplicaId, sealed: Uint8Array, tail: readonly Uint8Array[], gone?: () => void): boolean {
    const frame = Buffer.concat([sealed, ...tail]);
    const taken = this.#connected.has(to) && this.#hub.transmit(this, to, frame);
    if (!taken) this.#counts.dropped++;
    else {
      this.#counts.sentFrames++;
      this.#counts.sentBytes += frame.length;
      gone?.();
    }
    return taken;
  }

  flush(): void {}

  announce(): void {
    for (const id of this.#connected) this.sayHello(id);
  }

  disconnect(id: ReplicaId): void {
    this.#hub.sever(this.id, id);
    this.#hub.options.clock.after(this.#hub.options.delayMs, () => {
      if (this.host !== null) this.#hub.join(this);
    });
  }

  connected(id: ReplicaId): boolean {
    return this.#connected.has(id);
  }

  queuedBytes(id: ReplicaId): number {
    return this.#hub.underWay(this.id, id);
  }

  counters(): readonly PeerCounters[] {
    const none = { queuedBytes: 0, garbage: 0, refused: 0 };
    return [...this.#connected].map((id) => ({ id, connected: true, ...none, ...this.#counts }));
  }

  async close(): Promise<void> {
    this.host = null;
    this.#hub.leave(this);
  }

  // ---- for the hub

  take(id: ReplicaId): void {
    this.#connected.add(id);
    if (this.#refusals.delete(id)) this.host?.onRefused(id, 'us', '');
    this.host?.onConnected(id, true);
  }

  drop(id: ReplicaId): void {
    if (this.#connected.delete(id)) this.receiver.poll(() => this.host?.onConnected(id, false));
  }

  sayHello(to: ReplicaId): void {
    if (this.host !== null && this.#connected.has(to))
      this.#hub.transmit(this, to, encodePeerHello(this.host.hello(to)));
  }

  refuse(id: ReplicaId, by: 'us' | 'them', why: string): void {
    if (this.#refusals.get(id) === why) return;
    this.#refusals.set(id, why);
    this.host?.onRefused(id, by, why);
  }

  arrive(from: ReplicaId, frame: Uint8Array): void {
    this.#counts.receivedFrames++;
    this.#counts.receivedBytes += frame.length;
    const view = new DataView(frame.buffer, frame.byteOffset);
    const headEnd = PEER_PREFIX_BYTES + view.getUint32(4, true);
    const head = frame.subarray(PEER_PREFIX_BYTES, headEnd);
    if (frame[12] !== PEER_FRAME.hello) {
      this.host?.onFrame(from, frame[12] ?? 0, head, frame.subarray(headEnd));
      return;
    }
    const hello = decodePeerHello(head);
    if (this.host?.judge(hello, from) === null) this.host.onHello(hello);
    else this.#hub.sever(this.id, from);
  }
}
