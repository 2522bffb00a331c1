// `Client`: the store of a cluster, over the network.
import { EventEmitter } from 'node:events';
import { type Clock, type Random, systemClock } from '../base/clock.js';
import { EraftError } from '../base/errors.js';
import { ClusterLink } from './cluster-link.js';
import { parseEndpoints } from './endpoints.js';
import { LINKED_DEFAULTS, LinkedKeyValue } from './linked-key-value.js';
import { demandInteger, demandOptions, timeoutOf } from './options.js';
import { type Dial, dialWebSocket } from './replica-socket.js';

export interface ClientOptions {
  /** The cluster id that every replica must have (`eraft status` tells it). Default: that of the first one that answers. */
  cluster?: string;
  /** Of calls that name none, and of `connect` itself. Default 5,000. */
  timeoutMs?: number;
  /** For dialling one endpoint. Default 2,000. */
  connectTimeoutMs?: number;
  /** A replica that is silent for so long is asked for a sign of life, and left when it gives none. Default 1,000. */
  silenceMs?: number;
  /** Writes, and keys to be read, that wait to be sent; more are refused with ERAFT_OVERLOADED. Default 131,072. */
  queueCommandsMax?: number;
  /** Their bytes, likewise. Default 64 MiB. */
  queueBytesMax?: number;
  /** For the replicas' logs. */
  name?: string;
}

/** Time, chance and the network, for tests. */
export interface ClientEnvironment {
  readonly clock?: Clock;
  readonly deadlines?: Clock;
  readonly random?: Random;
  readonly dial?: Dial;
}

export type ClientState = 'connecting' | 'connected' | 'closed';

export type ClientEvents = {
  /** Another replica leads now. */
  leader: [leader: { readonly id: number; readonly address: string }];
  /** Calls are taken in every state but `closed`. */
  state: [state: ClientState];
};

export const CLIENT_DEFAULTS = {
  ...LINKED_DEFAULTS,
  connectTimeoutMs: 2_000,
  silenceMs: 1_000,
} as const;

export class Client extends LinkedKeyValue {
  readonly #doings: Doings;

  private constructor(link: ClusterLink, options: ClientOptions, environment: ClientEnvironment, doings: Doings) {
    super({
      link,
      timeoutMs: options.timeoutMs ?? CLIENT_DEFAULTS.timeoutMs,
      queueCommandsMax: options.queueCommandsMax ?? CLIENT_DEFAULTS.queueCommandsMax,
      queueBytesMax: options.queueBytesMax ?? CLIENT_DEFAULTS.queueBytesMax,
      ...environment,
    });
    this.#doings = doings;
  }

  /**
   * Connects to a cluster; resolves when one replica has said welcome.
   *
   * @param endpoints - 'host:port,host:port' or a list: some or all of the replicas
   * @throws EraftError ERAFT_UNAVAILABLE (nobody answered in time), ERAFT_WRONG_CLUSTER, ERAFT_VERSION, ERAFT_CONFIG
   */
  static async connect(
    endpoints: string | readonly string[],
    options: ClientOptions = {},
    environment: ClientEnvironment = {},
  ): Promise<Client> {
    checkOptions(options);
    const timeoutMs = timeoutOf(options.timeoutMs, CLIENT_DEFAULTS.timeoutMs);
    const doings = new Doings();
    const link = new ClusterLink(
      {
        endpoints: parseEndpoints(endpoints),
        cluster: options.cluster ?? '',
        name: options.name ?? '',
        connectTimeoutMs: timeoutOf(options.connectTimeoutMs, CLIENT_DEFAULTS.connectTimeoutMs),
        silenceMs: timeoutOf(options.silenceMs, CLIENT_DEFAULTS.silenceMs),
        clock: environment.clock ?? systemClock({ keepAlive: false }),
        random: environment.random ?? Math.random,
        dial: environment.dial ?? dialWebSocket,
      },
      doings,
    );
    const client = new Client(link, options, environment, doings);
    try {
      await doings.firstWelcome(environment.deadlines ?? systemClock({ keepAlive: true }), timeoutMs);
    } catch (error) {
      await client.close();
      throw error;
    }
    return client;
  }

