import { crc32 } from 'node:zlib';

/** All that happens in a run, as a number that tells two runs apart, and as lines for whoever wants to read them. */
export class Trace {
  /** Takes a line that somebody may read; null: nobody does, and nobody should make one. */
  readonly write: ((line: string) => void) | null;
  readonly #now: () => number;
  #one = 0;
  #two = 0x9e37_79b9;
  #notes = 0;

  constructor(now: () => number, write: ((line: string) => void) | null) {
    this.#now = now;
    this.write = write;
  }

  /** Bytes that arrived somewhere. */
  bytes(from: number, to: number, bytes: Uint8Array): void {
    this.#one = crc32(bytes, this.#one);
    this.#mix(Math.imul(from, 31) ^ Math.imul(to, 1_000_003) ^ this.#one);
  }

  note(text: string): void {
    this.#one = crc32(text, this.#one);
    this.#mix(this.#one);
    if (this.write !== null) this.line(text);
  }

  /** For reading alone: no part of the hash. */
  line(text: string): void {
    this.write?.(`${this.#now().toFixed(3).padStart(11)} ${text}`);
  }

  get hash(): string {
    return [this.#one, this.#two, this.#notes].map((n) => (n >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #mix(value: number): void {
    this.#notes++;
    const micros = Math.floor(this.#now() * 1_000);
    let mixed = Math.imul(this.#two ^ value, 0x85eb_ca6b) ^ Math.imul(micros, 0xc2b2_ae35);
    mixed ^= mixed >>> 15;
    this.#two = Math.imul(mixed, 0x27d4_eb2f) >>> 0;
  }
}
