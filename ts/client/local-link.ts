// A link that ends in the same process: frames go to the service of a replica by a call, answers come back by another.
import type { EraftError } from '../base/errors.js';
import { LIMITS } from '../base/limits.js';
import type { Link, LinkEvents, LinkLimits } from './link.js';

/** The replica's side, as far as a link sees it. */
export interface FrameService {
  /** frame: valid only during the call. from: gets the answer, during the call or later. */
  handle(frame: Uint8Array, from: { reply(frame: Uint8Array): void; readonly alive: boolean }): void;
}

/** What a Welcome would say. */
const LOCAL_LIMITS: LinkLimits = {
  keyBytesMax: LIMITS.keyBytesMax,
  valueBytesMax: LIMITS.valueBytesMax,
  frameBytesMax: LIMITS.clientFrameBytesMax,
  batchCommandsMax: LIMITS.batchCommandsMax,
  inflightBatchesMax: LIMITS.sessionWindow,
};

/** No handshake, no leader to follow (the replica forwards), and never down, unless an answer was malformed. */
export class LocalLink implements Link {
  readonly #service: FrameService;
  #end: LocalEnd | undefined;
  #events: LinkEvents | undefined;

  constructor(service: FrameService) {
    this.#service = service;
  }

  open(events: LinkEvents): void {
    this.#events = events;
    this.#end = new LocalEnd(events);
    events.up(LOCAL_LIMITS);
  }

  send(frame: Uint8Array): void {
    if (this.#end !== undefined) this.#service.handle(frame, this.#end);
  }

  follow(): void {
    // A replica forwards to the leader by itself.
  }

  leaderless(): void {
    // There is no other replica to go to.
  }

  fail(reason: EraftError): void {
    const events = this.#events;
    if (events === undefined) return;
    this.#drop();
    events.down(reason);
    setImmediate(() => {
      if (this.#events === events) this.open(events);
    });
  }

  /** The replica has failed: every call rejects with this, now and later. */
  end(reason: EraftError): void {
    const events = this.#events;
    this.close();
    events?.ended(reason);
  }

  close(): void {
    this.#drop();
    this.#events = undefined;
  }

  #drop(): void {
    if (this.#end !== undefined) this.#end.alive = false;
    this.#end = undefined;
  }
}

/** Who the service answers: one for each time that the link is up, so that a late answer finds nobody. */
class LocalEnd {
  alive = true;
  readonly #events: LinkEvents;

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  reply(frame: Uint8Array): void {
    if (this.alive) this.#events.frame(frame);
  }
}
