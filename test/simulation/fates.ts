// What became of writes whose callers never heard: the log tells, once a run is over.
//
// A checker that knows nothing of a write must try it at every place from its call on, or nowhere; of many such writes it
// never comes to an end. The simulator has seen the log.
//
// Claim:   a history with these fates filled in is linearizable only if the history that clients saw is.
// Why:     an unknown write may take effect at any moment after its call, or never. A fate names one of these moments, or
//          says never: it takes possibilities away and adds none.
// And:     a fate may be wrong (a session may have been forgotten when its batch was applied): such a history is refused, and
//          then the one that clients saw is checked by itself (run-seed.ts).
import { COMMAND, type DecodedCommand, decodeBatchHead, decodeCommands } from '../../ts/proto/command-batch.js';
import { RECORD_HEADER_BYTES } from '../../ts/storage/index.js';
import type { History, Input, Operation } from './linearizability/history.js';

/** An entry of the log, as the watch knows it to be committed. */
interface Named {
  readonly term: number;
  readonly crc: number;
}

const COMMANDS = 2;
const PREFIX_BYTES = 8;

/** Keeps the records that were submitted to any disk. */
export class Fates {
  readonly #records = new Map<string, Uint8Array>(); // by index, term and checksum

  /** Records as they lie in `slab[start..end)`; copied. */
  note(slab: Uint8Array, start: number, end: number): void {
    const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
    for (let at = start; at < end; ) {
      const next = at + RECORD_HEADER_BYTES + padded(view.getUint32(at + 4, true));
      const name = nameOf(u64(view, at + 16), u64(view, at + 24), view.getUint32(at, true));
      if (view.getUint8(at + 9) === COMMANDS && !this.#records.has(name)) this.#records.set(name, slab.slice(at, next));
      at = next;
    }
  }

  /** The history with an answer for each unknown write that the committed log tells of, and without those that are not in it. */
  settle(history: History, committed: readonly Named[]): History {
    const last = history.length === 0 ? 0 : Math.max(...history.map((op) => Math.max(op.call, placeOf(op))));
    const unknown = history.some((op) => op.outcome === 'unknown' && markOf(op.input) !== null);
    const revisions = unknown ? this.#revisions(committed) : new Map<string, number>();
    return history.map((op) => {
      const mark = op.outcome === 'unknown' ? markOf(op.input) : null;
      if (mark === null) return op;
      const revision = revisions.get(mark);
      if (revision === undefined) return { ...op, outcome: 'not-applied' };
      return { ...op, return: last + 1, outcome: { revision } };
    });
  }

  /** The revision of each write that was applied and can be told from all others. */
  #revisions(committed: readonly Named[]): Map<string, number> {
    const found = new Map<string, number>();
    const applied = new Map<number, number>(); // of each session the last sequence
    for (const [i, { term, crc }] of committed.entries()) {
      const record = this.#records.get(nameOf(i + 1, term, crc));
      if (record === undefined) continue;
      const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
      let revision = u64(view, 40);
      for (let at = RECORD_HEADER_BYTES; at < record.length; ) {
        const length = view.getUint32(at, true);
        const body = record.subarray(at + PREFIX_BYTES, at + PREFIX_BYTES + length);
        const { session, sequence } = decodeBatchHead(body);
        const isNext = session === 0 || sequence === (applied.get(session) ?? 0) + 1;
        if (isNext && session !== 0) applied.set(session, sequence);
        const commands = decodeCommands(body);
        for (let c = 0; c < commands.length; revision++) {
          const command = commands[c] as DecodedCommand;
          const parts = command.kind === COMMAND.transact ? command.parts : 0;
          for (const each of commands.slice(c, c + 1 + parts)) {
            const mark = isNext ? markOfCommand(each) : null;
            if (mark !== null) found.set(mark, revision);
          }
          c += 1 + parts;
        }
        at += PREFIX_BYTES + padded(length);
      }
    }
    return found;
  }
}

function placeOf(op: Operation): number {
  return Number.isFinite(op.return) ? op.return : 0;
}

function nameOf(index: number, term: number, crc: number): string {
  return `${index}/${term}/${crc}`;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

/** What tells a write from all others: no value, and no summand, is written twice. null: nothing does, or not whether it happened. */
function markOf(input: Input): string | null {
  if (input.op === 'put' || input.op === 'append') return `${input.key} ${input.value}`;
  if (input.op === 'increment') return `${input.key} ${input.by}`;
  if (input.op !== 'transact' || input.when.length > 0) return null;
  for (const change of input.changes) {
    if ('put' in change) return `${change.put} ${change.value}`;
    if ('append' in change) return `${change.append} ${change.value}`;
    if ('increment' in change) return `${change.increment} ${change.by}`;
  }
  return null;
}

function markOfCommand({ kind, key, value, number }: DecodedCommand): string | null {
  if (kind === COMMAND.put || kind === COMMAND.append) return `${text(key)} ${text(value)}`;
  return kind === COMMAND.increment ? `${text(key)} ${number}` : null;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
