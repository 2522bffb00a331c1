// Random clusters in random weather. Every step is checked (checker.ts); then the weather ends, and the cluster must serve.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Checker } from './checker.js';
import { Cluster, type Member, type WireMessage } from './harness.js';

const SEEDS = 60;
const STEPS = 1_500;
const TICKS_TO_RECOVER = 200;

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class Storm {
  readonly cluster: Cluster;
  readonly checker: Checker;
  readonly #random: () => number;
  readonly #ids: readonly number[];
  #proposed = 0;
  #asked = 0;
  installed = 0;

  constructor(seed: number) {
    const random = randomFrom(seed);
    this.#random = random;
    const size = [1, 2, 3, 3, 3, 4, 5, 5][Math.floor(random() * 8)] as number;
    this.#ids = Array.from({ length: size }, (_, i) => i + 1);
    this.cluster = new Cluster({
      voters: this.#ids,
      slowDisks: true,
      electionTicks: 5,
      electionJitter: () => Math.floor(random() * 5),
      inflightMessagesMax: 1 + Math.floor(random() * 4),
      appendBytesMax: 100 + Math.floor(random() * 400),
      uncommittedBytesMax: 3_000,
      catchUpBytesPerTick: random() < 0.5 ? 1_000_000_000 : 1_000,
      catchUpBytesMax: random() < 0.5 ? 1_000_000_000 : 1_000,
      preVote: random() < 0.7,
      checkQuorum: random() < 0.7,
      onEvent: (e) => {
        if (e.kind === 'ready' && e.ready.install !== null) this.installed += 1;
        this.checker.observe(e);
      },
    });
    this.checker = new Checker(this.cluster);
  }

  /** One thing happens, somewhere. */
  step(): void {
    const member = this.cluster.member(this.#pick(this.#ids));
    this.#happen(member);
    for (const id of this.#ids) this.cluster.member(id).process();
    this.checker.check();
  }

  #happen(member: Member): void {
    const dice = this.#random() * 100;
    if (dice < 40) this.#deliver();
    else if (dice < 45) this.#lose();
    else if (dice < 46.5) this.cluster.heal();
    else if (dice < 48) this.cluster.cut(member.id, this.#pick(this.#ids));
    else if (!member.alive) this.#random() < 0.2 && member.restart();
    else if (dice < 62) this.#sync(member);
    else if (dice < 80) member.node.tick(this.#random() < 0.05);
    else if (dice < 92) this.#ask(member);
    else if (dice < 93.5) member.node.onUnreachable(this.#pick(this.#ids));
    else if (dice < 96) this.#compact();
    else if (dice < 98) this.#snapshot();
    else if (dice < 99) member.node.diskStalled(this.#random() < 0.3);
    else this.#crash(member);
  }

  /** Any message of any link; sometimes it stays, to be delivered again. */
  #deliver(): void {
    const link = this.#link();
    if (link === undefined) return;
    const at = this.#random() < 0.8 ? 0 : Math.floor(this.#random() * link.length);
    const m = link[at] as WireMessage;
    if (this.#random() < 0.95) link.splice(at, 1);
    this.cluster.member(m.to).step(m);
  }

  #lose(): void {
    const link = this.#link();
    link?.splice(Math.floor(this.#random() * link.length), 1 + Math.floor(this.#random() * 3));
  }

  #sync(member: Member): void {
    member.complete(1 + Math.floor(this.#random() * 3));
    if (this.#random() < 0.2) member.reports.reverse();
    member.report(this.#random() < 0.8 ? undefined : 1);
  }

  #ask(member: Member): void {
    if (member.node.role !== 'leader') return;
    this.#proposed += 1;
    member.propose(`${this.#proposed}`, 60 + Math.floor(this.#random() * 200));
    if (this.#random() < 0.5) return;
    this.#asked += 1;
    this.checker.asked(this.#asked);
    member.node.readIndex(this.#asked);
  }

  /** As a host would: nothing unapplied; and nothing that somebody may need, unless the log has grown too long. */
  #compact(): void {
    const hard = this.#random() < 0.7;
    for (const member of this.cluster.members.values()) {
      if (!member.alive || member.node.installing) continue;
      const most = Math.min(member.applied, member.disk.records.at(-1)?.index ?? 0);
      const index = hard ? most - Math.floor(this.#random() * 2) : Math.min(most, member.node.truncatable);
      if (index > member.disk.compacted.index) member.compact(index);
    }
  }

  /** The hosts bring a snapshot from leader to follower, or do not; or what came is found to be damaged. */
  #snapshot(): void {
    const dice = this.#random();
    for (const member of this.cluster.members.values()) {
      const [to] = member.needs;
      if (dice < 0.1 && member.writes.some((w) => w.install !== null)) member.failInstall();
      if (to === undefined) continue;
      if (dice < 0.8) this.#offer(member, to);
      else {
        member.needs.delete(to);
        member.node.snapshotFailed(to);
      }
    }
  }

  /** Made some time ago, maybe. */
  #offer(member: Member, to: number): void {
    const { firstIndex } = member.node;
    const index =
      this.#random() < 0.5
        ? member.applied
        : firstIndex - 1 + Math.floor(this.#random() * (member.applied - firstIndex + 2));
    member.offer(to, index);
  }

  #crash(member: Member): void {
    member.complete(Math.floor(this.#random() * (member.writes.length + 1)));
    member.crash(this.#random() < 0.5 ? 'after its hard state' : undefined);
  }

  #link(): WireMessage[] | undefined {
    const links = [...this.cluster.links.values()].filter((l) => l.length > 0);
    return links.length > 0 ? this.#pick(links) : undefined;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  /** The weather ends. A leader must be found, and what it is given must reach everybody. */
  recover(): void {
    this.cluster.heal();
    for (const member of this.cluster.members.values()) {
      if (!member.alive) member.restart();
      member.node.diskStalled(false);
    }
    for (let tick = 0; tick < TICKS_TO_RECOVER; tick++) {
      for (const id of this.#ids) {
        this.cluster.tick(id);
        for (const to of this.cluster.member(id).needs) this.cluster.member(id).offer(to);
      }
      this.cluster.settle();
      this.checker.check();
      if (this.#serves()) return;
    }
    assert.fail(`no service within ${TICKS_TO_RECOVER} ticks of fair weather`);
  }

  #serves(): boolean {
    const leader = [...this.cluster.members.values()].find((m) => m.node.role === 'leader');
    if (leader === undefined) return false;
    this.#proposed += 1;
    const index = leader.propose(`${this.#proposed}`);
    this.cluster.settle();
    this.checker.check();
    const applied = [...this.cluster.members.values()].every((m) => m.applied >= index);
    return index > 0 && applied && leader.node.role === 'leader';
  }
}

function replayable(seed: number, body: () => void): () => void {
  return () => {
    try {
      body();
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      const replay = `ERAFT_SEED=${seed} node --enable-source-maps --test build/test/raft/random.test.js`;
      throw new Error(`${what}\nreplay: ${replay}`, { cause });
    }
  };
}

const only = process.env.ERAFT_SEED;
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
const committed: number[] = [];
const reads: number[] = [];
let installed = 0;

for (const seed of seeds) {
  test(
    `whatever the weather, Raft holds, seed ${seed}`,
    replayable(seed, () => {
      const storm = new Storm(seed);
      for (let step = 0; step < STEPS; step++) storm.step();
      storm.recover();
      committed.push(storm.checker.committed);
      reads.push(storm.checker.reads);
      installed += storm.installed;
    }),
  );
}

test('the weather leaves room for work', { skip: only !== undefined }, () => {
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  assert.ok(sum(committed) > 10 * SEEDS, `${sum(committed)} entries committed in ${SEEDS} runs`);
  assert.ok(sum(reads) > SEEDS, `${sum(reads)} reads answered in ${SEEDS} runs`);
  assert.ok(installed > SEEDS, `${installed} snapshots installed in ${SEEDS} runs`);
});
