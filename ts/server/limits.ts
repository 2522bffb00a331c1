// What one server takes on, before it says no. Options with defaults: not part of any format.

import { KiB, LIMITS, MiB } from '../base/limits.js';
import { demand } from './demand.js';

export interface ServerLimits {
  /** WebSocket connections. One more is refused with HTTP 503 before its upgrade. */
  readonly connectionsMax: number;
  /** From the upgrade to a valid hello. */
  readonly handshakeMs: number;
  /** Unanswered frames of one connection. One more is answered ERAFT_OVERLOADED. */
  readonly framesInFlightMax: number;
  /** Bytes of unanswered frames of one connection, and of all of them. */
  readonly bytesInFlightMax: number;
  readonly bytesInFlightTotalMax: number;
  /** Unread answers: over `pauseBytes` the connection's frames wait, over `bufferedBytesMax` it is closed. */
  readonly pauseBytes: number;
  readonly bufferedBytesMax: number;
  /** Bytes of frames that arrive while a connection is paused; over it the connection is closed. */
  readonly pausedBytesMax: number;
  /** In each such period a paused peer reads at least `slowReaderBytes`, or its connection is closed. */
  readonly slowReaderMs: number;
  readonly slowReaderBytes: number;
  /** HTTP requests being answered. One more gets 429. */
  readonly httpRequestsMax: number;
  /** Of the JSON of a transaction. The body of a put is bounded by the largest value. */
  readonly httpBodyBytesMax: number;
  /** WebSocket peers are pinged, and closed when they are silent for so long. Multiple of 4, 8 to 960. */
  readonly idleSeconds: number;
  readonly httpIdleMs: number;
  /** `close` waits so long for what is in flight. */
  readonly drainMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  connectionsMax: 4_096,
  handshakeMs: 5_000,
  framesInFlightMax: 1_024, // four session windows: writes, reads and scans of one client together
  bytesInFlightMax: 64 * MiB,
  bytesInFlightTotalMax: 512 * MiB,
  pauseBytes: 4 * MiB,
  bufferedBytesMax: 64 * MiB,
  pausedBytesMax: 8 * MiB, // two frames of the largest size
  slowReaderMs: 10_000,
  slowReaderBytes: 64 * KiB,
  httpRequestsMax: 256,
  httpBodyBytesMax: 4 * MiB,
  idleSeconds: 60,
  httpIdleMs: 30_000,
  drainMs: 5_000,
};

/** Refuses, never repairs. @throws EraftError ERAFT_CONFIG */
export function checkServerLimits(limits: ServerLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    demand(Number.isSafeInteger(value) && value > 0, `${name} must be a whole number above 0, not ${value}`);
  }
  const frame = LIMITS.clientFrameBytesMax;
  demand(limits.bytesInFlightMax >= frame, `bytesInFlightMax must hold one frame of ${frame} bytes`);
  demand(limits.bytesInFlightTotalMax >= frame, `bytesInFlightTotalMax must hold one frame of ${frame} bytes`);
  demand(limits.pausedBytesMax >= frame, `pausedBytesMax must hold one frame of ${frame} bytes`);
  demand(
    limits.bufferedBytesMax >= limits.pauseBytes + frame,
    'bufferedBytesMax must leave room for one answer above pauseBytes, or nobody is ever paused before being closed',
  );
  demand(
    limits.idleSeconds % 4 === 0 && limits.idleSeconds >= 8 && limits.idleSeconds <= 960,
    'idleSeconds must be a multiple of 4 between 8 and 960',
  );
}
