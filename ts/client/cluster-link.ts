// A link to a cluster: one WebSocket at a time, to the leader where it is known, to any replica otherwise.
//
// | socket            | event                        | what happens                                                       |
// |-------------------|------------------------------|--------------------------------------------------------------------|
// | none              | start, or the wait is over   | dial the leader last heard of, else the next endpoint              |
// | dialling          | welcome                      | up                                                                 |
// | dialling          | failure                      | dial the next endpoint; after all of them, wait (doubling, jitter) |
// | up                | failure                      | down; dial at once, or after a wait if it was up for a moment only |
// | up                | somebody else leads          | dial the leader beside it                                          |
// | up, and dialling  | welcome                      | down, up: on the new one. The old one is closed                    |
// | up, and dialling  | failure of the new one       | stay; ask it again at the earliest `FOLLOW_PAUSE_MS` later         |
// | up                | no leader is known there     | dial the next endpoint beside it, unless one is heard of first     |
//
// Any replica forwards, so a leader that cannot be reached from here costs a hop, not the service.
import type { Clock, Random, Timer } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import type { Leader, Welcome } from '../proto/control-frames.js';
import { Backoff } from './backoff.js';
import { isEndpoint } from './endpoints.js';
import type { Link, LinkEvents } from './link.js';
import { type Dial, ReplicaSocket, type SocketEvents } from './replica-socket.js';

export interface ClusterLinkOptions {
  /** host:port, at least one. */
  readonly endpoints: readonly string[];
  /** The cluster id; empty: that of the first replica that answers, from then on. */
  readonly cluster: string;
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: Dial;
}

export interface ClusterLinkEvents {
  connected(welcome: Welcome, address: string): void;
  disconnected(reason: EraftError): void;
  /** An endpoint was tried and did not answer well. */
  unreached(reason: EraftError): void;
  leader(leader: Leader): void;
  /** No endpoint could be reached, all for reasons that waiting does not mend. */
  hopeless(reason: EraftError): void;
}

/** A connection that lasted so long was a good one. */
const STEADY_MS = 1_000;

/** An election is over by then, as a rule; a replica that is cut off from the others never hears of its outcome. Twice that at most. */
const LEADERLESS_MS = 1_500;

/** Hints of replicas that disagree, as around an election, do not send a client back and forth faster than this. */
const FOLLOW_PAUSE_MS = 100;

export class ClusterLink implements Link {
  readonly #options: ClusterLinkOptions;
  readonly #listener: ClusterLinkEvents;
  readonly #backoff: Backoff;
  #events: LinkEvents | undefined;
  #cluster: string;
  #current: ReplicaSocket | undefined;
  #dialling: ReplicaSocket | undefined;
  #leader: Leader | undefined;
  /** The endpoint to dial next; how many were tried in this round, and how many of them will never do. */
  #next: number;
  #tried = 0;
  #hopeless = 0;
  #upAt = Number.NEGATIVE_INFINITY;
  #followTimer: Timer | undefined;
  #followedAt = Number.NEGATIVE_INFINITY;
  /** Runs while the replica that it is connected to knows no leader. */
  #leaderlessTimer: Timer | undefined;

  constructor(options: ClusterLinkOptions, listener: ClusterLinkEvents) {
    this.#options = options;
    this.#listener = listener;
    this.#cluster = options.cluster;
    this.#next = Math.floor(options.random() * options.endpoints.length);
    this.#backoff = new Backoff(options.clock, options.random, { firstMs: 50, mostMs: 2_000 });
  }

  open(events: LinkEvents): void {
    this.#events = events;
    this.#dialNext();
  }

  send(frame: Uint8Array): void {
    this.#current?.send(frame);
  }

  fail(reason: EraftError): void {
    this.#current?.fail(reason);
  }

  follow(leader: Leader): void {
    this.#stopSearch();
    if (leader.id !== this.#leader?.id || leader.address !== this.#leader.address) {
      this.#leader = leader;
      this.#listener.leader(leader);
    }
    this.#approachLeader();
  }

