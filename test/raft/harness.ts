// test/raft: what the core's tests share: a cluster of RaftNodes with a simulated disk each, and links between them.
//
// A disk completes writes in order, when told to; a crash forgets what it has not completed. A link keeps messages until
// they are delivered, in any order, dropped or repeated. Nothing happens by itself, so every test decides every step.

import assert from 'node:assert/strict';
import {
  type Append,
  type Entry,
  type HardState,
  type InitialState,
  type Message,
  type Persist,
  type RaftConfig,
  RaftNode,
  type Ready,
  type ReplicaId,
  type SnapshotPoint,
} from '../../ts/raft/index.js';

/** An entry with what a host would know of it. */
export interface Record extends Entry {
  readonly text: string;
}

/** An append as it is on the wire: with its records. */
export type WireMessage = Message & { readonly records?: readonly Record[] };

interface Write {
  readonly ready: Ready;
  readonly records: readonly Record[];
  readonly sends: WireMessage[];
  /** Instead of all that: a snapshot takes the place of log and state machine. */
  readonly install: SnapshotPoint | null;
}

/** What survives a crash. */
export interface Disk {
  hardState: HardState;
  compacted: Record;
  records: Record[]; // those after `compacted`
}

export type Event =
  | { readonly kind: 'ready'; readonly id: ReplicaId; readonly ready: Ready; readonly records: readonly Record[] }
  | { readonly kind: 'send'; readonly message: WireMessage };

export const ENTRY_BYTES = 100;

export const CONFIG_DEFAULT = {
  electionTicks: 10,
  heartbeatTicks: 1,
  electionJitter: () => 0,
  inflightMessagesMax: 16,
  inflightBytesMax: 1_000_000,
  appendBytesMax: 100_000,
  uncommittedBytesMax: 1_000_000,
  catchUpBytesPerTick: 1_000_000,
  catchUpBytesMax: 1_000_000,
  blankBytes: ENTRY_BYTES,
};

/** A disk on which an entry of each of `terms` lies, from index 1 on. */
export function diskWith(terms: readonly number[], hardState: HardState): Disk {
  const records = terms.map((term, i) => ({ index: i + 1, term, bytes: ENTRY_BYTES, text: '' }));
  return { hardState, compacted: { index: 0, term: 0, bytes: 0, text: '' }, records };
}

/** As a host would find it whose store has nothing but what was compacted. */
export function initialOf(disk: Disk): InitialState {
  const termRuns: [number, number][] = [];
  for (const { index, term } of disk.records) if (termRuns.at(-1)?.[1] !== term) termRuns.push([index, term]);
  return {
    hardState: disk.hardState,
    compactedIndex: disk.compacted.index,
    compactedTerm: disk.compacted.term,
    termRuns,
    sizes: disk.records.map((r) => r.bytes),
    appliedIndex: disk.compacted.index,
  };
}

/** `records` follow, and replace what is there from their first index on. */
function overwrite(log: Record[], records: readonly Record[]): void {
  const first = records[0];
  if (first === undefined) return;
  const at = log.findIndex((r) => r.index === first.index);
  if (at >= 0) log.length = at;
  assert.equal(first.index, (log.at(-1)?.index ?? first.index - 1) + 1, 'a log has no gaps');
  log.push(...records);
}

/** One replica: its core, its disk, and the part of a host that a core needs. */
export class Member {
  readonly config: RaftConfig;
  readonly disk: Disk;
  readonly #onEvent: (event: Event) => void;
  node: RaftNode;
  alive = true;
  /** Not yet durable, oldest first. */
  writes: Write[] = [];
  /** Durable, and the core does not know. */
  reports: (Persist | SnapshotPoint)[] = [];
  /** Followers whose snapshot the core has asked for. */
  needs = new Set<ReplicaId>();
  /** The log as the core has it, with texts. */
  records: Record[] = [];
  applied = 0;
  readonly #texts = new Map<string, string>(); // of proposals not yet in a Ready

  constructor(config: RaftConfig, disk: Disk, onEvent: (event: Event) => void) {
    this.config = config;
    this.disk = disk;
    this.#onEvent = onEvent;
    this.node = this.#open();
  }

  get id(): ReplicaId {
    return this.config.id;
  }

  propose(text: string, bytes = ENTRY_BYTES): number {
    const proposed = this.node.propose(bytes);
    if ('refused' in proposed) return 0;
    this.#texts.set(`${this.node.term}/${proposed.index}`, text);
    return proposed.index;
  }

