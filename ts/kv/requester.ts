/** Whom the service answers: a connection, a peer that forwards, a local link. */
export interface Requester {
  /** One whole client frame (FrameHeader and body), valid only during the call: copy it or send it at once. Must not throw. */
  reply(frame: Uint8Array): void;
  /** false: gone; nothing is replied to it any more. */
  readonly alive: boolean;
}
