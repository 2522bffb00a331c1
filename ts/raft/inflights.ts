import { invariant } from './invariant.js';

/**
 * The appends on their way to one follower, oldest first, bounded in messages and in bytes.
 *
 * Full does not mean that nothing fits: the message that passes `bytesMax` is the last one admitted, so an entry larger
 * than the window can still be sent.
 */
export class Inflights {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #lasts = new Float64Array(8); // ring: last index of each message
  #sizes = new Float64Array(8); // ring: its bytes
  #head = 0;
  #count = 0;
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  /** A message that ends with entry `last` has left. */
  add(last: number, bytes: number): void {
    invariant(!this.full, 'nothing is sent into a full window: messages, bytes', this.#count, this.#bytes);
    if (this.#count === this.#lasts.length) this.#grow();
    const slot = (this.#head + this.#count) % this.#lasts.length;
    this.#lasts[slot] = last;
    this.#sizes[slot] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  free(index: number): void {
    while (this.#count > 0 && (this.#lasts[this.#head] as number) <= index) {
      this.#bytes -= this.#sizes[this.#head] as number;
      this.#head = (this.#head + 1) % this.#lasts.length;
      this.#count -= 1;
    }
  }

  reset(): void {
    this.#head = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    this.#lasts = unrolled(this.#lasts, this.#head);
    this.#sizes = unrolled(this.#sizes, this.#head);
    this.#head = 0;
  }
}

function unrolled(ring: Float64Array<ArrayBuffer>, head: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(ring.length * 2);
  larger.set(ring.subarray(head), 0);
  larger.set(ring.subarray(0, head), ring.length - head);
  return larger;
}