  step(m: WireMessage): void {
    if (!this.alive) return;
    const { records, ...message } = m;
    for (const r of records ?? []) this.#texts.set(`${r.term}/${r.index}`, r.text);
    const entries = records?.map(({ index, term, bytes }) => ({ index, term, bytes }));
    this.node.step(entries === undefined ? message : ({ ...message, entries } as Append));
  }

  /** Does what Readys say until none is left. Applies at once what may be applied. */
  process(): void {
    for (let turns = 0; this.alive && this.node.hasReady(); turns++) {
      assert.ok(turns < 100, `replica ${this.id} is never done`);
      this.#take(this.node.ready());
    }
  }

  /** The oldest `count` writes reach the disk, and what waited for them leaves. The core hears of it in `report`. */
  complete(count = this.writes.length): void {
    for (const write of this.writes.splice(0, count)) {
      if (write.install !== null) this.#replace(write.install);
      else if (write.ready.hardState !== null) this.disk.hardState = write.ready.hardState;
      overwrite(this.disk.records, write.records);
      for (const m of write.sends) this.#send(m);
      if (write.install !== null) this.reports.push(write.install);
      else if (write.ready.persist !== null) this.reports.push(write.ready.persist);
    }
  }

  /** The oldest `count` reports of completed writes reach the core. */
  report(count = this.reports.length): void {
    for (const done of this.reports.splice(0, count)) {
      if ('epoch' in done) this.node.onDurable(done);
      else this.#installed(done);
    }
  }

  /** What this replica applied lies with `to` as a snapshot, whose core hears of it. False: it would not help. */
  offer(to: ReplicaId, index = this.applied): boolean {
    this.needs.delete(to);
    const offered = this.node.offerSnapshot(to, { index, term: this.node.termAt(index) });
    if (!offered) this.node.snapshotFailed(to);
    return offered;
  }

  compact(index: number): void {
    const at = this.disk.records.findIndex((r) => r.index === index);
    this.disk.compacted = this.disk.records[at] as Record;
    this.disk.records.splice(0, at + 1);
    this.records.splice(0, this.records.findIndex((r) => r.index === index) + 1);
    this.node.onCompacted(index);
  }

  /**
   * Forgets everything that is not on the disk. Of the write that was interrupted, the hard state may have made it: it comes
   * first, and frames may be cut anywhere.
   */
  crash(interrupted?: 'after its hard state'): void {
    const hardState = this.writes[0]?.ready.hardState;
    if (interrupted !== undefined && hardState) this.disk.hardState = hardState;
    this.alive = false;
    this.writes = [];
    this.reports = [];
    this.needs.clear();
    this.#texts.clear();
  }

  restart(): void {
    this.alive = true;
    this.node = this.#open();
  }

  #open(): RaftNode {
    this.records = [...this.disk.records];
    this.applied = this.disk.compacted.index;
    return new RaftNode(this.config, initialOf(this.disk));
  }

  #take(ready: Ready): void {
    const records = ready.append.map((e) => ({ ...e, text: this.#textOf(e, ready) }));
    overwrite(this.records, records);
    this.#onEvent({ kind: 'ready', id: this.id, ready, records });
    for (const m of ready.sendNow) this.#send(this.#onWire(m));
    const sends = ready.sendWhenDurable.map((m) => this.#onWire(m));
    for (const id of ready.needSnapshot) this.needs.add(id);
    if (ready.persist !== null) this.writes.push({ ready, records, sends, install: null });
    else if (this.writes.length > 0) this.writes.at(-1)?.sends.push(...sends);
    else for (const m of sends) this.#send(m);
    if (ready.applyUpTo > this.applied) {
      this.applied = ready.applyUpTo;
      this.node.onApplied(ready.applyUpTo);
    }
    if (ready.install !== null) this.writes.push({ ready, records: [], sends: [], install: ready.install });
  }

  /** The snapshot that was being installed is found to be damaged, before anything was touched. */
  failInstall(): void {
    const at = this.writes.findIndex((w) => w.install !== null);
    const [write] = this.writes.splice(at, at < 0 ? 0 : 1);
    assert.ok(write?.install, `replica ${this.id} installs nothing`);
    for (const m of write.sends) this.#send(m);
    this.node.onInstallFailed(write.install.index);
  }

  #replace({ index, term }: SnapshotPoint): void {
    this.disk.compacted = { index, term, bytes: 0, text: '' };
    this.disk.records = [];
  }

  #installed({ index }: SnapshotPoint): void {
    this.records = [];
    this.applied = index;
    this.node.onInstalled(index);
  }

  #textOf(e: Entry, ready: Ready): string {
    const text = this.#texts.get(`${e.term}/${e.index}`);
    this.#texts.delete(`${e.term}/${e.index}`);
    return text ?? (ready.blank?.index === e.index ? 'blank' : '');
  }

  #onWire(m: Message): WireMessage {
    if (m.type !== 'append') return m;
    return { ...m, records: this.records.filter((r) => r.index > m.index && r.index <= m.last) };
  }

  #send(message: WireMessage): void {
    this.#onEvent({ kind: 'send', message });
  }
}

