// A process of its own with an open storage: how it goes on and ends is the argument.
import { Worker } from 'node:worker_threads';
import { COMMAND } from '../../ts/proto/command-batch.js';
import { GROUP, Held, puts } from './support.js';

const [, , dir = '', how = ''] = process.argv;
process.exitCode = COMMAND.put === 1 ? 0 : 99;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Work under way on every thread: log, apply, reads, flush. */
async function busy(): Promise<Held> {
  const held = await Held.open({ dir, inlineBytesMax: 0 });
  for (let n = 0; n < 200; n++) held.submit(puts({ [`key-${n}`]: 'x'.repeat(1000) }));
  await held.until(() => held.storage.poll().durable > 0);
  held.storage.machine.apply(GROUP, 1, true);
  held.storage.log.fetch(GROUP, 1, 100, 1 << 20, 1);
  held.storage.machine.flush();
  return held;
}

switch (how) {
  case 'exit': {
    await busy();
    say('open');
    process.exit(0);
    break;
  }
  case 'exit-opening': {
    void Held.open({ dir });
    say('open');
    setImmediate(() => process.exit(0)); // while another thread formats the folder
    break;
  }
  case 'exit-closing': {
    void (await busy()).close();
    say('open');
    setImmediate(() => process.exit(0));
    break;
  }
  case 'idle': {
    await busy(); // nothing is awaited any more: the process ends by itself
    say('open');
    break;
  }
  case 'worker-exit': {
    await Held.open({ dir: `${dir}/main` });
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { dir: `${dir}/worker`, how: 'exit' },
    });
    worker.once('exit', (code) => {
      say(`worker ${code}`);
      process.exit(0);
    });
    break;
  }
  case 'worker-terminated': {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { dir, how: 'stay' } });
    worker.once('message', async () => {
      await worker.terminate();
      const held = await Held.open({ dir }); // let go with its thread
      say(`reopened ${held.index > 0}`);
      process.exit(0);
    });
    break;
  }
  case 'exit-with-worker': {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { dir, how: 'stay' } });
    worker.once('message', () => {
      say('open');
      process.exit(0);
    });
    break;
  }
  case 'hold': {
    const held = await Held.open({ dir });
    say(`held ${process.pid}`);
    process.stdin.once('data', () => void held.close().then(() => process.exit(0)));
    break;
  }
  default:
    throw new Error(`unknown: ${how}`);
}
