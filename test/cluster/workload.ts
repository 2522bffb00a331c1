import assert from 'node:assert/strict';
import type { Client } from '../../ts/client.js';
import { EraftError } from '../../ts/client.js';

/** What one writer knows of its own appends: each number was acknowledged, refused, or neither. */
interface Ledger {
  readonly key: string;
  readonly acknowledged: Set<number>;
  readonly refused: Set<number>;
  readonly unknown: Set<number>;
}

/**
 * Writers that append `1;`, `2;`, … each to a key of its own, one append at a time.
 *
 * An append that is lost, or applied twice, shows in the value for ever, so the final values are the whole proof: each
 * acknowledged number stands there once, a refused one never, and one of unknown outcome at most once.
 */
export class Workload {
  readonly #clients: readonly Client[];
  readonly #ledgers: Ledger[] = [];
  #running: Promise<void>[] = [];
  #stopping = false;
  #waiters: { count: number; resolve: () => void }[] = [];

  constructor(clients: readonly Client[]) {
    this.#clients = clients;
  }

  get acknowledged(): number {
    return this.#ledgers.reduce((sum, ledger) => sum + ledger.acknowledged.size, 0);
  }

  get unknown(): number {
    return this.#ledgers.reduce((sum, ledger) => sum + ledger.unknown.size, 0);
  }

  start(writers: number): void {
    for (let i = 0; i < writers; i++) {
      const ledger = {
        key: `writer-${i}`,
        acknowledged: new Set<number>(),
        refused: new Set<number>(),
        unknown: new Set<number>(),
      };
      this.#ledgers.push(ledger);
      const client = this.#clients[i % this.#clients.length];
      assert.ok(client);
      this.#running.push(this.#write(client, ledger));
    }
  }

  /** Resolves when `count` more appends than now are acknowledged: the load goes on. */
  async progress(count: number): Promise<void> {
    const goal = this.acknowledged + count;
    await new Promise<void>((resolve) => this.#waiters.push({ count: goal, resolve }));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  /** Reads every key back and compares it with the ledger. */
  async verify(client: Client): Promise<void> {
    const text = client.as('utf8', 'utf8');
    for (const ledger of this.#ledgers) {
      const value = (await text.get(ledger.key, { timeoutMs: 20_000 })) ?? '';
      const found = new Map<number, number>();
      for (const part of value.split(';').slice(0, -1)) found.set(Number(part), (found.get(Number(part)) ?? 0) + 1);
      for (const n of ledger.acknowledged)
        assert.equal(found.get(n), 1, `${ledger.key}: acknowledged ${n} stands ${found.get(n) ?? 0} times`);
      for (const n of ledger.refused) assert.equal(found.get(n), undefined, `${ledger.key}: refused ${n} was applied`);
      for (const [n, times] of found) {
        assert.equal(times, 1, `${ledger.key}: ${n} was applied ${times} times`);
        assert.ok(ledger.acknowledged.has(n) || ledger.unknown.has(n), `${ledger.key}: ${n} was never written`);
      }
    }
  }

  async #write(client: Client, ledger: Ledger): Promise<void> {
    for (let n = 1; !this.#stopping; n++) {
      try {
        await client.append(ledger.key, `${n};`, { timeoutMs: 10_000 });
        ledger.acknowledged.add(n);
        this.#tell();
      } catch (error) {
        if (!EraftError.is(error)) throw error;
        if (error.code === 'ERAFT_CLOSED') return; // the test has failed already
        assert.ok(error.outcome === 'unknown' || error.outcome === 'not-applied', `${error.code} says no outcome`);
        (error.outcome === 'unknown' ? ledger.unknown : ledger.refused).add(n);
      }
    }
  }

  #tell(): void {
    const total = this.acknowledged;
    const due = this.#waiters.filter((waiter) => waiter.count <= total);
    this.#waiters = this.#waiters.filter((waiter) => waiter.count > total);
    for (const waiter of due) waiter.resolve();
  }
}
