// The same links in virtual time: frames arrive after a delay that is drawn from a seed, in order for each direction, or
// not at all. Frames are copied when sent and decoded when they arrive, as over a wire.
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

/** What travels, and connects, between the replicas of one process. */
export class MemoryHub {
  /** Chance that a Raft frame is lost, 0 to 1. */
  loss = 0;
  /** Called with every frame that arrives. */
  onDelivery: ((from: ReplicaId, to: ReplicaId, frame: Uint8Array) => void) | null = null;
  readonly options: MemoryHubOptions;
  readonly #endpoints = new Map<ReplicaId, MemoryNetwork>();
  readonly #cut = new Set<string>(); // `from>to`
  readonly #lastArrival = new Map<string, number>();
  readonly #underWay = new Map<string, number>();

  constructor(options: MemoryHubOptions) {
    this.options = options;
  }

  /** The network of replica `id`, which takes its place at `start`. */
  endpoint(id: ReplicaId): MemoryNetwork {
    return new MemoryNetwork(this, id);
  }

  /** Nothing sent from `from` to `to` arrives any more. Connections stay, as TCP's do; new ones are not made. */
  cut(from: ReplicaId, to: ReplicaId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Cuts both ways between the members of different groups, and nowhere else. */
  partition(...groups: readonly (readonly ReplicaId[])[]): void {
    this.#cut.clear();
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue;
        for (const a of group) for (const b of other) this.cut(a, b);
      }
    }
  }

  heal(): void {
    this.#cut.clear();
    for (const a of this.#endpoints.values()) this.join(a);
  }

  /** Connects a replica that has started with every other one that lets it. */
  join(endpoint: MemoryNetwork): void {
    this.#endpoints.set(endpoint.id, endpoint);
    for (const other of this.#endpoints.values()) if (other !== endpoint) this.#connect(endpoint, other);
  }

  leave(endpoint: MemoryNetwork): void {
    if (this.#endpoints.get(endpoint.id) === endpoint) this.#endpoints.delete(endpoint.id);
    for (const other of this.#endpoints.values()) other.drop(endpoint.id);
  }

  sever(a: ReplicaId, b: ReplicaId): void {
    this.#endpoints.get(a)?.drop(b);
    this.#endpoints.get(b)?.drop(a);
  }

  /** @returns false when it was refused at the door: too much is under way */
  transmit(from: MemoryNetwork, to: ReplicaId, frame: Uint8Array): boolean {
    const { clock, random, delayMs, jitterMs, queueBytesMax } = this.options;
    const way = `${from.id}>${to}`;
    const underWay = (this.#underWay.get(way) ?? 0) + frame.length;
    if (underWay > queueBytesMax) return false;
    const arrival = Math.max(clock.now() + delayMs + jitterMs * random(), this.#lastArrival.get(way) ?? 0);
    const lost = frame[12] === PEER_FRAME.raft && random() < this.loss;
    this.#underWay.set(way, underWay);
    this.#lastArrival.set(way, arrival);
    const target = this.#endpoints.get(to);
    clock.after(arrival - clock.now(), () => {
      this.#underWay.set(way, (this.#underWay.get(way) ?? 0) - frame.length);
      if (lost || this.#cut.has(way) || target === undefined || this.#endpoints.get(to) !== target) return;
      if (this.#endpoints.get(from.id) !== from || !target.connected(from.id)) return;
      this.onDelivery?.(from.id, to, frame);
      target.arrive(from.id, frame);
    });
    return true;
  }

  #connect(a: MemoryNetwork, b: MemoryNetwork): void {
    if (a.connected(b.id) || a.host === null || b.host === null) return;
    if (this.#cut.has(`${a.id}>${b.id}`) || this.#cut.has(`${b.id}>${a.id}`)) return;
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

/** One replica's end of a MemoryHub. */
export class MemoryNetwork implements Network {
  readonly id: ReplicaId;
  host: NetworkHost | null = null;
  readonly #hub: MemoryHub;
  readonly #connected = new Set<ReplicaId>();
  readonly #refusals = new Map<ReplicaId, string>();
  readonly #counts = { sentFrames: 0, sentBytes: 0, receivedFrames: 0, receivedBytes: 0, dropped: 0 };

  constructor(hub: MemoryHub, id: ReplicaId) {
    this.#hub = hub;
    this.id = id;
  }

  async start(host: NetworkHost): Promise<void> {
    this.host = host;
    this.#hub.join(this);
  }

  send(to: ReplicaId, sealed: Uint8Array, tail: readonly Uint8Array[]): boolean {
    const frame = Buffer.concat([sealed, ...tail]);
    const taken = this.#connected.has(to) && this.#hub.transmit(this, to, frame);
    if (!taken) this.#counts.dropped++;
    else {
      this.#counts.sentFrames++;
      this.#counts.sentBytes += frame.length;
    }
    return taken;
  }

  flush(): void {}

  announce(): void {
    for (const id of this.#connected) {
      if (this.host !== null) this.#hub.transmit(this, id, encodePeerHello(this.host.hello(id)));
    }
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
    if (this.#connected.delete(id)) this.host?.onConnected(id, false);
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
