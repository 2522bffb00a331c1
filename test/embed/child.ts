// What the children of process.test.ts do: one part, on one folder.
import { Worker } from 'node:worker_threads';
import { EraftError, Store } from '../../ts/index.js';

const [part = '', dir = ''] = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  /** Opens, writes, and does nothing more: the process must end by itself. */
  async idle() {
    const store = await Store.open({ dir });
    await store.put('idle', '1');
    say('written');
  },

  /** Waits for ready() and close() alone, with nothing else to keep it alive. */
  async waits() {
    const store = await Store.open({ dir });
    await store.ready();
    say(String((await store.put('waits', '1')).revision > 0));
    await store.close();
    say('closed');
  },

  /** Leaves at once, with an open store and calls under way. */
  async exits() {
    const store = await Store.open({ dir });
    for (let n = 0; n < 100; n += 1) void store.put(`exit${n}`, 'x'.repeat(1000));
    await store.put('last', '1');
    for (let n = 0; n < 100; n += 1) void store.put(`late${n}`, 'x'.repeat(1000));
    process.exit(7);
  },

  /** Writes until it is killed, and says what was acknowledged. */
  async writes() {
    const store = await Store.open({ dir });
    for (let n = 1; ; n += 1) {
      const writes = [store.put(`k${n}`, `v${n}`), store.increment('count'), store.append('log', '.')];
      await Promise.all(writes);
      say(String(n));
    }
  },

  /** Holds the folder until it is killed. */
  async holds() {
    await Store.open({ dir });
    say('open');
    setInterval(() => undefined, 1000);
  },

  /** Tries the folder in another thread while this one has it open. */
  async threads() {
    const store = await Store.open({ dir });
    const worker = new Worker(new URL(import.meta.url), { argv: ['tries', dir], stdout: false });
    await new Promise((resolve) => worker.on('exit', resolve));
    await store.close();
  },

  async tries() {
    const result = await Store.open({ dir }).then(
      () => 'opened',
      (error: unknown) => (EraftError.is(error) ? error.code : String(error)),
    );
    say(result);
  },
};

await parts[part]?.();
