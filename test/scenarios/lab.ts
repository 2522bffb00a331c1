// The harness of the scenarios: replicas that ship, in virtual time, with the words that the scenarios are told in.
//
// It goes back to the labs of MIT 6.824: `connect`, `crash`, `one`, `committedOn`, … Where those call Start(command) at a
// server, `propose` writes at that very replica: nothing is forwarded, nothing is sent again. A crash is harder than
// theirs: it is a power failure, and what was not synced is lost or torn.
import assert from 'node:assert/strict';
import type { Host } from '../../ts/host/host.js';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import { decodeRaftFrame, PEER_FRAME, PEER_PREFIX_BYTES } from '../../ts/proto/peer-frames.js';
import type { Message, RaftNode } from '../../ts/raft/index.js';
import type { MemoryHub, MemoryNetwork } from '../../ts/transport/memory-network.js';
import { codeOf, putFrame, readFrame } from '../kv/frames.js';
import { Asker, Simulation } from '../kv/simulation.js';
import { AgreedLog, type Place } from './agreed-log.js';
import { Agreement, type AgreementOptions } from './agreement.js';

export interface LabOptions {
  readonly seed: number;
  readonly replicas: number;
  readonly options?: Partial<ReplicaOptions>;
}

/** A write that one replica took as the leader that it was, or took itself for. */
export interface Proposal {
  readonly value: string;
  readonly replica: number;
  readonly term: number;
  readonly request: number;
}

/** What the replicas have handed to the network, whatever became of it. */
export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
  readonly messages: number;
  /** Appends that did not fit what the follower held. */
  readonly refusals: number;
}

const NO_TRAFFIC: Traffic = { frames: 0, bytes: 0, messages: 0, refusals: 0 };

/** Elections five times as often as by default: for scenarios that live on changes of leader. */
export const QUICK_ELECTIONS: Partial<ReplicaOptions> = { electionTimeoutMs: 200, heartbeatIntervalMs: 20 };

const PROPOSAL_DEADLINE_MS = 60_000;
const READ_KEYS = 1_000;

export class Lab implements AsyncDisposable {
  readonly sim: Simulation;
  readonly ids: readonly number[];
  readonly log = new AgreedLog();
  /** One message in ten is lost, and each takes up to 26 ms more and may overtake others. */
  unreliable = false;
  /** Two answers in three take up to 2.2 s more. */
  longReordering = false;
  /** Disks stand still nine milliseconds in ten. */
  slowDisks = false;
  /** Says of a message whether the network loses it. */
  loses: (message: Message) => boolean = () => false;
  readonly #cut = new Set<number>();
  readonly #stoppedDisks = new Set<number>();
  readonly #endpoints = new Map<number, MemoryNetwork>();
  readonly #proposals: Proposal[] = [];
  readonly #asker: Asker;
  readonly #sent = { ...NO_TRAFFIC } as { -readonly [K in keyof Traffic]: number };

  private constructor({ seed, replicas, options }: LabOptions) {
    this.ids = Array.from({ length: replicas }, (_, i) => i + 1);
    this.sim = new Simulation({ seed, ids: this.ids, ...(options === undefined ? {} : { options }) });
    this.#asker = new Asker(this.sim);
    this.#tapNetwork(this.sim.hub);
  }

