import { checkPeerHead, PEER_PREFIX_BYTES, type PeerPrefix, readPeerPrefix } from '../proto/peer-frames.js';

const INITIAL_BYTES = 256 * 1024;

export type FrameSink = (kind: number, head: Uint8Array, tail: Uint8Array) => void;

/**
 * Cuts a byte stream into frames, in one buffer that bytes are received into and frames are read from.
 *
 * Holds one frame at most, and room for it only after its prefix was found to be within `frameBytesMax`.
 */
export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #initialBytes: number;
  #buffer: Uint8Array;
  #view: DataView;
  #fill = 0;
  #prefix: PeerPrefix | null = null; // of the frame at the front, once it is there

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
    this.#initialBytes = Math.min(INITIAL_BYTES, PEER_PREFIX_BYTES + frameBytesMax);
    this.#buffer = new Uint8Array(this.#initialBytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Where the next bytes are to be received; never empty. */
  room(): Uint8Array {
    return this.#buffer.subarray(this.#fill);
  }

  /** `bytes` more lie in `room()`. Hands every whole frame to `sink`, valid only during its call. @throws EraftError ERAFT_BAD_REQUEST */
  received(bytes: number, sink: FrameSink): void {
    this.#fill += bytes;
    let start = 0;
    for (;;) {
      const available = this.#fill - start;
      if (available < PEER_PREFIX_BYTES) break;
      this.#prefix ??= readPeerPrefix(this.#view, start, this.#frameBytesMax);
      const { kind, length, headLength } = this.#prefix;
      if (available < PEER_PREFIX_BYTES + length) break;
      const headAt = start + PEER_PREFIX_BYTES;
      const head = this.#buffer.subarray(headAt, headAt + headLength);
      checkPeerHead(this.#prefix, head);
      this.#prefix = null;
      start = headAt + length;
      sink(kind, head, this.#buffer.subarray(headAt + headLength, start));
    }
    this.#keepRest(start);
  }

  /** For bytes that arrive in a buffer of their own. @throws EraftError ERAFT_BAD_REQUEST */
  push(chunk: Uint8Array, sink: FrameSink): void {
    let at = 0;
    while (at < chunk.length) {
      const room = this.room();
      const count = Math.min(room.length, chunk.length - at);
      room.set(chunk.subarray(at, at + count));
      this.received(count, sink);
      at += count;
    }
  }

  /** Moves what is left of the last frame to the front of a buffer that the whole of it fits into. */
  #keepRest(start: number): void {
    const rest = this.#fill - start;
    const needed = this.#prefix === null ? this.#initialBytes : PEER_PREFIX_BYTES + this.#prefix.length;
    if (needed > this.#buffer.length || (rest === 0 && this.#buffer.length > 4 * this.#initialBytes)) {
      const bigger = new Uint8Array(Math.max(needed, this.#initialBytes));
      bigger.set(this.#buffer.subarray(start, this.#fill));
      this.#buffer = bigger;
      this.#view = new DataView(bigger.buffer);
    } else if (start > 0) {
      this.#buffer.copyWithin(0, start, this.#fill);
    }
    this.#fill = rest;
  }
}
