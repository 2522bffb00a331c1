// Requests and their answers over a link.
import { EraftError } from '../base/errors.js';
import { decodeError, decodeLeader } from '../proto/control-frames.js';
import { DEFAULT_GROUP, FRAME, frameBody, readFrameHeader, writeFrameHeader } from '../proto/frame.js';
import type { Link, LinkEvents, LinkLimits } from './link.js';

/** Waits for the answer to one frame. Exactly one of the three is called, unless the answer never comes while the link is up. */
export interface Awaiting {
  /** The kind of frame that answers. */
  readonly answerKind: number;
  /** A body of that kind, valid during the call. Throws ERAFT_BAD_REQUEST before it changed anything when it is malformed. */
  onAnswer(body: Uint8Array): void;
  onRefused(error: EraftError): void;
  /** The link went down first. */
  onLost(reason: EraftError): void;
}

/** Told when the link comes; when it goes, each awaiting request is. */
export interface ChannelUser {
  onUp(): void;
  onEnded(reason: EraftError): void;
}

const REQUEST_MAX = 0xffff_ffff;

export class Channel implements LinkEvents {
  readonly #link: Link;
  readonly #awaiting = new Map<number, Awaiting>();
  #users: readonly ChannelUser[] = [];
  #request = 0;
  #up = false;
  #generation = 0;
  #limits: LinkLimits;
  #lastReason: EraftError | undefined;

  /** @param limits - in force until the link tells its own */
  constructor(link: Link, limits: LinkLimits) {
    this.#link = link;
    this.#limits = limits;
  }

  open(users: readonly ChannelUser[]): void {
    this.#users = users;
    this.#link.open(this);
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** Rises each time the link comes up: what belongs to one connection (a pinned view) is gone when it differs. */
  get generation(): number {
    return this.#generation;
  }

  get limits(): LinkLimits {
    return this.#limits;
  }

  /** Why the link is, or was last, down. */
  get lastReason(): EraftError | undefined {
    return this.#lastReason;
  }

  /** Stamps the frame's header and sends it. Only while the link is up; may be answered before it returns. */
  send(frame: Uint8Array, kind: number, deadlineMs: number, awaiting: Awaiting): void {
    do {
      this.#request = this.#request === REQUEST_MAX ? 1 : this.#request + 1;
    } while (this.#awaiting.has(this.#request));
    writeFrameHeader(
      frame,
      0,
      kind,
      DEFAULT_GROUP,
      this.#request,
      Math.max(1, Math.min(Math.ceil(deadlineMs), REQUEST_MAX)),
    );
    this.#awaiting.set(this.#request, awaiting);
    this.#link.send(frame);
  }

  /** Leaves a replica that will not do. */
  fail(reason: EraftError): void {
    this.#link.fail(reason);
  }

  close(): void {
    this.#up = false;
    this.#awaiting.clear();
    this.#link.close();
  }

  up(limits: LinkLimits): void {
    this.#up = true;
    this.#generation++;
    this.#limits = limits;
    for (const user of this.#users) user.onUp();
  }

  down(reason: EraftError): void {
    this.#up = false;
    this.#lastReason = reason;
    const lost = [...this.#awaiting.values()];
    this.#awaiting.clear();
    for (const awaiting of lost) awaiting.onLost(reason);
  }

  ended(reason: EraftError): void {
    this.down(reason);
    for (const user of this.#users) user.onEnded(reason);
  }

  frame(frame: Uint8Array): void {
    try {
      this.#take(frame);
    } catch (error) {
      if (!EraftError.is(error)) throw error;
      this.#link.fail(error);
    }
  }

  #take(frame: Uint8Array): void {
    const { kind, request } = readFrameHeader(frame);
    if (kind === FRAME.leader) {
      const leader = decodeLeader(frameBody(frame));
      if (leader.id === 0) this.#link.leaderless();
      else this.#link.follow(leader);
      return;
    }
    const awaiting = this.#awaiting.get(request);
    if (kind === FRAME.error) {
      const error = decodeError(frameBody(frame));
      if (request === 0) throw error;
      this.#awaiting.delete(request);
      awaiting?.onRefused(error);
      if (error.leader !== undefined) this.#link.follow(error.leader);
    } else if (awaiting !== undefined) {
      if (kind !== awaiting.answerKind) {
        throw new EraftError(
          'ERAFT_BAD_REQUEST',
          `frame of kind ${kind} answers a request that wants ${awaiting.answerKind}`,
        );
      }
      awaiting.onAnswer(frameBody(frame)); // throws before it is forgotten: then `down` tells it that its answer is lost
      this.#awaiting.delete(request);
    }
  }
}

/** The replica has failed or is being closed: another one may do. */
export function isAboutReplica(error: EraftError): boolean {
  return error.code === 'ERAFT_FAILED' || error.code === 'ERAFT_CLOSED';
}
