// Appends and reads of many clients while leaders die, disks lose what was not synced, and the network drops and cuts.
// Each append is of a mark of its own, so that a value tells which appends it holds, and in which order: what linearizable
// means can be checked one by one, without a search.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendFrame, codeOf, readFrame } from './frames.js';
import { Asker, Simulation } from './simulation.js';

interface Operation {
  readonly request: number;
  readonly mark: string | null; // null: a read
  readonly called: number;
  returned: number;
  value: string | null;
  outcome: 'ok' | 'no' | 'unknown';
}

class Client {
  readonly operations: Operation[] = [];
  readonly asker: Asker;
  readonly #sim: Simulation;
  readonly #name: string;
  #busy: Operation | null = null;

  constructor(sim: Simulation, name: string) {
    this.#sim = sim;
    this.#name = name;
    this.asker = new Asker(sim);
  }

  /** Takes in the answer if there is one, and asks the next thing when nothing is under way. */
  step(): void {
    const now = this.#sim.time.now();
    const busy = this.#busy;
    if (busy !== null) {
      const answer = this.asker.answers.get(busy.request);
      if (answer === undefined && now - busy.called < 3_000) return;
      this.#busy = null;
      if (answer?.kind === 'written' || answer?.kind === 'values') {
        busy.outcome = 'ok';
        busy.returned = now;
        if (answer.kind === 'values') busy.value = answer.values[0] ?? '';
      } else if (answer?.kind === 'error' && answer.error.outcome === 'not-applied') busy.outcome = 'no';
    }
    const running = this.#sim.ids.filter((id) => this.#sim.process(id).node !== null);
    const to = running[Math.floor(this.#sim.random() * running.length)];
    if (to === undefined) return;
    const mark = this.#sim.random() < 0.5 ? `${this.#name}${this.operations.length};` : null;
    const frame =
      mark === null ? readFrame(['log'], { deadlineMs: 1_000 }) : appendFrame('log', mark, { deadlineMs: 1_000 });
    const request = this.asker.send(to, frame);
    this.#busy = { request, mark, called: now, returned: Number.POSITIVE_INFINITY, value: null, outcome: 'unknown' };
    this.operations.push(this.#busy);
  }
}

/** Appends must appear once, never when refused, always when acknowledged, and in real time's order; reads see a prefix. */
function check(operations: readonly Operation[], final: string): void {
  const order = new Map(final.split(';').slice(0, -1).map((mark, i) => [`${mark};`, i])); // biome-ignore format: one line
  assert.equal(order.size, final.split(';').length - 1, 'a mark stands twice');
  for (const { mark, outcome } of operations) {
    if (mark === null) continue;
    if (outcome === 'ok') assert.ok(order.has(mark), `${mark} was acknowledged and is lost`);
    if (outcome === 'no') assert.ok(!order.has(mark), `${mark} was refused and is there`);
  }
  const held = new Map(operations.map((o) => [o, (o.value?.split(';').length ?? 1) - 1]));
  const reads = operations.filter((o) => o.value !== null);
  for (const read of reads) {
    assert.ok(final.startsWith(read.value ?? ''), 'a read saw what was never so');
    const marks = held.get(read) ?? 0;
    for (const o of operations) {
      const place = o.mark === null ? -1 : (order.get(o.mark) ?? -1);
      if (place < 0) continue;
      const sees = place < marks;
      if (o.outcome === 'ok' && o.returned < read.called)
        assert.ok(sees, `a read called at ${read.called} misses ${o.mark}`);
      if (o.called > read.returned) assert.ok(!sees, `a read returned at ${read.returned} sees the later ${o.mark}`);
    }
    for (const other of reads) {
      if (other.returned < read.called) assert.ok((held.get(other) ?? 0) <= marks, 'a later read saw less');
    }
  }
  const done = operations.filter((o) => o.mark !== null && o.outcome === 'ok');
  for (const a of done) {
    for (const b of done) {
      if (a.returned < b.called) assert.ok((order.get(a.mark ?? '') ?? 0) < (order.get(b.mark ?? '') ?? 0), 'order');
    }
  }
}

const seeds = process.env.ERAFT_SEED === undefined ? [301, 302, 303, 304] : [Number(process.env.ERAFT_SEED)];
for (const seed of seeds) {
  test(`reads and appends are linearizable across leader changes, crashes and cuts; ERAFT_SEED=${seed}`, async () => {
    await using sim = await Simulation.start({ seed });
    const clients = ['a', 'b', 'c', 'd', 'e'].map((name) => new Client(sim, name));
    sim.untilLeader();
    sim.hub.loss = 0.03;
    for (let phase = 0; phase < 8; phase++) {
      for (let i = 0; i < 150; i++) {
        sim.run(8 * sim.random());
        for (const client of clients) client.step();
      }
      const id = sim.leader() || 1;
      const fault = Math.floor(sim.random() * 4);
      if (fault === 0 && sim.process(id).node !== null) {
        await sim.crash(id);
        sim.run(300 * sim.random());
        await sim.start(id);
      } else if (fault === 1)
        sim.hub.partition(
          [id],
          sim.ids.filter((other) => other !== id),
        );
      else if (fault === 2) {
        const paused = sim.process(id);
        paused.clock?.pause();
        sim.time.at(sim.time.now() + 2_500 * sim.random(), () => paused.resume());
      } else sim.hub.heal();
    }
    sim.hub.heal();
    sim.hub.loss = 0;
    sim.run(5_000);
    for (const client of clients) client.step();
    const leader = sim.untilLeader();
    const last = new Asker(sim).ask(leader, readFrame(['log']));
    assert.equal(codeOf(last), 'values', sim.describe());
    const operations = clients.flatMap((client) => client.operations);
    assert.ok(operations.filter((o) => o.outcome === 'ok').length > 100, 'little was done');
    check(operations, last.kind === 'values' ? (last.values[0] ?? '') : '');
  });
}
