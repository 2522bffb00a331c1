// The native storage of one replica, stepped at the pace of a simulated disk, with everything that is written told to somebody.

import type { EraftError } from '../../ts/base/errors.js';
import type {
  DiskFault,
  DurableLog,
  GroupRecovery,
  LogStore,
  Progress,
  SnapshotStore,
  StateMachine,
  Storage,
  StorageDigest,
  StorageIdentity,
  StorageStats,
} from '../../ts/storage/index.js';
import { batchesOf, headsOf, type Submission } from './disk-image.js';

export interface StorageWatch {
  /** Records that are going to be submitted, valid during the call. */
  records(slab: Uint8Array, start: number, end: number): void;
  submitted(submission: Submission): void;
  /** Everything up to this ticket is durable, and terms and votes up to `votes`. */
  durable(ticket: number, votes: number): void;
  /** A snapshot that ends with this entry takes the place of log and state; or, of course, fails to. */
  installing(index: number, term: number): void;
  installed(): void;
  /** There is work for the disk. */
  busy(): void;
}

export class WatchedStorage implements Storage {
  readonly log: LogStore;
  readonly machine: StateMachine;
  readonly snapshots: WatchedSnapshots;
  readonly #inner: Storage;
  readonly #watch: StorageWatch;

  constructor(inner: Storage, watch: StorageWatch) {
    this.#inner = inner;
    this.#watch = watch;
    this.log = new WatchedLog(inner.log, watch);
    this.machine = new WatchedMachine(inner.machine, watch);
    this.snapshots = new WatchedSnapshots(inner.snapshots, watch);
  }

  get identity(): StorageIdentity {
    return this.#inner.identity;
  }

  get token(): number {
    return this.#inner.token;
  }

  groups(): readonly GroupRecovery[] {
    return this.#inner.groups();
  }

  poll(): Progress {
    const progress = this.#inner.poll();
    this.#watch.durable(progress.durable, progress.durableVotes);
    this.snapshots.look(this.#inner.machine);
    return progress;
  }

  failure(): EraftError | undefined {
    return this.#inner.failure();
  }

  answers(out: Uint8Array, outStart: number): number {
    return this.#inner.answers(out, outStart);
  }

  setMemberKnown(): void {
    this.#inner.setMemberKnown();
  }

  setRepaired(group: number): void {
    this.#inner.setRepaired(group);
  }

  stats(): StorageStats {
    return this.#inner.stats();
  }

  digest(group: number): StorageDigest {
    return this.#inner.digest(group);
  }

  durable(group: number): DurableLog {
    return this.#inner.durable(group);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  step(): boolean {
    return this.#inner.step();
  }

  setNow(ms: number): void {
    this.#inner.setNow(ms);
  }

  crash(seed: number): void {
    this.snapshots.ended = true;
    this.#inner.crash(seed);
  }

  failOperation(n: number, fault: DiskFault): void {
    this.#inner.failOperation(n, fault);
  }

  setCapacity(bytes: number): void {
    this.#inner.setCapacity(bytes);
    this.#watch.busy();
  }
}

class WatchedLog implements LogStore {
  readonly #inner: LogStore;
  readonly #watch: StorageWatch;

  constructor(inner: LogStore, watch: StorageWatch) {
    this.#inner = inner;
    this.#watch = watch;
  }

  verifyBatch(bytes: Uint8Array, start: number, end: number): number {
    return this.#inner.verifyBatch(bytes, start, end);
  }

  seal(...args: Parameters<LogStore['seal']>): number {
    return this.#inner.seal(...args);
  }

  inspect(slab: Uint8Array, start: number, end: number, out: Float64Array): number {
    return this.#inner.inspect(slab, start, end, out);
  }

  submit(slab: Uint8Array, start: number, end: number, states: Float64Array, count: number): number {
    const ticket = this.#inner.submit(slab, start, end, states, count);
    const [, term = 0, vote = 0, commit = 0] = states;
    this.#watch.records(slab, start, end);
    const hard = count === 0 ? null : { term, vote, commit };
    this.#watch.submitted({ ticket, hard, heads: headsOf(slab, start, end), batches: batchesOf(slab, start, end) });
    return ticket;
  }

