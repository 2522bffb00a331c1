import type { Entry, ReplicaId } from '../raft/messages.js';
import { RECORD_HEADER_BYTES } from '../storage/index.js';

const RECORD_ALIGN = 8;

/** The size of a record with so much payload: header, payload, padding. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + Math.ceil(payloadBytes / RECORD_ALIGN) * RECORD_ALIGN;
}

const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes of one turn, one behind the other, in memory that is used again in the next. Offsets stay true when it grows. */
export class Slab {
  bytes: Uint8Array;
  fill = 0;
  readonly #initialBytes: number;

  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes;
    this.bytes = new Uint8Array(initialBytes);
  }

  /** Makes room for `count` more bytes behind what is there, and returns where. The room holds whatever it held before. */
  take(count: number): number {
    const at = this.fill;
    this.fill += count;
    if (this.fill > this.bytes.length) {
      const bigger = new Uint8Array(Math.max(2 * this.bytes.length, this.fill));
      bigger.set(this.bytes.subarray(0, at));
      this.bytes = bigger;
    }
    return at;
  }

  clear(): void {
    this.fill = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = new Uint8Array(this.#initialBytes);
  }
}

/** Where the bytes of one entry lie, and what its record's header says that the core does not know. */
export interface Staged {
  readonly entry: Entry;
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
  readonly kind: number;
  readonly time: number;
  /** The firstRevision that the record behind this one has at least. */
  readonly nextRevision: number;
  /** Who may have sent it; 0: made here. */
  readonly from: ReplicaId;
  /** Another entry at this index, of another term, of the same turn; the stage's to set. */
  other?: Staged | undefined;
}

/**
 * The records that came or were made in this turn, by index and term: where the entries of a Ready find their bytes.
 *
 * Two records of one turn with the same index and term hold the same bytes (Log Matching), so it does not matter which
 * message brought the one that is found; a record that nobody asks for was refused by the core, and is forgotten.
 */
export class Stage {
  #byIndex = new Map<number, Staged>();

  add(staged: Staged): void {
    const { index } = staged.entry;
    staged.other = this.#byIndex.get(index);
    this.#byIndex.set(index, staged);
  }

  find(entry: Entry): Staged | undefined {
    let staged = this.#byIndex.get(entry.index);
    while (staged !== undefined && staged.entry.term !== entry.term) staged = staged.other;
    return staged;
  }

  clear(): void {
    // Not Map.clear: the table it leaves points to the next one, and once one is old, none of them is young garbage any more.
    if (this.#byIndex.size > 0) this.#byIndex = new Map();
  }
}