  leaderless(): void {
    if (this.#leaderlessTimer !== undefined || this.#options.endpoints.length < 2) return;
    const { clock, random } = this.#options;
    this.#leaderlessTimer = clock.after(LEADERLESS_MS * (1 + random()), () => {
      this.#leaderlessTimer = undefined;
      this.#tryAnother();
    });
  }

  close(): void {
    this.#events = undefined;
    this.#backoff.cancel();
    this.#stopSearch();
    this.#followTimer?.cancel();
    this.#dialling?.close();
    this.#current?.close();
    this.#dialling = undefined;
    this.#current = undefined;
  }

  /** Dials the leader while connected to another replica. */
  #approachLeader(): void {
    const leader = this.#leader;
    if (this.#current === undefined || this.#dialling !== undefined || this.#followTimer !== undefined) return;
    if (leader === undefined || leader.id === this.#current.welcome?.replica || !isEndpoint(leader.address)) return;
    const wait = this.#followedAt + FOLLOW_PAUSE_MS - this.#options.clock.now();
    if (wait > 0) {
      this.#followTimer = this.#options.clock.after(wait, () => {
        this.#followTimer = undefined;
        this.#approachLeader();
      });
    } else {
      this.#followedAt = this.#options.clock.now();
      this.#dial(leader.address);
    }
  }

  /** Dials the next endpoint while connected to a replica that knows no leader. */
  #tryAnother(): void {
    const here = this.#current?.address;
    if (here === undefined) return;
    if (this.#dialling === undefined) {
      const address = this.#nextEndpoint();
      this.#dial(address === here ? this.#nextEndpoint() : address);
    }
    this.leaderless(); // until one is heard of, here or there
  }

  #stopSearch(): void {
    this.#leaderlessTimer?.cancel();
    this.#leaderlessTimer = undefined;
  }

  #nextEndpoint(): string {
    const { endpoints } = this.#options;
    const address = endpoints[this.#next % endpoints.length];
    if (address === undefined) throw new Error('a cluster link without endpoints');
    this.#next++;
    return address;
  }

  /** Dials while connected to nobody. */
  #dialNext(): void {
    if (this.#events === undefined || this.#current !== undefined || this.#dialling !== undefined) return;
    const leader = this.#leader;
    if (this.#tried === 0 && leader !== undefined && isEndpoint(leader.address)) {
      this.#leader = undefined; // once: if it cannot be reached, it may not be the leader any more
      this.#dial(leader.address);
      return;
    }
    this.#tried++;
    this.#dial(this.#nextEndpoint());
  }

  #dial(address: string): void {
    const { clock, name, connectTimeoutMs, silenceMs, dial } = this.#options;
    const events: SocketEvents = {
      welcome: (socket, welcome) => this.#onWelcome(socket, welcome),
      frame: (socket, frame) => {
        if (socket === this.#current) this.#events?.frame(frame);
      },
      gone: (socket, reason) => this.#onGone(socket, reason),
    };
    const options = { address, cluster: this.#cluster, name, connectTimeoutMs, silenceMs, clock, dial };
    this.#dialling = new ReplicaSocket(options, events);
  }

  #onWelcome(socket: ReplicaSocket, welcome: Welcome): void {
    const before = this.#current;
    this.#dialling = undefined;
    this.#current = socket;
    // Sessions and revisions mean nothing to another cluster: from now on only this one will do.
    this.#cluster = welcome.cluster;
    this.#tried = 0;
    this.#hopeless = 0;
    this.#upAt = this.#options.clock.now();
    if (before !== undefined) {
      before.close();
      this.#events?.down(new EraftError('ERAFT_UNAVAILABLE', `left ${before.address} for ${socket.address}`));
    }
    this.#listener.connected(welcome, socket.address);
    this.#events?.up(welcome);
  }

  #onGone(socket: ReplicaSocket, reason: EraftError): void {
    if (socket === this.#current) {
      this.#current = undefined;
      this.#stopSearch();
      this.#listener.disconnected(reason);
      this.#events?.down(reason);
      if (this.#leader?.address === socket.address) this.#leader = undefined;
      this.#dialAgain();
      return;
    }
    if (socket !== this.#dialling) return;
    this.#dialling = undefined;
    if (this.#current !== undefined) return; // stayed where it was
    if (isForGood(reason)) this.#hopeless++;
    this.#listener.unreached(reason);
    this.#events?.down(reason);
    const { endpoints } = this.#options;
    if (this.#tried < endpoints.length) {
      this.#dialNext();
      return;
    }
    if (this.#hopeless >= endpoints.length) this.#listener.hopeless(reason);
    this.#tried = 0;
    this.#hopeless = 0;
    this.#backoff.wait(() => this.#dialNext());
  }

  /** At once, unless the replica said welcome and was gone again: such a one must not be dialled in a loop. */
  #dialAgain(): void {
    if (this.#options.clock.now() - this.#upAt < STEADY_MS) {
      this.#backoff.wait(() => this.#dialNext());
    } else {
      this.#backoff.reset();
      this.#dialNext();
    }
  }
}

function isForGood(reason: EraftError): boolean {
  return reason.code === 'ERAFT_WRONG_CLUSTER' || reason.code === 'ERAFT_VERSION';
}
