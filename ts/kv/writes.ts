import { EraftError, errorCodeOf } from '../base/errors.js';
import type { Gathered } from '../host/proposals.js';
import { FRAME, FRAME_HEADER_BYTES, writeFrameHeader } from '../proto/frame.js';
import { RESULT_RECORD_HEADER_BYTES } from '../storage/index.js';
import type { KvContext } from './context.js';
import { Gauge, type Pending } from './pending.js';

const RESULTS_BYTES = 256 * 1024;
const RESULTS_KEPT_BYTES_MAX = 8 * 1024 * 1024;
const BATCH_PREFIX_BYTES = 8; // length u32, zero u32

/** One record of ours that is in the log, and who waits for its batches. */
interface Proposed {
  readonly index: number;
  readonly term: number;
  readonly waiters: readonly Pending[];
  readonly since: number;
}

/**
 * Writes on the leader: verified, gathered into this turn's record, proposed, and answered when the record is evaluated.
 *
 * Waiters are matched by index and term, never by index alone: a leader that loses and regains its place may see another
 * leader's entry at an index that it had given to a write of its own.
 */
export class Writes {
  readonly gauge: Gauge;
  readonly #context: KvContext;
  #proposed: (Proposed | undefined)[] = [];
  #head = 0; // in front of it they are answered and let go; cut off now and then
  #results = new Uint8Array(RESULTS_BYTES);

  constructor(context: KvContext) {
    this.#context = context;
    const { proposalFramesMax, proposalBytesMax } = context.limits;
    this.gauge = new Gauge(proposalFramesMax, proposalBytesMax);
  }

  /** Takes a write frame into this turn's proposal, or answers why not. `frame` is valid only during the call. */
  take(frame: Uint8Array, pending: Pending): void {
    const { host, log, counters } = this.#context;
    const refusal = this.#refusal(frame, host.progress.diskFull);
    if (refusal !== null) {
      this.#context.reject(pending, refusal);
      return;
    }
    const commands = log.verifyBatch(frame, FRAME_HEADER_BYTES, frame.length);
    if (commands <= 0) {
      const code = errorCodeOf(-commands) ?? 'ERAFT_BAD_REQUEST';
      this.#context.reject(pending, new EraftError(code, 'the batch of commands was refused'));
      return;
    }
    pending.charge(this.gauge, frame.length);
    pending.fate = 'in-doubt';
    host.group.proposals.add(frame, FRAME_HEADER_BYTES, frame.length, commands, pending);
    counters.proposedBatches++;
    if (!host.group.gathers) host.wake(); // else the turn that ends the gathering comes by itself
  }

  onProposed(index: number, term: number, record: Gathered<Pending>): void {
    const { counters, clock } = this.#context;
    counters.proposals++;
    counters.proposedCommands += record.commands;
    counters.proposedBytes += record.end - record.start;
    counters.batchCommands.observe(record.commands);
    this.#proposed.push({ index, term, waiters: record.waiters, since: clock.now() });
  }

  onNotProposed(record: Gathered<Pending>, why: 'not-leader' | 'uncommitted-limit'): void {
    for (const pending of record.waiters) {
      if (why === 'not-leader') this.#context.notLeader(pending);
      else this.#context.reject(pending, new EraftError('ERAFT_OVERLOADED', 'too many bytes wait to be committed'));
    }
  }

  /** Somebody waits for what is in the log. */
  get waits(): boolean {
    return this.#head < this.#proposed.length;
  }

  /** Those in front may belong to a run that the apply thread still works on: what counts is the first one behind `from`. */
  wantsResults(from: number, to: number): boolean {
    for (let i = this.#head; i < this.#proposed.length; i++) {
      const { index } = this.#proposed[i] ?? { index: 0 };
      if (index > from) return index <= to;
    }
    return false;
  }

