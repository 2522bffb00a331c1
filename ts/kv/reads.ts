import { EraftError, errorCodeOf } from '../base/errors.js';
import { Slab } from '../host/stage.js';
import { FRAME, FRAME_HEADER_BYTES, writeFrameHeader } from '../proto/frame.js';
import { copyOf } from '../proto/table.js';
import type { KvContext } from './context.js';
import { Gauge, type Pending } from './pending.js';

const OUT_BYTES = 256 * 1024;
const OUT_KEPT_BYTES_MAX = 8 * 1024 * 1024;
const SLAB_BYTES = 64 * 1024;
const SPARE_SLABS_MAX = 8;
const PREFIX_BYTES = 8; // length u32, tag u32
/** The first answer's frame header reaches so far in front of its prefix. */
const OUT_START = FRAME_HEADER_BYTES - PREFIX_BYTES;

interface Scan {
  readonly pending: Pending;
  readonly body: Uint8Array;
  readonly onViewLost: (() => boolean) | null;
}

/** Reads that are answered together. `term` 0: stale ones, whoever leads. */
interface Round {
  readonly slab: Slab;
  readonly reads: Pending[];
  readonly scans: Scan[];
  term: number;
  index: number;
}

/** A stale read or scan that wants more than has been applied here. */
interface Waiting {
  readonly pending: Pending;
  readonly minRevision: number;
  readonly go: () => void;
}

/** May a replica answer from what it has? Not while its state is being replaced: part of it is gone, part not yet there. */
export function stateRefusal(installing: boolean): EraftError | null {
  if (!installing) return null;
  return new EraftError('ERAFT_UNAVAILABLE', 'this replica is installing a snapshot: ask again, or ask another one');
}

// SAFETY: a linearizable read.
// Claim:   it sees every write that was answered before it was asked.
// Why:     the frames of a turn share one question to the core, asked after all of them have come; the core answers with
//          an index once a majority has confirmed this leader since the question (raft/leadership.ts). The read is made
//          when everything up to that index is really applied, not merely handed to the apply thread. Should the leadership
//          have ended meanwhile, the answer would still be right, as the index was; it is refused all the same, so that the
//          argument needs nothing of what a later leader does (etcd-io/etcd#20418 is what a missing check here has cost).
// Checked: test/kv/linearizable.test.ts.
/** Point reads and scans: gathered per turn, confirmed by one round, read in one native call. */
export class Reads {
  readonly gauge: Gauge;
  readonly #context: KvContext;
  readonly #asked = new Map<number, Round>(); // by context: wait for their index
  readonly #spare: Slab[] = [];
  #gathering: Round; // linearizable, of this turn
  #stale: Round; // of this turn
  #confirmed: Round[] = []; // wait for apply, in the order of their index
  #waiting: Waiting[] = []; // stale, for a revision
  #nextContext = 1;
  #out = new Uint8Array(OUT_BYTES);

  constructor(context: KvContext) {
    this.#context = context;
    this.gauge = new Gauge(context.limits.readFramesMax, context.limits.readBytesMax);
    this.#gathering = this.#round();
    this.#stale = this.#round();
  }

