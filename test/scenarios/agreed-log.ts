// What the replicas of a scenario have in their logs, and what they have agreed upon: seen at the border of the storage.
import assert from 'node:assert/strict';
import { DEFAULT_GROUP } from '../../ts/proto/frame.js';
import { RECORD_HEADER_BYTES, type Storage } from '../../ts/storage/index.js';

/** A record: index and term name it, in every log and at any time. */
export interface Place {
  readonly index: number;
  readonly term: number;
}

/** Of a RaftNode. */
interface KnownLog {
  readonly firstIndex: number;
  termAt(index: number): number;
}

interface Content {
  readonly checksum: number;
  readonly values: readonly string[];
}

const VALUE = /<#\d+#>/g; // as Lab.propose makes them

export class AgreedLog {
  readonly #contents = new Map<string, Content>(); // `index/term`
  readonly #places = new Map<string, Place>(); // value to where it was proposed
  readonly #terms = new Map<number, number>(); // index to the term of what some replica has applied there
  readonly #applied = new Map<number, number>(); // replica to index

  /** Where a proposed value got its place, once it has one. */
  placeOf(value: string): Place | null {
    return this.#places.get(value) ?? null;
  }

  /** What is applied at `index`; nothing if no replica has applied that. */
  valuesAt(index: number): readonly string[] {
    const term = this.#terms.get(index);
    return term === undefined ? [] : (this.#contents.get(`${index}/${term}`)?.values ?? []);
  }

  /** Some replica has applied the record that carries this value. */
  holds(value: string): boolean {
    const place = this.#places.get(value);
    return place !== undefined && this.#terms.get(place.index) === place.term;
  }

  /** The last index that any replica has applied. */
  get last(): number {
    return Math.max(0, ...this.#terms.keys());
  }

  /** How far `replica` has applied. */
  appliedBy(replica: number): number {
    return this.#applied.get(replica) ?? 0;
  }

  /** `replica` has started with `storage`. `raft` knows the terms of the entries in its log, and where that begins. */
  watch(replica: number, storage: Storage, raft: () => KnownLog): void {
    const { log, machine } = storage;
    this.#applied.set(replica, machine.applied(DEFAULT_GROUP));
    const submit = log.submit.bind(log);
    log.submit = (slab, start, end, states, count) => {
      this.#written(slab, start, end);
      return submit(slab, start, end, states, count);
    };
    const [evaluate, apply] = [machine.evaluate.bind(machine), machine.apply.bind(machine)];
    machine.evaluate = (group, to) => {
      this.#reached(replica, to, raft());
      return evaluate(group, to);
    };
    machine.apply = (group, to, wantResults) => {
      this.#reached(replica, to, raft());
      return apply(group, to, wantResults);
    };
  }

  /** Log matching: what has the same index and term is the same record, byte for byte. */
  #written(slab: Uint8Array, start: number, end: number): void {
    const bytes = Buffer.from(slab.buffer, slab.byteOffset, slab.length);
    for (let at = start; at < end; ) {
      const payloadEnd = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at + 4);
      const place = { index: Number(bytes.readBigUInt64LE(at + 16)), term: Number(bytes.readBigUInt64LE(at + 24)) };
      const checksum = bytes.readUInt32LE(at);
      const name = `${place.index}/${place.term}`;
      const known = this.#contents.get(name);
      if (known === undefined) {
        const values = bytes.toString('latin1', at + RECORD_HEADER_BYTES, payloadEnd).match(VALUE) ?? [];
        this.#contents.set(name, { checksum, values });
        for (const value of values) this.#places.set(value, place);
      } else assert.equal(checksum, known.checksum, `two records are entry ${place.index} of term ${place.term}`);
      at = Math.ceil(payloadEnd / 8) * 8;
    }
  }

  /** State-machine safety: at each index all apply the same record, each replica in order. */
  #reached(replica: number, to: number, raft: KnownLog): void {
    // What lies before the log came with a snapshot; the stores are compared at the end.
    const first = Math.max(this.appliedBy(replica) + 1, raft.firstIndex);
    this.#applied.set(replica, Math.max(this.appliedBy(replica), first - 1));
    for (let index = first; index <= to; index++) {
      const term = raft.termAt(index);
      const agreed = this.#terms.get(index);
      assert.ok(
        term > 0 && (agreed ?? term) === term,
        `${replica} applies ${index}/${term}, another ${index}/${agreed}`,
      );
      this.#terms.set(index, term);
      this.#applied.set(replica, index);
    }
  }
}