export interface ClusterOptions extends Partial<Omit<RaftConfig, 'id' | 'voters'>> {
  readonly voters: readonly ReplicaId[];
  /** false: a write is durable as soon as it is asked for. */
  readonly slowDisks?: boolean;
  readonly disks?: { readonly [id: ReplicaId]: Disk };
  readonly onEvent?: (event: Event) => void;
}

/** Members and the links between them. */
export class Cluster {
  readonly members = new Map<ReplicaId, Member>();
  /** Sent and not delivered, by `from->to`, oldest first. */
  readonly links = new Map<string, WireMessage[]>();
  readonly #cut = new Set<string>();
  readonly #slowDisks: boolean;

  constructor(options: ClusterOptions) {
    const { voters, slowDisks, disks, onEvent, ...config } = options;
    this.#slowDisks = slowDisks ?? false;
    for (const id of voters) {
      const disk = disks?.[id] ?? diskWith([], { term: 0, vote: 0, commit: 0 });
      const member = new Member({ ...CONFIG_DEFAULT, ...config, id, voters }, disk, (event) => {
        if (event.kind === 'send') this.#post(event.message);
        onEvent?.(event);
      });
      this.members.set(id, member);
    }
  }

  member(id: ReplicaId): Member {
    const member = this.members.get(id);
    assert.ok(member, `no replica ${id}`);
    return member;
  }

  node(id: ReplicaId): RaftNode {
    return this.member(id).node;
  }

  /** Takes the Readys of one member, and with instant disks completes what they ask for. */
  turn(id: ReplicaId): void {
    const member = this.member(id);
    member.process();
    while (!this.#slowDisks && member.writes.length > 0) this.complete(id);
  }

  complete(id: ReplicaId, count?: number): void {
    this.member(id).complete(count);
    this.member(id).report();
    this.member(id).process();
  }

  /** Delivers what is on the link now, oldest first, each in a turn of its own. */
  deliver(from: ReplicaId, to: ReplicaId, count = Number.POSITIVE_INFINITY): number {
    const messages = this.take(from, to, count);
    for (const m of messages) {
      this.member(to).step(m);
      this.turn(to);
    }
    return messages.length;
  }

  /** Takes messages off the link. */
  take(from: ReplicaId, to: ReplicaId, count = Number.POSITIVE_INFINITY): WireMessage[] {
    return this.links.get(`${from}->${to}`)?.splice(0, count) ?? [];
  }

  /** Messages and writes, until nothing is left to do. */
  settle(): void {
    for (let rounds = 0, busy = true; busy; rounds++) {
      assert.ok(rounds < 1000, 'the cluster never comes to rest');
      busy = false;
      for (const id of this.members.keys()) {
        this.turn(id);
        if (this.member(id).writes.length + this.member(id).reports.length === 0) continue;
        this.complete(id);
        busy = true;
      }
      for (const from of this.members.keys()) {
        for (const to of this.members.keys()) busy = this.deliver(from, to) > 0 || busy;
      }
    }
  }

  /** Everything between `a` and `b` is lost from now on, what is on its way too. */
  cut(a: ReplicaId, b: ReplicaId): void {
    for (const link of [`${a}->${b}`, `${b}->${a}`]) {
      this.#cut.add(link);
      this.links.delete(link);
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  isolate(id: ReplicaId): void {
    for (const other of this.members.keys()) if (other !== id) this.cut(id, other);
  }

  /** Elects `id`, and lets everybody hear of it. */
  elect(id: ReplicaId): void {
    this.node(id).campaign();
    this.settle();
    assert.equal(this.node(id).role, 'leader', `replica ${id} was not elected`);
  }

  tick(id: ReplicaId, count = 1): void {
    for (let i = 0; i < count; i++) {
      this.node(id).tick();
      this.turn(id);
    }
  }

  #post(m: WireMessage): void {
    const link = `${m.from}->${m.to}`;
    if (this.#cut.has(link)) return;
    const queue = this.links.get(link);
    if (queue === undefined) this.links.set(link, [m]);
    else queue.push(m);
  }
}
