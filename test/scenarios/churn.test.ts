// MIT 6.824, part 2C: clients keep proposing while replicas are cut off, lose their power and return.
import assert from 'node:assert/strict';
import { Lab, type Proposal } from './lab.js';
import { seededTest, seeds } from './seeds.js';

const LOOKS_MS = [10, 20, 50, 100, 200];

/** Proposes at every replica, looks some time whether that comes to something, and remembers what has. */
class ChurnClient {
  readonly committed: string[] = [];
  readonly #lab: Lab;
  readonly #pauseMs: number;
  #stopped = false;

  constructor(lab: Lab, number: number) {
    this.#lab = lab;
    this.#pauseMs = 79 + 17 * number;
    this.#propose();
  }

  stop(): void {
    this.#stopped = true;
  }

  #propose(): void {
    if (this.#stopped) return;
    let last: Proposal | null = null;
    for (const id of this.#lab.ids) last = this.#lab.propose(id) ?? last;
    if (last === null) this.#after(this.#pauseMs, () => this.#propose());
    else this.#look(last, 0);
  }

  #look(proposal: Proposal, looks: number): void {
    if (this.#lab.log.holds(proposal.value)) {
      this.committed.push(proposal.value);
      this.#propose();
    } else if (looks === LOOKS_MS.length) this.#propose();
    else this.#after(LOOKS_MS[looks] ?? 0, () => this.#look(proposal, looks + 1));
  }

  #after(ms: number, run: () => void): void {
    this.#lab.sim.time.at(this.#lab.now + ms, run);
  }
}

for (const network of ['reliable', 'unreliable'] as const) {
  const name = network === 'reliable' ? 'ReliableChurn2C' : 'UnreliableChurn2C';
  for (const seed of network === 'reliable' ? seeds(2501, 2502, 2503) : seeds(2504, 2505, 2506)) {
    seededTest(
      `${name}: what three clients saw committed is in the log and in every store after forty rounds of churn`,
      seed,
      import.meta.url,
      async () => {
        await using lab = await Lab.open({ seed, replicas: 5 });
        lab.unreliable = network === 'unreliable';
        const clients = [0, 1, 2].map((number) => new ChurnClient(lab, number));
        for (let round = 0; round < 40; round++) {
          if (lab.chance(0.2)) lab.disconnect(1 + lab.below(5));
          if (lab.chance(0.5)) {
            const id = 1 + lab.below(5);
            if (lab.isUp(id)) lab.connect(id);
            else await lab.restart(id);
          }
          if (lab.chance(0.2)) await lab.crash(1 + lab.below(5));
          lab.run(700); // less than an election takes
        }
        lab.run(1_000);
        lab.unreliable = false;
        for (const id of lab.ids) if (!lab.isUp(id)) await lab.start(id);
        lab.connect(...lab.ids);
        for (const client of clients) client.stop();
        lab.run(1_000);
        lab.one(5);
        const seen = clients.flatMap(({ committed }) => committed);
        assert.ok(seen.length > 50, `${seen.length}: hardly anything was committed`);
        const log = new Set(Array.from({ length: lab.log.last + 1 }, (_, index) => lab.log.valuesAt(index)).flat());
        for (const value of seen) assert.ok(log.has(value), `${value} was committed and is lost`);
        lab.verify();
      },
    );
  }
}
