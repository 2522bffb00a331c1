import assert from 'node:assert/strict';
import type { ReplicaOptions } from '../../ts/kv/replica.js';
import { Clerk, type Task } from './clerk.js';
import { Lab } from './lab.js';

export interface GenericOptions {
  readonly seed: number;
  readonly clients: number;
  readonly replicas: number;
  readonly unreliable?: boolean;
  /** All replicas lose their power at the end of each round. */
  readonly crash?: boolean;
  /** The replicas are split in two at random, again and again. */
  readonly partitions?: boolean;
  readonly options?: Partial<ReplicaOptions>;
  /** What else must hold at the end. */
  readonly verify?: (lab: Lab) => void;
}

const ROUNDS = 3;
const ROUND_MS = 3_000;
const THINK_MS = 20;

/** A client with a key of its own: it knows at any time what a read must find. */
class OwnKeyClient {
  readonly #clerk: Clerk;
  readonly #lab: Lab;
  readonly #key: string;
  readonly #name: number;
  #appends = 0;
  /** What the key holds after all that was answered. */
  expected = '';
  operations = 0;
  /** An operation is under way, or the next one is to come. */
  busy = false;
  stopped = true;

  constructor(lab: Lab, name: number) {
    this.#lab = lab;
    this.#name = name;
    this.#key = `${name}`;
    this.#clerk = new Clerk(lab);
  }

  start(): void {
    this.stopped = false;
    this.#turn();
  }

  #turn(): void {
    this.busy = !this.stopped;
    if (this.stopped) return;
    const append = this.#lab.chance(0.5) ? `x ${this.#name} ${this.#appends} y` : null;
    const { expected } = this;
    const task: Task =
      append === null ? { op: 'get', key: this.#key } : { op: 'append', key: this.#key, value: append };
    this.#clerk.begin(task, (value) => {
      if (append === null) assert.equal(value, expected, `key ${this.#key}`);
      else {
        this.#appends++;
        this.expected += append;
      }
      this.operations++;
      this.#lab.sim.time.at(this.#lab.now + this.#lab.below(THINK_MS), () => this.#turn());
    });
  }

  verify(): void {
    assert.equal(this.#clerk.call({ op: 'get', key: this.#key }), this.expected);
  }
}

/** GenericTest of the labs: three rounds of work under faults; each append once and in order, each read exact. */
export async function generic(o: GenericOptions): Promise<void> {
  await using lab = await Lab.open({ seed: o.seed, replicas: o.replicas, options: o.options ?? {} });
  lab.unreliable = o.unreliable ?? false;
  const clients = Array.from({ length: o.clients }, (_, i) => new OwnKeyClient(lab, i));
  for (let round = 0; round < ROUNDS; round++) await work(lab, clients, o);
  lab.unreliable = false;
  for (const client of clients) client.verify();
  const operations = clients.reduce((sum, client) => sum + client.operations, 0);
  // A split lasts about as long as an election, so that most of the time nobody leads.
  const least = (o.partitions === true ? 15 : 50) * ROUNDS;
  assert.ok(operations >= least, `${operations} operations: hardly any`);
  lab.verify();
  o.verify?.(lab);
}

/** What works in rounds: `stopped` asks it to end, `busy` tells whether it has. */
export interface Worker {
  stopped: boolean;
  readonly busy: boolean;
  start(): void;
}

/** One round of work under faults; the cluster is whole afterwards. */
export async function work(
  lab: Lab,
  clients: readonly Worker[],
  o: Pick<GenericOptions, 'crash' | 'partitions'>,
): Promise<void> {
  for (const client of clients) client.start();
  if (o.partitions === true) lab.run(1_000);
  for (const end = lab.now + ROUND_MS; lab.now < end; lab.run(o.partitions === true ? 1_000 + lab.below(200) : 1_000)) {
    if (o.partitions === true) splitAtRandom(lab);
  }
  for (const client of clients) client.stopped = true;
  if (o.partitions === true) {
    lab.connect(...lab.ids);
    lab.run(1_000);
  }
  if (o.crash === true) {
    for (const id of lab.ids) await lab.crash(id);
    lab.run(1_000);
    await lab.restart(...lab.ids);
  }
  lab.until(() => clients.every((client) => !client.busy), 'every client to be answered');
}

function splitAtRandom(lab: Lab): void {
  const side = lab.ids.map(() => lab.chance(0.5));
  lab.partition(
    lab.ids.filter((_, i) => side[i]),
    lab.ids.filter((_, i) => !side[i]),
  );
}