  /** All replicas run and are connected; nobody leads yet. */
  static async open(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options);
    for (const id of lab.ids) await lab.#boot(id);
    return lab;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sim[Symbol.asyncDispose]();
  }

  // ---- time and chance

  get now(): number {
    return this.sim.time.now();
  }

  run(ms: number): void {
    this.sim.run(ms);
  }

  until(is: () => boolean, what: string, ms?: number): void {
    this.sim.until(is, what, ms);
  }

  chance(probability: number): boolean {
    return this.sim.random() < probability;
  }

  /** An integer from 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor(this.sim.random() * n);
  }

  // ---- replicas

  isUp(id: number): boolean {
    return this.sim.process(id).node !== null;
  }

  isConnected(id: number): boolean {
    return this.isUp(id) && !this.#cut.has(id);
  }

  /** The id that comes `by` places behind `id`, round and round. */
  next(id: number, by = 1): number {
    return ((id - 1 + by) % this.ids.length) + 1;
  }

  raft(id: number): RaftNode {
    const host = this.#endpoints.get(id)?.host;
    assert.ok(this.isUp(id) && host, `replica ${id} is not up`);
    return (host as Host<unknown>).group.node;
  }

  disconnect(...ids: readonly number[]): void {
    for (const id of ids) this.#cut.add(id);
    this.#rewire(false);
  }

  connect(...ids: readonly number[]): void {
    for (const id of ids) this.#cut.delete(id);
    this.#rewire(true);
  }

  /** Only those in the same group hear each other, until `connect` or the next partition. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.sim.hub.partition(...groups);
  }

  /** Power is lost; it comes back disconnected. */
  async crash(id: number): Promise<void> {
    this.disconnect(id);
    if (this.isUp(id)) await this.sim.crash(id);
  }

  /** Starts it from what its disk holds, not connected. A running one loses its power first. */
  async start(id: number): Promise<void> {
    await this.crash(id);
    await this.#boot(id);
  }

  async restart(...ids: readonly number[]): Promise<void> {
    for (const id of ids) await this.start(id);
    this.connect(...ids);
  }

  /** Nothing reaches its disk any more, until `resumeDisk` or its next start. */
  stopDisk(id: number): void {
    this.#stoppedDisks.add(id);
    this.sim.process(id).stalled = true;
  }

  resumeDisk(id: number): void {
    this.#stoppedDisks.delete(id);
    this.sim.process(id).stalled = false;
  }

  /** What its proposer was told: `written`, the code of an error, or nothing yet. */
  answerTo({ request }: Proposal): string {
    const answer = this.#asker.answers.get(request);
    return answer === undefined ? '' : codeOf(answer);
  }

  async #boot(id: number): Promise<void> {
    this.#stoppedDisks.delete(id);
    await this.sim.start(id);
    const { storage } = this.sim.process(id);
    assert.ok(storage !== null);
    this.log.watch(id, storage, () => this.raft(id));
    const moment = (): void => {
      const process = this.sim.process(id);
      if (process.storage !== storage) return;
      process.stalled = this.#stoppedDisks.has(id) || (this.slowDisks && this.chance(0.9));
      this.sim.time.at(this.now + 1, moment);
    };
    moment();
  }

  // ---- who leads

  leads(id: number): boolean {
    return this.isUp(id) && this.raft(id).role === 'leader';
  }

  /** Within ten looks, somebody connected leads, and nobody else in that term. Returns the leader of the highest term. */
  leader(): number {
    for (let look = 0; look < 10; look++) {
      this.run(450 + this.below(100));
      const byTerm = new Map<number, number>();
      for (const id of this.ids) {
        if (!this.isConnected(id) || !this.leads(id)) continue;
        const { term } = this.raft(id);
        assert.ok(!byTerm.has(term), `${id} and ${byTerm.get(term)} lead term ${term}\n${this.sim.describe()}`);
        byTerm.set(term, id);
      }
      const last = Math.max(0, ...byTerm.keys());
      if (last > 0) return byTerm.get(last) ?? 0;
    }
    throw new Error(`no leader\n${this.sim.describe()}`);
  }

  /** The term, on which all that are connected agree. */
  term(): number {
    const terms = new Set(this.ids.filter((id) => this.isConnected(id)).map((id) => this.raft(id).term));
    assert.equal(terms.size, 1, `terms ${[...terms]}\n${this.sim.describe()}`);
    return [...terms][0] ?? 0;
  }

  // ---- agreement

  /** A new value, written at this very replica; null: it does not lead. `bytes`: of the value besides its name. */
  propose(id: number, bytes = 0): Proposal | null {
    if (!this.leads(id)) return null;
    const value = `<#${this.#proposals.length}#>`;
    const frame = putFrame([{ key: value, value: 'x'.repeat(bytes) }], { deadlineMs: PROPOSAL_DEADLINE_MS });
    const { term } = this.raft(id);
    const proposal = { value, replica: id, term, request: this.#asker.send(id, frame) };
    this.#proposals.push(proposal);
    return proposal;
  }

  /** The record that the proposal got, which is there at the end of the turn. null: not in time. */
  placeOf({ value }: Proposal): Place | null {
    for (let ms = 0; ms < 20 && this.log.placeOf(value) === null; ms++) this.run(1);
    return this.log.placeOf(value);
  }

  /** How many running replicas have applied the record at `index`. */
  committedOn(index: number): number {
    return this.ids.filter((id) => this.isUp(id) && this.log.appliedBy(id) >= index).length;
  }

  /** The value is applied by so many replicas. */
  isOn({ value }: Proposal, replicas: number): boolean {
    const place = this.log.placeOf(value);
    return place !== null && this.log.holds(value) && this.committedOn(place.index) >= replicas;
  }

  /** Waits for `replicas` to have applied `index`; false if the term has changed first. */
  wait(index: number, replicas: number, startTerm: number): boolean {
    for (let ms = 0; ms < 10_000; ms += 10) {
      if (this.committedOn(index) >= replicas) return true;
      if (this.ids.some((id) => this.isUp(id) && this.raft(id).term > startTerm)) return false;
      this.run(10);
    }
    throw new Error(
      `entry ${index} is on ${this.committedOn(index)} replicas, not ${replicas}\n${this.sim.describe()}`,
    );
  }

  /** Has a value agreed upon by so many replicas within 10 s, by a new proposal when one is not within 2 s. Returns its index. */
  one(replicas: number, how: AgreementOptions = {}): number {
    const agreement = this.begin(replicas, how);
    while (agreement.step() === 0) this.run(5);
    return agreement.step();
  }

  /** The same, while other things go on: step it now and then. */
  begin(replicas: number, how: AgreementOptions = {}): Agreement {
    return new Agreement(this, replicas, how);
  }

  // ---- what must hold at the end of every scenario

  /**
   * With all up and connected: every store holds exactly what was agreed upon, every answered write was agreed upon, and
   * no write that was refused as not applied.
   */
  verify(): void {
    const raft = this.raft(this.leader());
    this.until(() => this.ids.every((id) => this.log.appliedBy(id) === raft.commit), 'all to apply all');
    for (const { value, request } of this.#proposals) {
      const answer = this.#asker.answers.get(request);
      if (answer?.kind === 'written') assert.ok(this.log.holds(value), `${value} was acknowledged and is lost`);
      if (answer?.kind === 'error' && answer.error.outcome === 'not-applied')
        assert.ok(!this.log.holds(value), `${value} was refused, and applied`);
    }
    for (const id of this.ids) this.#verifyStore(id);
  }

  #verifyStore(id: number): void {
    const all = this.#proposals.map(({ value }) => value);
    for (let from = 0; from < all.length; from += READ_KEYS) {
      const keys = all.slice(from, from + READ_KEYS);
      const answer = this.#asker.ask(id, readFrame(keys, { stale: true }));
      assert.equal(answer.kind, 'values');
      const found = answer.kind === 'values' ? answer.values : [];
      keys.forEach((value, i) => {
        assert.equal(found[i] !== undefined, this.log.holds(value), `${value} in the store of ${id}`);
      });
    }
  }

  // ---- the network

  /** All that was sent since `before`. */
  traffic(before: Traffic = NO_TRAFFIC): Traffic {
    const { frames, bytes, messages, refusals } = this.#sent;
    return {
      frames: frames - before.frames,
      bytes: bytes - before.bytes,
      messages: messages - before.messages,
      refusals: refusals - before.refusals,
    };
  }

  #rewire(connect: boolean): void {
    const { hub } = this.sim;
    const pairs = this.ids.flatMap((a) => this.ids.filter((b) => b > a).map((b) => [a, b] as const));
    if (connect) hub.heal();
    for (const [a, b] of pairs) {
      if (!this.#cut.has(a) && !this.#cut.has(b)) continue;
      if (connect) hub.sever(a, b);
      hub.cut(a, b);
      hub.cut(b, a);
    }
  }

  #tapNetwork(hub: MemoryHub): void {
    const endpoint = hub.endpoint.bind(hub);
    hub.endpoint = (...args) => {
      const made = endpoint(...args);
      this.#endpoints.set(made.id, made);
      return made;
    };
    const transmit = hub.transmit.bind(hub);
    hub.transmit = (from, to, frame) => {
      const messages = raftMessages(frame);
      this.#sent.frames++;
      this.#sent.bytes += frame.length;
      this.#sent.messages += messages.length;
      this.#sent.refusals += messages.filter((m) => m.type === 'appendReply' && !m.granted).length;
      if (messages.some((message) => this.loses(message))) return true;
      if (messages.length === 0 || !this.unreliable) return transmit(from, to, frame);
      if (this.chance(0.1)) return true;
      let delay = this.below(27);
      if (this.longReordering && messages.every(isAnswer) && this.chance(2 / 3))
        delay += 200 + this.below(1 + this.below(2_000));
      this.sim.time.at(this.now + delay, () => transmit(from, to, frame));
      return true;
    };
  }
}

function raftMessages(frame: Uint8Array): readonly Message[] {
  if (frame[12] !== PEER_FRAME.raft) return [];
  const headEnd = PEER_PREFIX_BYTES + new DataView(frame.buffer, frame.byteOffset).getUint32(4, true);
  const decoded = decodeRaftFrame(frame.subarray(PEER_PREFIX_BYTES, headEnd), frame.length - headEnd);
  return decoded.map(({ message }) => message);
}

function isAnswer({ type }: Message): boolean {
  return type.endsWith('Reply');
}
