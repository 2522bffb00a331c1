// All WebSocket connections of a server: what they share, count and are told together.
import { EraftError, type ErrorCode } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Requester } from '../kv/requester.js';
import { encodeError, encodeLeader } from '../proto/control-frames.js';
import { DEFAULT_GROUP, readFrameHeader } from '../proto/frame.js';
import { CLOSE, ClientConnection, type ConnectionShared } from './connection.js';
import type { FrontConnection } from './front.js';
import type { ServerLimits } from './limits.js';
import type { ServedLeader, ServedService } from './served.js';

/** Cumulative, except what is `now`. */
export interface ConnectionCounts {
  connectionsNow: number;
  framesInFlightNow: number;
  bytesInFlightNow: number;
  opened: number;
  frames: number;
  paused: number;
  closedSlow: number;
  readonly rejected: Map<ErrorCode, number>;
}

export class ConnectionHub implements ConnectionShared {
  readonly limits: ServerLimits;
  readonly counts: ConnectionCounts = {
    connectionsNow: 0,
    framesInFlightNow: 0,
    bytesInFlightNow: 0,
    opened: 0,
    frames: 0,
    paused: 0,
    closedSlow: 0,
    rejected: new Map(),
  };
  readonly #logger: Logger;
  readonly #connections = new Set<ClientConnection>();
  #toFlush: ClientConnection[] = [];
  #service: ServedService | undefined;
  #leaderFrame: Uint8Array = encodeLeader({ id: 0, address: '' }, DEFAULT_GROUP);
  #unsubscribe: (() => void) | undefined;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(limits: ServerLimits, logger: Logger) {
    this.limits = limits;
    this.#logger = logger;
  }

  serve(service: ServedService): void {
    this.#service = service;
    this.#unsubscribe = service.onLeaderChange((leader) => this.#leaderChanged(leader));
    this.#leaderChanged(service.leader);
  }

  /** Why no further connection is taken, or undefined. */
  refusal(): { status: number; body: string } | undefined {
    if (this.#closing) return { status: 503, body: 'this server is closing\n' };
    if (this.#service === undefined) return { status: 503, body: 'this replica is still recovering its data\n' };
    if (this.#connections.size < this.limits.connectionsMax) return undefined;
    this.refused('ERAFT_OVERLOADED');
    return { status: 503, body: `this server has ${this.limits.connectionsMax} connections, its limit\n` };
  }

  open(front: FrontConnection): ClientConnection {
    const connection = new ClientConnection(this, front);
    this.#connections.add(connection);
    this.counts.opened += 1;
    this.counts.connectionsNow += 1;
    return connection;
  }

  /** Takes no more frames, waits for the answers of those that it has, at most `drainMs`, and says goodbye. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#unsubscribe?.();
    if (this.counts.framesInFlightNow > 0) await this.#drained();
    for (const connection of this.#connections) connection.close(CLOSE.goingAway, 'this server is closing');
  }

  // ---- for connections

  handle(frame: Uint8Array, from: Requester): void {
    this.counts.frames += 1;
    if (this.#service === undefined || this.#closing) {
      const { group, request } = readFrameHeader(frame);
      const error = new EraftError('ERAFT_UNAVAILABLE', 'this server is closing: ask another replica');
      from.reply(encodeError(error, group, request));
    } else {
      this.#service.handle(frame, from);
    }
  }

  leaderFrame(): Uint8Array {
    return this.#leaderFrame;
  }

  admit(bytes: number): EraftError | undefined {
    const max = this.limits.bytesInFlightTotalMax;
    if (this.counts.bytesInFlightNow + bytes > max) {
      return new EraftError('ERAFT_OVERLOADED', `${max} bytes of all connections together are unanswered`);
    }
    this.counts.bytesInFlightNow += bytes;
    this.counts.framesInFlightNow += 1;
    return undefined;
  }

  answered(bytes: number): void {
    this.counts.bytesInFlightNow -= bytes;
    this.counts.framesInFlightNow -= 1;
    if (this.counts.framesInFlightNow === 0) this.#idle?.();
  }

  ended(connection: ClientConnection, frames: number, bytes: number, code: number): void {
    if (!this.#connections.delete(connection)) return;
    this.counts.connectionsNow -= 1;
    this.counts.bytesInFlightNow -= bytes;
    this.counts.framesInFlightNow -= frames;
    if (this.counts.framesInFlightNow === 0) this.#idle?.();
    this.#logger.debug('client connection closed', { code, unanswered: frames });
  }

  flushLater(connection: ClientConnection): void {
    if (this.#toFlush.push(connection) > 1) return;
    queueMicrotask(() => {
      const connections = this.#toFlush;
      this.#toFlush = [];
      for (const one of connections) one.flush();
    });
  }

  refused(code: ErrorCode): void {
    this.counts.rejected.set(code, (this.counts.rejected.get(code) ?? 0) + 1);
  }

  paused(remote: string, bufferedBytes: number): void {
    this.counts.paused += 1;
    this.#logger.info('client does not read its answers: its requests wait', { remote, bufferedBytes });
  }

  tooSlow(remote: string): void {
    this.counts.closedSlow += 1;
    this.#logger.warn('client did not read its answers: connection closed', { remote });
  }

  #leaderChanged(leader: ServedLeader): void {
    this.#leaderFrame = encodeLeader(leader, DEFAULT_GROUP);
    for (const connection of this.#connections) connection.push(this.#leaderFrame);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.limits.drainMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