  /** A ReadBatch, valid only during the call. `minRevision`: 0 for linearizable ones, which see all there is. */
  takeRead(body: Uint8Array, linearizable: boolean, minRevision: number, pending: Pending): void {
    if (!this.#admit(pending, body.length)) return;
    this.#context.counters.reads++;
    if (linearizable) this.#put(this.#gathering, body, pending);
    else if (this.#has(minRevision)) this.#put(this.#stale, body, pending);
    else {
      const copy = copyOf(body, 0, body.length);
      this.#waiting.push({ pending, minRevision, go: () => this.#put(this.#stale, copy, pending) });
    }
    this.#context.host.wake();
  }

  /** A ScanRequest, valid only during the call. `onViewLost`: asked when no such view is here; true: it took care. */
  takeScan(
    body: Uint8Array,
    linearizable: boolean,
    minRevision: number,
    pending: Pending,
    onViewLost: (() => boolean) | null,
  ): void {
    if (!this.#admit(pending, body.length)) return;
    this.#context.counters.scans++;
    const scan = { pending, body: copyOf(body, 0, body.length), onViewLost };
    if (linearizable) this.#gathering.scans.push(scan);
    else if (this.#has(minRevision)) this.#stale.scans.push(scan);
    else this.#waiting.push({ pending, minRevision, go: () => this.#stale.scans.push(scan) });
    this.#context.host.wake();
  }

  /** One question for all linearizable reads of the turn. */
  ask(): void {
    const round = this.#gathering;
    if (round.reads.length + round.scans.length === 0) return;
    this.#gathering = this.#round();
    const { node } = this.#context.host.group;
    const context = this.#nextContext++;
    round.term = node.term;
    if (!node.readIndex(context)) {
      this.#lose(round);
      return;
    }
    this.#context.counters.readRounds++;
    this.#asked.set(context, round);
  }

  onRead(context: number, index: number): void {
    const round = this.#asked.get(context);
    if (round === undefined) return;
    this.#asked.delete(context);
    round.index = index;
    this.#confirmed.push(round);
  }

  onReadLost(context: number): void {
    const round = this.#asked.get(context);
    this.#asked.delete(context);
    if (round !== undefined) this.#lose(round);
  }

  /** Reads what may be read, and has applied what is waited for. Returns whether an apply was asked for. */
  serve(): boolean {
    const { applier } = this.#context.host.group;
    this.#serveStale();
    while ((this.#confirmed[0]?.index ?? Number.POSITIVE_INFINITY) <= applier.applied) {
      const round = this.#confirmed.shift();
      if (round !== undefined) this.#serve(round);
    }
    if (this.#confirmed.length === 0 && this.#waiting.length === 0) return false;
    if (applier.isIdle) return false;
    applier.demand();
    return true;
  }

  failAll(error: (inDoubt: boolean) => EraftError): void {
    const rounds = [...this.#asked.values(), ...this.#confirmed, this.#gathering, this.#stale];
    for (const round of rounds) this.#fail(round, (pending) => pending.fail(error(false)));
    for (const { pending } of this.#waiting) pending.fail(error(false));
    this.#asked.clear();
    this.#confirmed = [];
    this.#waiting = [];
  }

  #has(revision: number): boolean {
    if (this.#context.host.group.node.installing) return false;
    return revision <= this.#context.machine.revision(this.#context.group);
  }

  #admit(pending: Pending, bytes: number): boolean {
    const refusal = stateRefusal(this.#context.host.group.node.installing);
    if (refusal !== null) {
      this.#context.reject(pending, refusal);
      return false;
    }
    if (this.gauge.admits(bytes)) {
      pending.charge(this.gauge, bytes);
      return true;
    }
    const { frames } = this.gauge;
    this.#context.reject(pending, new EraftError('ERAFT_OVERLOADED', `${frames} reads wait to be answered already`));
    return false;
  }

  #round(): Round {
    return { slab: this.#spare.pop() ?? new Slab(SLAB_BYTES), reads: [], scans: [], term: 0, index: 0 };
  }

  #recycle({ slab }: Round): void {
    slab.clear();
    if (this.#spare.length < SPARE_SLABS_MAX) this.#spare.push(slab);
  }

  /** { length u32, tag u32, ReadBatch, padding to 8 }: as the storage takes it. */
  #put(round: Round, body: Uint8Array, pending: Pending): void {
    const at = round.slab.take(PREFIX_BYTES + Math.ceil(body.length / 8) * 8);
    const tag = this.#context.host.tags.take((status, bytes, start, end) => {
      this.#answer(pending, round.term, FRAME.values, status, bytes, start, end);
    });
    const { bytes } = round.slab;
    const view = new DataView(bytes.buffer);
    view.setUint32(at, body.length, true);
    view.setUint32(at + 4, tag, true);
    bytes.set(body, at + PREFIX_BYTES);
    round.reads.push(pending);
  }

  #serveStale(): void {
    if (this.#waiting.length > 0) {
      this.#waiting = this.#waiting.filter(({ pending, minRevision, go }) => {
        if (pending.abandoned()) return false;
        if (!this.#has(minRevision)) return true;
        go();
        return false;
      });
    }
    const round = this.#stale;
    if (round.reads.length + round.scans.length === 0) return;
    this.#stale = this.#round();
    const refusal = stateRefusal(this.#context.host.group.node.installing);
    if (refusal === null) this.#serve(round);
    else {
      this.#fail(round, (pending) => this.#context.reject(pending, refusal));
      this.#recycle(round);
    }
  }

  #serve(round: Round): void {
    if (!this.#stillLeads(round.term)) {
      this.#lose(round);
      return;
    }
    const { machine, group, host } = this.#context;
    if (round.reads.length > 0) this.#read(round.slab);
    for (const { pending, body, onViewLost } of round.scans) {
      if (pending.abandoned()) continue;
      const tag = host.tags.take((status, bytes, start, end) => {
        const lost = errorCodeOf(status) === 'ERAFT_SNAPSHOT_LOST';
        if (lost && onViewLost?.() === true) return;
        this.#answer(pending, round.term, FRAME.page, status, bytes, start, end);
      });
      machine.scan(group, tag, body, 0, body.length);
    }
    this.#recycle(round);
  }

  #read(slab: Slab): void {
    const { machine, group } = this.#context;
    let written = machine.read(group, slab.bytes, 0, slab.fill, this.#out, OUT_START);
    while (written < 0) {
      this.#out = new Uint8Array(Math.max(2 * this.#out.length, OUT_START - written));
      written = machine.read(group, slab.bytes, 0, slab.fill, this.#out, OUT_START);
    }
    const out = this.#out;
    const view = new DataView(out.buffer);
    let at = OUT_START;
    while (at < OUT_START + written) {
      const length = view.getUint32(at, true);
      const tag = view.getUint32(at + 4, true);
      const start = at + PREFIX_BYTES;
      this.#context.host.tags.release(tag)?.(0, out, start, start + length);
      at = start + Math.ceil(length / 8) * 8;
    }
    if (this.#out.length > OUT_KEPT_BYTES_MAX) this.#out = new Uint8Array(OUT_BYTES);
  }

  /** Either kind of answer has 8 bytes or more in front of it that are read by now: the frame header goes there. */
  #answer(
    pending: Pending,
    term: number,
    kind: number,
    status: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (status !== 0) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
      this.#context.reject(pending, new EraftError(errorCodeOf(status) ?? 'ERAFT_FAILED', text));
    } else if (!this.#stillLeads(term)) this.#context.notLeader(pending);
    else {
      writeFrameHeader(bytes, start - FRAME_HEADER_BYTES, kind, pending.group, pending.request, 0);
      pending.reply(bytes.subarray(start - FRAME_HEADER_BYTES, end));
    }
  }

  #stillLeads(term: number): boolean {
    const { node } = this.#context.host.group;
    return term === 0 || (node.role === 'leader' && node.term === term);
  }

  #lose(round: Round): void {
    this.#fail(round, (pending) => this.#context.notLeader(pending));
    this.#recycle(round);
  }

  /** Answers a round that is not going to be read, and frees its tags. */
  #fail({ slab, reads, scans }: Round, fail: (pending: Pending) => void): void {
    const view = new DataView(slab.bytes.buffer);
    for (let at = 0; at < slab.fill; ) {
      this.#context.host.tags.release(view.getUint32(at + 4, true));
      at += PREFIX_BYTES + Math.ceil(view.getUint32(at, true) / 8) * 8;
    }
    for (const pending of reads) fail(pending);
    for (const { pending } of scans) fail(pending);
  }
}
