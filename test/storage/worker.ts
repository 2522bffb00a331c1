// A worker thread with a storage: opened by itself, or attached to the one of its parent.
import { parentPort, workerData } from 'node:worker_threads';
import { attachStorage } from '../../ts/storage/index.js';
import { GROUP, Held, puts } from './support.js';

const { dir, how, token } = workerData as { dir?: string; how: string; token?: number };

if (token !== undefined) {
  // Attached: applies what the parent has written, reads, and reports what came to it.
  const held = Held.of((onProgress) => attachStorage(token, onProgress));
  held.storage.machine.apply(GROUP, 2, true);
  await held.until(() => held.storage.machine.applied(GROUP) >= 2 && held.storage.poll().resultsBytes > 0);
  held.storage.log.fetch(GROUP, 2, 2, 1 << 20, 5);
  const answers = await held.nextAnswers();
  const report = {
    results: held.results().map((each) => each.index),
    tags: answers.map((each) => each.tag),
    value: held.peek('b'),
  };
  await held.close();
  parentPort?.postMessage(report);
} else {
  const held = await Held.open({ dir: dir ?? '', inlineBytesMax: 0 });
  for (let n = 0; n < 100; n++) held.submit(puts({ [`key-${n}`]: 'x'.repeat(1000) }));
  await held.until(() => held.storage.poll().durable > 0);
  held.storage.machine.apply(GROUP, 1, true);
  if (how === 'exit') process.exit(7);
  parentPort?.postMessage('open');
  setInterval(() => undefined, 60_000); // stays until it is terminated
}