  write(): void {
    this.#inner.write();
    this.#watch.busy();
  }

  saveConf(group: number, index: number, conf: Uint8Array): number {
    const ticket = this.#inner.saveConf(group, index, conf);
    this.#watch.busy();
    return ticket;
  }

  readTail(...args: Parameters<LogStore['readTail']>): number {
    return this.#inner.readTail(...args);
  }

  fetch(group: number, from: number, to: number, maxBytes: number, tag: number): void {
    this.#inner.fetch(group, from, to, maxBytes, tag);
    this.#watch.busy();
  }

  truncate(group: number, index: number): void {
    this.#inner.truncate(group, index);
    this.#watch.busy();
  }

  compacted(group: number): number {
    return this.#inner.compacted(group);
  }
}

class WatchedMachine implements StateMachine {
  readonly #inner: StateMachine;
  readonly #watch: StorageWatch;

  constructor(inner: StateMachine, watch: StorageWatch) {
    this.#inner = inner;
    this.#watch = watch;
  }

  evaluate(group: number, to: number): boolean {
    const done = this.#inner.evaluate(group, to);
    if (!done) this.#watch.busy();
    return done;
  }

  apply(group: number, to: number, wantResults: boolean): boolean {
    const done = this.#inner.apply(group, to, wantResults);
    if (!done) this.#watch.busy();
    return done;
  }

  results(out: Uint8Array, outStart: number): number {
    return this.#inner.results(out, outStart);
  }

  read(...args: Parameters<StateMachine['read']>): number {
    const bytes = this.#inner.read(...args);
    this.#watch.busy();
    return bytes;
  }

  scan(group: number, tag: number, slab: Uint8Array, start: number, end: number): void {
    this.#inner.scan(group, tag, slab, start, end);
    this.#watch.busy();
  }

  closeView(view: number): void {
    this.#inner.closeView(view);
  }

  peek(group: number, key: Uint8Array, out: Uint8Array): number {
    return this.#inner.peek(group, key, out);
  }

  applied(group: number): number {
    return this.#inner.applied(group);
  }

  revision(group: number): number {
    return this.#inner.revision(group);
  }

  flushed(group: number): number {
    return this.#inner.flushed(group);
  }

  flush(): void {
    this.#inner.flush();
    this.#watch.busy();
  }
}

class WatchedSnapshots implements SnapshotStore {
  /** The power has failed: whoever is closed afterwards gives back what is gone. */
  ended = false;
  readonly #inner: SnapshotStore;
  readonly #watch: StorageWatch;
  #installing: { readonly group: number; readonly index: number } | null = null;

  constructor(inner: SnapshotStore, watch: StorageWatch) {
    this.#inner = inner;
    this.#watch = watch;
  }

  /** Nothing is applied while a snapshot is being installed: when as much is applied, it is. */
  look(machine: StateMachine): void {
    if (this.#installing === null || machine.applied(this.#installing.group) < this.#installing.index) return;
    this.#installing = null;
    this.#watch.installed();
  }

  create(group: number, tag: number): void {
    this.#inner.create(group, tag);
    this.#watch.busy();
  }

  latest(group: number): ReturnType<SnapshotStore['latest']> {
    return this.#inner.latest(group);
  }

  hold(id: string): boolean {
    return this.#inner.hold(id);
  }

  release(id: string): void {
    if (!this.ended) this.#inner.release(id);
  }

  readChunk(id: string, chunk: number, tag: number): void {
    this.#inner.readChunk(id, chunk, tag);
    this.#watch.busy();
  }

  receive(...args: Parameters<SnapshotStore['receive']>): void {
    this.#inner.receive(...args);
    this.#watch.busy();
  }

  receiveChunk(...args: Parameters<SnapshotStore['receiveChunk']>): void {
    this.#inner.receiveChunk(...args);
    this.#watch.busy();
  }

  install(...args: Parameters<SnapshotStore['install']>): void {
    const [group, index, term] = args;
    this.#installing = { group, index };
    this.#watch.installing(index, term);
    this.#inner.install(...args);
    this.#watch.busy();
  }
}
