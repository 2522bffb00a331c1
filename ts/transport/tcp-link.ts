import type { Socket } from 'node:net';
import { PEER_FRAME } from '../proto/peer-frames.js';
import { decodePeerHello, encodePeerHello, type PeerHello } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';
import type { FrameReader } from './frame-reader.js';

/** What a link reports. `closed` comes exactly once, last, with what went wrong ('' = the other end closed). */
export interface LinkEvents {
  hello(link: TcpLink, hello: PeerHello): void;
  frame(link: TcpLink, kind: number, head: Uint8Array, tail: Uint8Array): void;
  garbage(link: TcpLink, error: unknown): void;
  closed(link: TcpLink, why: string): void;
}

/** One TCP connection: frames in, frames out, nothing of what they mean but that hellos are hellos. */
export class TcpLink {
  /** Who is at the other end: known to the side that dialled, to the other after the first hello. */
  peer: ReplicaId;
  /** The handshake is done. */
  admitted = false;
  sentFrames = 0;
  sentBytes = 0;
  receivedFrames = 0;
  receivedBytes = 0;
  /** Since the last look of the watchdog. */
  quietIn = 0;
  quietOut = 0;
  stalled = 0;
  stalledQueue = 0;
  readonly socket: Socket;
  readonly #reader: FrameReader;
  readonly #events: LinkEvents;
  #corked = false;
  #closed = false;
  #why = '';

  constructor(socket: Socket, reader: FrameReader, peer: ReplicaId, events: LinkEvents) {
    this.socket = socket;
    this.#reader = reader;
    this.peer = peer;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#why ||= error.message;
    });
    socket.on('end', () => this.close(''));
    socket.on('close', () => this.close(''));
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Accepted by our side of the system and not yet by the network: bytes that this peer makes us hold. */
  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  /** Bytes that lie in the reader's own room. */
  received(bytes: number): void {
    this.#read(() => this.#reader.received(bytes, this.#sink), bytes);
  }

  /** Bytes in a buffer of their own. */
  push(chunk: Uint8Array): void {
    this.#read(() => this.#reader.push(chunk, this.#sink), chunk.length);
  }

  /** Queues a frame; `flush` writes all that was queued in one go. */
  send(sealed: Uint8Array, tail: readonly Uint8Array[], gone?: () => void): void {
    if (this.#closed) return;
    if (!this.#corked) {
      this.#corked = true;
      this.socket.cork();
    }
    this.socket.write(sealed);
    this.sentBytes += sealed.length;
    for (const [i, part] of tail.entries()) {
      this.socket.write(part, i === tail.length - 1 ? gone : undefined);
      this.sentBytes += part.length;
    }
    this.sentFrames++;
    this.quietOut = 0;
  }

  sendHello(hello: PeerHello): void {
    this.send(encodePeerHello(hello), []);
    this.flush();
  }

  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.socket.uncork();
  }

  /** After what was sent so far has left, or a while later anyhow. */
  end(why: string): void {
    this.#why ||= why;
    this.flush();
    this.socket.end();
    this.#finish();
  }

  close(why: string): void {
    this.#why ||= why;
    this.socket.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(this, this.#why);
  }

  #read(read: () => void, bytes: number): void {
    if (this.#closed) return;
    this.receivedBytes += bytes;
    this.quietIn = 0;
    try {
      read();
    } catch (error) {
      if (!this.#closed) this.#events.garbage(this, error);
      this.close('it sent what is no frame');
    }
  }

  #sink = (kind: number, head: Uint8Array, tail: Uint8Array): void => {
    if (this.#closed) return;
    this.receivedFrames++;
    if (kind === PEER_FRAME.hello) this.#events.hello(this, decodePeerHello(head));
    else if (this.admitted) this.#events.frame(this, kind, head, tail);
    else throw new Error(`a frame of kind ${kind} before the hello`);
  };
}