  /** The replica that led when the client last heard of it. */
  get leader(): { readonly id: number; readonly address: string } | undefined {
    return this.#doings.lastLeader;
  }

  get state(): ClientState {
    return this.#doings.state;
  }

  /** The cluster id. */
  get cluster(): string {
    return this.#doings.cluster;
  }

  on<N extends keyof ClientEvents>(name: N, listener: (...args: ClientEvents[N]) => void): this {
    this.#doings.events.on(name, listener as (...args: unknown[]) => void);
    return this;
  }

  once<N extends keyof ClientEvents>(name: N, listener: (...args: ClientEvents[N]) => void): this {
    this.#doings.events.once(name, listener as (...args: unknown[]) => void);
    return this;
  }

  off<N extends keyof ClientEvents>(name: N, listener: (...args: ClientEvents[N]) => void): this {
    this.#doings.events.off(name, listener as (...args: unknown[]) => void);
    return this;
  }

  override async close(o?: { timeoutMs?: number | undefined }): Promise<void> {
    await super.close(o);
    this.#doings.enter('closed');
  }
}

/** What the link does, as the client's users see it. */
class Doings {
  readonly events = new EventEmitter();
  state: ClientState = 'connecting';
  cluster = '';
  lastLeader: { readonly id: number; readonly address: string } | undefined;
  #lastReason: EraftError | undefined;
  #onWelcome: (() => void) | undefined;
  #onHopeless: ((reason: EraftError) => void) | undefined;

  connected(welcome: { readonly cluster: string }): void {
    this.cluster = welcome.cluster;
    this.enter('connected');
    this.#onWelcome?.();
  }

  disconnected(): void {
    this.enter('connecting');
  }

  unreached(reason: EraftError): void {
    this.#lastReason = reason;
  }

  leader(leader: { readonly id: number; readonly address: string }): void {
    this.lastLeader = leader;
    this.events.emit('leader', leader);
  }

  hopeless(reason: EraftError): void {
    this.#onHopeless?.(reason);
  }

  enter(state: ClientState): void {
    if (this.state === state || this.state === 'closed') return;
    this.state = state;
    this.events.emit('state', state);
  }

  /** Keeps the process alive while it waits. */
  async firstWelcome(clock: Clock, timeoutMs: number): Promise<void> {
    if (this.state === 'connected') return;
    await new Promise<void>((resolve, reject) => {
      const timer = clock.after(timeoutMs, () => {
        const why = this.#lastReason === undefined ? '' : `: ${this.#lastReason.message}`;
        reject(
          new EraftError('ERAFT_UNAVAILABLE', `no replica said welcome within ${timeoutMs} ms${why}`, {
            cause: this.#lastReason,
          }),
        );
      });
      this.#onWelcome = () => {
        timer.cancel();
        resolve();
      };
      this.#onHopeless = (reason) => {
        timer.cancel();
        reject(reason);
      };
    });
  }
}

const NAMES: ReadonlySet<string> = new Set([
  'cluster',
  'timeoutMs',
  'connectTimeoutMs',
  'silenceMs',
  'queueCommandsMax',
  'queueBytesMax',
  'name',
]);

function checkOptions(options: ClientOptions): void {
  demandOptions(options);
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name))
      throw new EraftError('ERAFT_CONFIG', `a client has no option '${name}'; it has ${[...NAMES].join(', ')}`);
  }
  for (const name of ['cluster', 'name'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'string')
      throw new TypeError(`${name} must be a string`);
  }
  for (const name of ['queueCommandsMax', 'queueBytesMax'] as const) {
    if (options[name] !== undefined) demandInteger(options[name], name, 1);
  }
}
