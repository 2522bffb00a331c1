// ts/embed: a replica inside the user's process, with the same interface as a client.
//
// In:   StoreOptions. Out: Store, which is LinkedKeyValue over a link that ends in the replica's own service.
// Not:  serving others (ts/server): peers reach an embedded replica, clients of other processes do not.
// May import: ts/kv, ts/client and below.
import { EventEmitter } from 'node:events';
import { type Bytes, byteLength, copyBytes, demandBytes } from '../base/bytes.js';
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import type { Logger } from '../base/logger.js';
import type { E, Encoding, KeyValue } from '../client/key-value.js';
import { LinkedKeyValue } from '../client/linked-key-value.js';
import { LocalLink } from '../client/local-link.js';
import { checkLogSizes, REPLICA_LIMITS } from '../host/options.js';
import { ReplicaNode, type ReplicaOptions } from '../kv/replica.js';
import type { ReplicaRole } from '../kv/status.js';
import { STORAGE_DEFAULTS } from '../storage/index.js';

export interface StoreOptions {
  /** The data folder; made when it does not exist. One store has it open at a time, across processes and threads. */
  readonly dir: string;
  /** This replica, one of `peers`. Not needed by a store alone. */
  readonly id?: number | undefined;
  /** Every replica of the cluster, this one included: id to `host:port`. Absent: a store alone. */
  readonly peers?: Readonly<Record<number, string>> | undefined;
  /** Where to listen for the other replicas, `host:port`; default `peers[id]`. */
  readonly listen?: string | undefined;
  /** Where clients reach this replica, told to others; an embedded replica serves none by itself. */
  readonly advertise?: string | undefined;
  /** Tells clusters with the same ids apart; default 'eraft'. Must never change. */
  readonly clusterName?: string | undefined;
  /** Of calls that name none. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** Default: silent. */
  readonly logger?: Logger | undefined;
  /** Cache, memtable, compression and sizes of the log: docs/configuration.md. */
  readonly storage?: ReplicaOptions['storage'];
  readonly limits?: ReplicaOptions['limits'];
  readonly electionTimeoutMs?: number | undefined;
  readonly heartbeatIntervalMs?: number | undefined;
}

/** What a store tells. There is no `error` event: nothing that a store meets ends the process. */
export interface StoreEvents {
  /** The leader as this replica knows it; id 0: none. */
  leader: [leader: { readonly id: number; readonly address: string }];
  state: [role: ReplicaRole, term: number];
  /** The replica has met an error that it cannot survive, as of its disk: from now on every call rejects with it. */
  failed: [error: EraftError];
}

type Listener<N extends keyof StoreEvents> = (...args: StoreEvents[N]) => void;

/** Often enough to exist; a timer that keeps the process alive while something is awaited. */
const KEEP_ALIVE_MS = 60_000;

/** A durable, replicated, ordered key-value store in this process. See `KeyValue` for what it can do. */
export class Store extends LinkedKeyValue {
  readonly #node: ReplicaNode;
  readonly #events = new EventEmitter<StoreEvents>();

