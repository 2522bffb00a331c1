import { LIMITS } from '../base/limits.js';
import { encodeRaftFrame, type OutgoingMessage, PEER_PREFIX_BYTES, RAFT_MESSAGE_BYTES } from '../proto/peer-frames.js';
import type { Append, Message, ReplicaId } from '../raft/messages.js';
import type { LogStore } from '../storage/index.js';
import type { Network } from '../transport/network.js';
import type { Tags } from './tags.js';

const ARENA_BYTES = 1024 * 1024;
// What comes from disk for a follower far behind is copied into buffers that are used again: new ones would have the heap
// collected several times a second, while clients wait. A longer append gets its own.
const POOLED_BYTES = 256 * 1024;
const POOLED_MAX = 8;
const HEAD_ROOM_BYTES = PEER_PREFIX_BYTES + 64;

/** What the outbox asks of the group whose messages it carries. */
export interface AppendSource {
  readonly group: number;
  /** Is this append still what the leader of this term would say? Asked when its bytes had to come from the disk. */
  mayStillSend(append: Append, epoch: number): boolean;
  /** Has the follower said since that it has all of it? */
  isHeld(append: Append): boolean;
  readonly epoch: number;
  /** An append to this replica was lost on the way out. */
  onLost(to: ReplicaId): void;
}

interface Lane {
  messages: OutgoingMessage[];
  tail: Uint8Array[];
  tailBytes: number;
  /** Buffers of the pool, in `tail`. */
  pooled: Uint8Array[];
  /** Sources with appends in `messages`. */
  readonly sources: Set<AppendSource>;
  /** Appends that wait for the one in front of them, whose bytes are being read from disk. null: none is. */
  waiting: { readonly source: AppendSource; readonly append: Append; readonly epoch: number }[] | null;
}

/**
 * The messages of a turn, as one frame for each peer. Appends get their bytes from the log's memory tail, or, for a
 * follower that is far behind, from disk; then the later appends to this peer wait behind it, since a follower refuses
 * what comes out of order. Everything else overtakes: a heartbeat never waits for a disk.
 */
export class Outbox {
  readonly #network: Network;
  readonly #log: LogStore;
  readonly #tags: Tags;
  readonly #lanes = new Map<ReplicaId, Lane>();
  readonly #busy = new Set<ReplicaId>();
  #arena: Uint8Array<ArrayBuffer> = new Uint8Array(ARENA_BYTES);
  #used = 0;
  readonly #pool: Uint8Array[] = [];
  #last: { group: number; from: number; to: number; bytes: Uint8Array } | null = null;

  constructor(network: Network, log: LogStore, tags: Tags) {
    this.#network = network;
    this.#log = log;
    this.#tags = tags;
  }

  add(source: AppendSource, messages: readonly Message[]): void {
    for (const message of messages) {
      const lane = this.#lane(message.to);
      if (message.type !== 'append' || message.last === message.index) this.#put(lane, source.group, message, null);
      else if (lane.waiting !== null) lane.waiting.push({ source, append: message, epoch: source.epoch });
      else this.#append(lane, source, message);
    }
  }

  /** Hands every peer its frame. Returns whether there was anything to send. */
  flush(): boolean {
    this.#last = null;
    if (this.#busy.size === 0) return false;
    for (const id of this.#busy) this.#send(id, this.#lane(id));
    this.#busy.clear();
    return true;
  }

  #lane(id: ReplicaId): Lane {
    let lane = this.#lanes.get(id);
    if (lane === undefined) {
      lane = { messages: [], tail: [], tailBytes: 0, pooled: [], sources: new Set(), waiting: null };
      this.#lanes.set(id, lane);
    }
    return lane;
  }

  #append(lane: Lane, source: AppendSource, append: Append): void {
    const bytes = this.#fromMemory(source.group, append.index + 1, append.last);
    if (bytes === null) this.#fetch(lane, source, append);
    else this.#put(lane, source.group, append, bytes, source);
  }

