// ts/server: what stands between a replica and the clients of other processes: binary WebSocket and HTTP on one port.
//
// In:   a host, a port, later a replica (ts/kv). Out: its KvService for WebSocket clients, its KeyValue for HTTP, metrics.
// Not:  Raft, storage, what a frame's body means: frames are counted, bounded and handed on.
// May import: ts/kv, ts/client and below. uWebSockets.js and ws are touched in front-*.ts alone.
// Start here, then connection.ts (one client), http-api.ts (paths), front.ts (the two implementations below).
import { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import { type Logger, SILENT } from '../base/logger.js';
import type { KeyValue } from '../client/key-value.js';
import { LinkedKeyValue } from '../client/linked-key-value.js';
import { LocalLink } from '../client/local-link.js';
import { ConnectionHub } from './connection-hub.js';
import type { Front, FrontHandlers, FrontKind, FrontOptions } from './front.js';
import { type FrontChoice, openFront } from './fronts.js';
import { HttpApi } from './http-api.js';
import { isLoopback } from './http-origin.js';
import { keyValueWriter } from './http-writes.js';
import { IdempotentWriter } from './idempotent-writer.js';
import { checkServerLimits, SERVER_LIMITS, type ServerLimits } from './limits.js';
import { Metrics } from './metrics.js';
import type { ServedReplica } from './served.js';

export type { FrontChoice } from './fronts.js';
export { SERVER_LIMITS, type ServerLimits } from './limits.js';
export type { ServedReplica } from './served.js';

/** Where WebSocket clients connect. */
export const SOCKET_PATH = '/v1/ws';

export interface ServerOptions {
  /** Default 127.0.0.1: there is no authentication, so being reachable is a decision. */
  readonly host?: string;
  /** Default 0: chosen by the system, see `Server.port`. */
  readonly port?: number;
  /** Default auto. */
  readonly server?: FrontChoice;
  readonly logger?: Logger;
  readonly limits?: Partial<ServerLimits>;
}

export class Server implements AsyncDisposable {
  readonly host: string;
  readonly #front: Front;
  readonly #hub: ConnectionHub;
  readonly #http: HttpApi;
  #kv: KeyValue | undefined;
  #closed: Promise<void> | undefined;

  private constructor(host: string, front: Front, hub: ConnectionHub, http: HttpApi) {
    this.host = host;
    this.#front = front;
    this.#hub = hub;
    this.#http = http;
  }

  /**
   * Binds the port and answers from then on: /health with 200, everything else with 503 until `serve`. So the port is
   * known, and one in use is noticed, before a replica recovers its data.
   *
   * @throws EraftError ERAFT_PORT_IN_USE, ERAFT_IO, ERAFT_CONFIG (limits that contradict each other; uws does not load)
   */
  static async listen(options: ServerOptions = {}): Promise<Server> {
    const limits: ServerLimits = { ...SERVER_LIMITS, ...options.limits };
    checkServerLimits(limits);
    const { host = '127.0.0.1', port = 0, server = 'auto', logger = SILENT } = options;
    const hub = new ConnectionHub(limits, logger);
    const http = new HttpApi(limits, logger, isLoopback(host));
    const front = await openFront(server, frontOptions(host, port, limits), handlersOf(hub, http), logger);
    logger.info('listening for clients', { host, port: front.port, server: front.kind });
    return new Server(host, front, hub, http);
  }

  get port(): number {
    return this.#front.port;
  }

  /** host:port, as clients and peers are told. */
  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  get front(): FrontKind {
    return this.#front.kind;
  }

  /** Hands requests to this replica from now on. Once. The replica must outlive the server: close the server first. */
  serve(replica: ServedReplica): void {
    if (this.#kv !== undefined) throw new EraftError('ERAFT_CONFIG', 'this server already serves a replica');
    const { service } = replica;
    const kv = new LinkedKeyValue({ link: new LocalLink(service) });
    const metrics = new Metrics({ replica, connections: this.#hub.counts, http: this.#http.counts });
    this.#kv = kv;
    this.#http.serve({
      service,
      kv,
      write: keyValueWriter(kv),
      idempotent: new IdempotentWriter(service),
      metrics: () => metrics.read(),
    });
    this.#hub.serve(service);
  }

  /** Stops accepting, answers what is in flight (at most `limits.drainMs`), says goodbye, closes. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#front.stopListening();
    await Promise.all([this.#hub.close(), this.#http.close()]);
    await this.#kv?.close();
    await this.#front.close();
  }
}

function frontOptions(host: string, port: number, limits: ServerLimits): FrontOptions {
  const { bufferedBytesMax, pausedBytesMax, idleSeconds, httpIdleMs } = limits;
  const frameBytesMax = LIMITS.clientFrameBytesMax;
  return {
    host,
    port,
    socketPath: SOCKET_PATH,
    frameBytesMax,
    bufferedBytesMax,
    pausedBytesMax,
    idleSeconds,
    httpIdleMs,
  };
}

function handlersOf(hub: ConnectionHub, http: HttpApi): FrontHandlers {
  return {
    request: (request, response) => http.request(request, response),
    refusal: (request) => {
      const reason = http.forbidden(request);
      return reason === undefined ? hub.refusal() : { status: 403, body: `${reason}\n` };
    },
    open: (connection) => hub.open(connection),
  };
}
