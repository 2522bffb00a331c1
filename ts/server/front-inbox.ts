// Frames that arrive while their connection is paused: neither uWebSockets.js nor ws can stop at a frame's end.

/** Delivers in order, holds back while paused, and holds no more than it was told. */
export class FrameInbox {
  readonly #bytesMax: number;
  readonly #deliver: (bytes: Uint8Array, binary: boolean) => void;
  #paused = false;
  #kept: { readonly bytes: Uint8Array; readonly binary: boolean }[] = [];
  #keptBytes = 0;

  constructor(bytesMax: number, deliver: (bytes: Uint8Array, binary: boolean) => void) {
    this.#bytesMax = bytesMax;
    this.#deliver = deliver;
  }

  /**
   * @param bytes - valid only during the call; copied when kept
   * @returns false: too much is kept already, this frame is lost, and the connection must end
   */
  take(bytes: Uint8Array, binary: boolean): boolean {
    if (!this.#paused && this.#kept.length === 0) {
      this.#deliver(bytes, binary);
      return true;
    }
    if (this.#keptBytes + bytes.length > this.#bytesMax) return false;
    this.#keptBytes += bytes.length;
    this.#kept.push({ bytes: bytes.slice(), binary });
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  /** @returns true: everything was delivered, and nothing paused it again */
  resume(): boolean {
    this.#paused = false;
    while (!this.#paused) {
      const next = this.#kept.shift();
      if (next === undefined) return true;
      this.#keptBytes -= next.bytes.length;
      this.#deliver(next.bytes, next.binary);
    }
    return false;
  }

  clear(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

/** Why a connection ends whose inbox is full. RFC 6455: policy violation. */
export const INBOX_FULL = { code: 1008, reason: 'sends without reading the answers' } as const;