  private constructor(node: ReplicaNode, timeoutMs: number | undefined) {
    const link = new LocalLink(node.service);
    super({ link, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    this.#node = node;
    node.events.on('leader', (leader) => this.#events.emit('leader', leader));
    node.events.on('state', (role, term) => this.#events.emit('state', role, term));
    node.events.on('failed', (error) => {
      link.end(error);
      this.#events.emit('failed', error);
    });
  }

  /**
   * Opens, or makes, a store. Resolves when its data is recovered and, with `peers`, it listens; see `ready` for more.
   *
   * @throws EraftError (rejects) ERAFT_DATA_LOCKED (open already, here or elsewhere), ERAFT_DATA_MISMATCH (of another
   *   cluster or replica), ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_CONFIG, ERAFT_PORT_IN_USE
   */
  static async open(options: StoreOptions): Promise<Store> {
    const { timeoutMs, listen, advertise, ...rest } = checked(options);
    const alone = Object.keys(options.peers ?? {}).length === 0;
    // An idle store alone must not keep the process running; a replica has peers to answer.
    const replica = { ...rest, peerListen: listen, clientAddress: advertise, keepAlive: !alone };
    return new Store(await keepingAlive(ReplicaNode.open(replica)), timeoutMs);
  }

  /** 32 hexadecimal digits. */
  get clusterId(): string {
    return this.#node.clusterId;
  }

  get id(): number {
    return this.#node.id;
  }

  /** The leader as this replica knows it; id 0: none. */
  get leader(): { readonly id: number; readonly address: string } {
    return this.#node.service.leader;
  }

  get role(): ReplicaRole {
    return this.#node.service.role;
  }

  /**
   * Resolves when a leader is known.
   *
   * @throws EraftError (rejects) ERAFT_UNAVAILABLE after `timeoutMs` (default: never), ERAFT_FAILED, ERAFT_CLOSED
   */
  async ready(o: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    await keepingAlive(this.#node.ready(o.timeoutMs));
  }

  /**
   * What this replica has in memory, at once: stale in a cluster, and no I/O.
   *
   * @returns undefined: there is no such key. null: not in memory, or answered and not written yet; `get` finds out
   * @throws TypeError, EraftError ERAFT_KEY_EMPTY, ERAFT_KEY_TOO_LARGE, ERAFT_CLOSED
   */
  peek(key: Bytes): Uint8Array<ArrayBuffer> | undefined | null {
    demandBytes(key, 'key');
    const bytes = byteLength(key);
    if (bytes === 0) throw new EraftError('ERAFT_KEY_EMPTY', 'a key has at least one byte');
    if (bytes > LIMITS.keyBytesMax) {
      const details = { bytes, bytesMax: LIMITS.keyBytesMax };
      throw new EraftError(
        'ERAFT_KEY_TOO_LARGE',
        `a key of ${bytes} bytes: at most ${details.bytesMax} are taken`,
        details,
      );
    }
    return this.#node.service.peek(copyBytes(key));
  }

  on<N extends keyof StoreEvents>(event: N, listener: Listener<N>): this {
    (this.#events as EventEmitter).on(event, listener);
    return this;
  }

  once<N extends keyof StoreEvents>(event: N, listener: Listener<N>): this {
    (this.#events as EventEmitter).once(event, listener);
    return this;
  }

  off<N extends keyof StoreEvents>(event: N, listener: Listener<N>): this {
    (this.#events as EventEmitter).off(event, listener);
    return this;
  }

  override as<A extends E, B extends E>(key: A, value: B): KeyValue<Encoding[A], Encoding[B]> {
    return this.#owned(super.as(key, value));
  }

  /** Waits for pending calls, then for the replica to end: after it the folder can be opened again. Idempotent. */
  override async close(o?: { timeoutMs?: number | undefined }): Promise<void> {
    await super.close(o);
    await keepingAlive(this.#node.close());
  }

  /** A view whose closing closes the replica too, as closing the store does. */
  #owned<K, V>(view: KeyValue<K, V>): KeyValue<K, V> {
    const as = view.as.bind(view);
    return Object.assign(view, {
      close: (o?: { timeoutMs?: number | undefined }) => this.close(o),
      [Symbol.asyncDispose]: () => this.close(),
      as: <A extends E, B extends E>(key: A, value: B) => this.#owned(as(key, value)),
    });
  }
}

/** @throws TypeError: what a typed caller cannot get wrong */
function checked(options: StoreOptions): StoreOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError('Store.open takes an object with `dir`');
  if (typeof options.dir !== 'string' || options.dir === '') throw new TypeError('dir must be a path');
  const { segmentBytes = STORAGE_DEFAULTS.segmentBytes } = options.storage ?? {};
  const { maxLogBytes = REPLICA_LIMITS.maxLogBytes } = options.limits ?? {};
  checkLogSizes(segmentBytes, maxLogBytes);
  return options;
}

/** The process does not end while `work` is pending, though nothing else may keep it alive. */
async function keepingAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, KEEP_ALIVE_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