  /** @param pooled - that `bytes` lie in */
  #put(
    lane: Lane,
    group: number,
    message: Message,
    bytes: Uint8Array | null,
    source?: AppendSource,
    pooled: Uint8Array | null = null,
  ): void {
    const recordBytes = bytes?.length ?? 0;
    const head = HEAD_ROOM_BYTES + (lane.messages.length + 1) * RAFT_MESSAGE_BYTES;
    if (head + lane.tailBytes + recordBytes > LIMITS.peerFrameBytesMax) this.#send(message.to, lane);
    lane.messages.push({ group, message, recordBytes });
    if (bytes !== null) lane.tail.push(bytes);
    if (pooled !== null) lane.pooled.push(pooled);
    lane.tailBytes += recordBytes;
    if (source !== undefined) lane.sources.add(source);
    this.#busy.add(message.to);
  }

  #send(to: ReplicaId, lane: Lane): void {
    if (lane.messages.length === 0) return;
    const { pooled } = lane;
    const gone = pooled.length === 0 ? undefined : () => this.#giveBack(pooled);
    const sent = this.#network.send(to, encodeRaftFrame(lane.messages), lane.tail, gone);
    if (!sent) {
      gone?.();
      for (const source of lane.sources) source.onLost(to);
    }
    lane.pooled = [];
    lane.messages = [];
    lane.tail = [];
    lane.tailBytes = 0;
    lane.sources.clear();
  }

  /** Records [from, to], in memory that nobody writes to again; followers that are told the same share it. */
  #fromMemory(group: number, from: number, to: number): Uint8Array | null {
    const last = this.#last;
    if (last !== null && last.group === group && last.from === from && last.to === to) return last.bytes;
    for (;;) {
      const count = this.#log.readTail(group, from, to, LIMITS.peerFrameBytesMax, this.#arena, this.#used);
      if (count === 0) return null;
      if (count > 0) {
        const bytes = this.#arena.subarray(this.#used, this.#used + count);
        this.#used += count;
        this.#last = { group, from, to, bytes };
        return bytes;
      }
      this.#arena = new Uint8Array(Math.max(ARENA_BYTES, -count));
      this.#used = 0;
    }
  }

  #giveBack(buffers: readonly Uint8Array[]): void {
    for (const buffer of buffers) if (this.#pool.length < POOLED_MAX) this.#pool.push(buffer);
  }

  // SAFETY: bytes that come later than the message that named them.
  // Claim:   an append carries exactly the entries that its leader held, in that term, at [index + 1, last].
  // Why:     the storage checks every record's checksum, and only whole records; the follower checks that indexes and
  //          terms are the claimed ones. Between question and answer the replica may have lost its leadership, had its log
  //          overwritten and won again: term, role and epoch are compared, and a message of another time is dropped.
  // Rests:   Raft repeats what is lost (onLost makes the leader probe).
  // Checked: test/host/outbox.test.ts; test/kv/faults.test.ts, a follower that is far behind.
  #fetch(lane: Lane, source: AppendSource, append: Append): void {
    lane.waiting ??= [];
    const epoch = source.epoch;
    const tag = this.#tags.take((status, slab, start, end) => {
      const waiting = lane.waiting ?? [];
      lane.waiting = null;
      if (status !== 0 || !source.mayStillSend(append, epoch)) {
        source.onLost(append.to);
        return;
      }
      if (!source.isHeld(append)) this.#putCopy(lane, source, append, slab.subarray(start, end));
      for (const next of waiting) {
        // A follower that was sent the same again and again, at the pace of the disk, would never be sent anything new.
        if (!next.source.mayStillSend(next.append, next.epoch) || next.source.isHeld(next.append)) continue;
        if (lane.waiting === null) this.#append(lane, next.source, next.append);
        else (lane.waiting as NonNullable<Lane['waiting']>).push(next);
      }
    });
    this.#log.fetch(source.group, append.index + 1, append.last, LIMITS.peerFrameBytesMax, tag);
  }

  #putCopy(lane: Lane, source: AppendSource, append: Append, lent: Uint8Array): void {
    const buffer = lent.length > POOLED_BYTES ? null : (this.#pool.pop() ?? new Uint8Array(POOLED_BYTES));
    buffer?.set(lent);
    const bytes = buffer === null ? lent.slice() : buffer.subarray(0, lent.length);
    this.#put(lane, source.group, append, bytes, source, buffer);
  }
}
