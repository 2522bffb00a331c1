// Connections between clients and replicas, as WebSockets are: in order, whole messages, and broken without a word at times.

import type { Dial, MessageSocket } from '../../ts/client/replica-socket.js';
import type { WebSocketEvents } from '../../ts/client/web-socket.js';
import type { Requester } from '../../ts/kv/requester.js';
import type { LeaderHint } from '../../ts/kv/service.js';
import { encodeLeader } from '../../ts/proto/control-frames.js';
import { DEFAULT_GROUP, FRAME } from '../../ts/proto/frame.js';
import type { ProcessClock, VirtualTime } from '../host/virtual-clock.js';
import { clientAddressOf, type Replica } from './replica.js';
import type { Trace } from './trace.js';
import type { Watch } from './watch.js';

export interface ClientNetworkOptions {
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly replicas: readonly Replica[];
  /** Sees what leaves clients, and what leaves replicas. */
  readonly watch: Pick<Watch, 'asked' | 'answered'>;
  /** One way; ms. */
  readonly latencyMs: () => number;
}

export class ClientNetwork {
  readonly options: ClientNetworkOptions;
  readonly #byAddress: ReadonlyMap<string, Replica>;
  readonly #cut = new Map<number, ReadonlySet<number>>(); // replica to clients
  readonly #connections = new Set<Connection>();

  constructor(options: ClientNetworkOptions) {
    this.options = options;
    this.#byAddress = new Map(options.replicas.map((replica) => [clientAddressOf(replica.id), replica]));
  }

  /** How client number `client` dials, with `clock` for its event loop. */
  dialOf(client: number, clock: ProcessClock): Dial {
    return ({ address }, events) => {
      const replica = this.#byAddress.get(address);
      if (replica === undefined) throw new Error(`nobody at ${address}`);
      const connection = new Connection(this, client, clock, replica, events);
      this.#connections.add(connection);
      return connection;
    };
  }

  /** These clients and this replica do not hear each other any more, until `mend`. */
  cut(replica: number, clients: readonly number[]): void {
    this.#cut.set(replica, new Set(clients));
  }

  /** What met a cut is lost, and so are connections that it was sent on. */
  mend(replica: number): void {
    this.#cut.delete(replica);
    for (const connection of this.#connections) if (connection.replica.id === replica) connection.noticeLoss();
  }

  heal(): void {
    for (const replica of [...this.#cut.keys()]) this.mend(replica);
  }

  isCut(client: number, replica: number): boolean {
    return this.#cut.get(replica)?.has(client) === true;
  }

  /** Breaks the connections of a client. */
  reset(client: number): void {
    for (const connection of [...this.#connections])
      if (connection.client === client) connection.break('reset by peer');
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }
}

class Connection implements MessageSocket, Requester {
  alive = true;
  readonly client: number;
  readonly replica: Replica;
  readonly #network: ClientNetwork;
  readonly #clock: ProcessClock;
  readonly #events: WebSocketEvents;
  #process: ProcessClock | null = null; // the one that took it
  #leaderTold = false;
  #over = false;
  #lost = false;
  #lastThere = 0;
  #lastBack = 0;

  constructor(network: ClientNetwork, client: number, clock: ProcessClock, replica: Replica, events: WebSocketEvents) {
    this.#network = network;
    this.client = client;
    this.#clock = clock;
    this.replica = replica;
    this.#events = events;
    this.#there(() => this.#accept());
  }

  send(payload: Uint8Array): void {
    const frame = payload.slice();
    this.#network.options.watch.asked(this, frame);
    this.#toProcess(() => {
      this.#network.options.trace.bytes(-this.client, this.replica.id, frame);
      this.replica.node?.service.handle(frame, this);
    });
  }

  ping(): void {
    this.#toProcess(() => this.#back(() => this.#events.heard()));
  }

  close(): void {
    this.terminate();
  }

  terminate(): void {
    if (this.#over) return;
    this.#over = true;
    this.#network.forget(this);
    const { time, latencyMs } = this.#network.options;
    time.at(time.now() + latencyMs(), () => {
      this.alive = false;
    });
  }

  /** From the service. Behind the welcome, and at each change, the server tells who leads. */
  reply(frame: Uint8Array): void {
    if (frame[0] === FRAME.leader) this.#leaderTold = true;
    this.#network.options.watch.answered(this, frame);
    this.#put(frame.slice());
    if (frame[0] !== FRAME.welcome) return;
    const service = this.replica.node?.service;
    if (service === undefined) return;
    const tell = (leader: LeaderHint): void => {
      if (this.alive) this.#put(encodeLeader(leader, DEFAULT_GROUP));
      else stop();
    };
    const stop = service.onLeaderChange(tell);
    if (!this.#leaderTold) tell(service.leader);
  }

  #put(frame: Uint8Array): void {
    this.#back(() => {
      this.#network.options.trace.bytes(this.replica.id, -this.client, frame);
      this.#events.message(frame, true);
    });
  }

  break(why: string): void {
    if (this.#over) return;
    this.alive = false;
    this.#over = true;
    this.#network.forget(this);
    this.#clock.poll(() => this.#events.gone(why));
  }

  noticeLoss(): void {
    if (this.#lost) this.break('reset after a silence');
  }

  #accept(): void {
    const { node, clock } = this.replica;
    if (node === null || clock === null) {
      this.#back(() => this.break('connection refused'));
      return;
    }
    this.#process = clock;
    clock.poll(() => this.#back(() => this.#events.open()));
  }

  /** Runs this in the process that the connection is with; if that has ended, the connection breaks as soon as another one is up. */
  #toProcess(run: () => void): void {
    this.#there(() => {
      const { clock, node } = this.replica;
      if (clock === this.#process && node !== null) clock?.poll(run);
      else if (node !== null) this.#back(() => this.break('reset by peer'));
    });
  }

  #there(run: () => void): void {
    const { time, latencyMs } = this.#network.options;
    this.#lastThere = Math.max(this.#lastThere, time.now() + latencyMs());
    time.at(this.#lastThere, () => this.#pass(run));
  }

  #back(run: () => void): void {
    const { time, latencyMs } = this.#network.options;
    this.#lastBack = Math.max(this.#lastBack, time.now() + latencyMs());
    time.at(this.#lastBack, () =>
      this.#pass(() =>
        this.#clock.poll(() => {
          if (!this.#over) run();
        }),
      ),
    );
  }

  #pass(run: () => void): void {
    if (this.#lost || this.#network.isCut(this.client, this.replica.id)) this.#lost = true;
    else if (!this.#over) run();
  }
}
