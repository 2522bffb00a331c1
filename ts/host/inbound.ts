import type { IncomingMessage } from '../proto/peer-frames.js';
import { malformed } from '../proto/table.js';
import type { Entry, Message } from '../raft/messages.js';
import { INSPECTED, INSPECTED_NUMBERS, type LogStore, RECORD_HEADER_BYTES } from '../storage/index.js';
import { Slab, type Stage } from './stage.js';

const SLAB_BYTES = 256 * 1024;
/** The end of the log as its last record tells it: what the next record must not fall behind. */
export interface LogEnd {
  readonly index: number;
  readonly term: number;
  readonly time: number;
  readonly nextRevision: number;
}

/**
 * Takes appends in: keeps a copy of their records for the rest of the turn, has the storage check every one of them, and
 * tells the core their indexes, terms and sizes.
 */
export class Inbound {
  readonly slab = new Slab(SLAB_BYTES);
  readonly #log: LogStore;
  readonly #stage: Stage;
  #numbers = new Float64Array(64 * INSPECTED_NUMBERS);

  constructor(log: LogStore, stage: Stage) {
    this.#log = log;
    this.#stage = stage;
  }

  /**
   * The message to step, with its entries.
   *
   * @param end - of our log; records that follow it directly must continue its time and revisions
   * @throws EraftError ERAFT_BAD_REQUEST when the records are not those of the message
   */
  take({ message, entries, group, start, end }: IncomingMessage, tail: Uint8Array, logEnd: LogEnd): Message {
    if (message.type !== 'append' || message.last === message.index) return message;
    const count = message.last - message.index;
    if (count > (end - start) / RECORD_HEADER_BYTES) throw malformed(`${count} records in ${end - start} bytes`);
    if (this.#numbers.length < count * INSPECTED_NUMBERS)
      this.#numbers = new Float64Array(2 * count * INSPECTED_NUMBERS);
    const at = this.slab.take(end - start);
    this.slab.bytes.set(tail.subarray(start, end), at);
    const found = this.#log.inspect(
      this.slab.bytes,
      at,
      this.slab.fill,
      this.#numbers.subarray(0, count * INSPECTED_NUMBERS),
    );
    if (found !== count) throw malformed(`an append of ${count} records, of which ${found} were found sound`);
    const follows = message.index === logEnd.index && message.logTerm === logEnd.term;
    let before = follows ? logEnd : { index: message.index, term: message.logTerm, time: 0, nextRevision: 0 };
    let place = at;
    for (let i = 0; i < count; i++) {
      const record = this.#record(i, group, message.term, before);
      const { kind, bytes, time, nextRevision } = record;
      const entry: Entry = { index: record.index, term: record.term, bytes };
      entries.push(entry);
      const end = place + bytes;
      this.#stage.add({ entry, slab: this.slab, start: place, end, kind, time, nextRevision, from: message.from });
      place = end;
      before = record;
    }
    return message;
  }

  /** Record `i` of those inspected, held against the one before it. */
  #record(i: number, group: number, term: number, before: LogEnd): LogEnd & { kind: number; bytes: number } {
    const number = (what: number): number => this.#numbers[i * INSPECTED_NUMBERS + what] ?? 0;
    const record = {
      index: number(INSPECTED.index),
      term: number(INSPECTED.term),
      time: number(INSPECTED.time),
      nextRevision: number(INSPECTED.firstRevision) + number(INSPECTED.count),
      kind: number(INSPECTED.kind),
      bytes: number(INSPECTED.bytes),
    };
    const where = `record ${record.index} of term ${record.term}`;
    if (number(INSPECTED.group) !== group)
      throw malformed(`${where} is of group ${number(INSPECTED.group)}, not ${group}`);
    if (record.index !== before.index + 1) throw malformed(`${where} behind index ${before.index}`);
    if (record.term < before.term || record.term > term)
      throw malformed(`${where} behind term ${before.term}, under term ${term}`);
    if (record.time < before.time) throw malformed(`${where} goes back in time, ${record.time} after ${before.time}`);
    if (number(INSPECTED.firstRevision) < before.nextRevision) {
      throw malformed(
        `${where} begins at revision ${number(INSPECTED.firstRevision)}, ${before.nextRevision} is the next`,
      );
    }
    return record;
  }

  clear(): void {
    this.slab.clear();
  }
}