  /** Answers what has been evaluated. Returns whether there was anything. */
  drain(): boolean {
    let any = false;
    for (;;) {
      const written = this.#context.machine.results(this.#results, 0);
      if (written === 0) break;
      if (written < 0) this.#results = new Uint8Array(Math.max(-written, 2 * this.#results.length));
      else {
        this.#answer(written);
        any = true;
      }
    }
    if (this.#results.length > RESULTS_KEPT_BYTES_MAX) this.#results = new Uint8Array(RESULTS_BYTES);
    return any;
  }

  /** What was proposed under another leadership than (leader, term): it may commit or not, and nobody here will know in time. */
  lose(leads: boolean, term: number): void {
    const kept: Proposed[] = [];
    for (let i = this.#head; i < this.#proposed.length; i++) {
      const proposed = this.#proposed[i];
      if (proposed === undefined) continue;
      if (leads && proposed.term === term) kept.push(proposed);
      else this.#doubt(proposed);
    }
    this.#proposed = kept;
    this.#head = 0;
  }

  failAll(error: (inDoubt: boolean) => EraftError): void {
    for (const proposed of this.#proposed) for (const pending of proposed?.waiters ?? []) pending.fail(error(true));
    this.#proposed = [];
    this.#head = 0;
    for (const { waiters } of this.#context.host.group.proposals.abandon()) {
      for (const pending of waiters) pending.fail(error(false));
    }
  }

  #refusal(frame: Uint8Array, diskFull: boolean): EraftError | null {
    if (diskFull) {
      return new EraftError(
        'ERAFT_DISK_FULL',
        'the disk of the leader is full: writes are refused until there is room',
      );
    }
    if (this.gauge.admits(frame.length)) return null;
    const { frames, bytes } = this.gauge;
    return new EraftError('ERAFT_OVERLOADED', `${frames} writes of ${bytes} bytes wait for the log already`);
  }

  #doubt({ waiters }: Proposed): void {
    const message = 'leadership was lost with the write in the log: it may be applied, or may not';
    for (const pending of waiters) this.#context.reject(pending, new EraftError('ERAFT_OUTCOME_UNKNOWN', message));
  }

  #answer(written: number): void {
    const view = new DataView(this.#results.buffer);
    let at = 0;
    while (at < written) {
      const index = view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
      const term = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 0x1_0000_0000;
      const batches = view.getUint32(at + 16, true);
      const bytes = view.getUint32(at + 20, true);
      const start = at + RESULT_RECORD_HEADER_BYTES;
      const proposed = this.#take(index, term);
      if (proposed !== undefined) this.#answerRecord(proposed, view, start, batches);
      at = start + bytes;
    }
  }

  /** The record of ours that is entry (index, term), if it is one. */
  #take(index: number, term: number): Proposed | undefined {
    let first = this.#proposed[this.#head];
    while (first !== undefined && (first.index < index || (first.index === index && first.term !== term))) {
      this.#doubt(first);
      this.#proposed[this.#head++] = undefined;
      first = this.#proposed[this.#head];
    }
    if (first === undefined || first.index !== index) return undefined;
    this.#proposed[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#proposed.length) {
      this.#proposed = this.#proposed.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }

  /** The header of each answer is written over bytes that were read before: what stands in front of its ResultBatch. */
  #answerRecord({ waiters, since }: Proposed, view: DataView, start: number, batches: number): void {
    if (batches !== waiters.length) throw new Error(`${batches} results for ${waiters.length} batches`);
    const slab = this.#results;
    let at = start;
    for (const pending of waiters) {
      const length = view.getUint32(at, true);
      const from = at + BATCH_PREFIX_BYTES;
      writeFrameHeader(slab, from - FRAME_HEADER_BYTES, FRAME.written, pending.group, pending.request, 0);
      pending.reply(slab.subarray(from - FRAME_HEADER_BYTES, from + length));
      at = from + Math.ceil(length / 8) * 8;
    }
    this.#context.counters.commitSeconds.observe((this.#context.clock.now() - since) / 1000);
  }
}
