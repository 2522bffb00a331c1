// Several threads on one storage: results and answers come to whoever asked.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { attachStorage } from '../../ts/storage/index.js';
import { refused } from './refused.js';
import { folder, GROUP, Held, puts } from './support.js';

function attach(token: number): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { workerData: { token, how: 'attached' } });
}

test('two worker threads and the opener, each with its own queues', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  await held.write(puts({ a: '1' }));
  const ticket = held.submit(puts({ b: '2' }));
  await held.until(() => held.storage.poll().durable >= ticket);
  const [first] = await once(attach(held.storage.token), 'message');
  assert.deepEqual(first, { results: [2], tags: [5], value: '2' });
  assert.deepEqual(
    held.results().map((each) => each.index),
    [1],
  );
  assert.deepEqual(held.answers(), []);
  await held.write(puts({ b: '3' }));
  assert.equal(held.peek('b'), '3');
  await held.close();
});

test('two workers at once', async (t) => {
  const held = await Held.open({ dir: folder(t), inlineBytesMax: 0 });
  await held.write(puts({ a: '1' }));
  held.submit(puts({ b: '2' }));
  const ticket = held.submit();
  await held.until(() => held.storage.poll().durable >= ticket);
  // Both ask for entry 2: one of them applies it and has the results, the other sees it applied.
  const one = Held.of((onProgress) => attachStorage(held.storage.token, onProgress));
  const two = Held.of((onProgress) => attachStorage(held.storage.token, onProgress));
  one.storage.machine.apply(GROUP, 2, true);
  two.storage.machine.apply(GROUP, 3, true);
  await two.until(() => two.storage.machine.applied(GROUP) === 3);
  assert.deepEqual(
    [...one.results(), ...two.results()].map((each) => each.index),
    [2, 3],
  );
  await one.close();
  two.storage.log.fetch(GROUP, 1, 1, 1000, 9);
  assert.deepEqual(
    (await two.nextAnswers()).map((each) => each.tag),
    [9],
  );
  await held.close();
  assert.throws(() => two.storage.machine.applied(GROUP), refused('ERAFT_CLOSED'));
  assert.throws(() => attachStorage(held.storage.token, () => undefined), refused('ERAFT_CLOSED'));
  await two.close();
});

test('onProgress is not called after close, and told to others', async (t) => {
  const held = await Held.open({ dir: folder(t) });
  let closed = false;
  let late = 0;
  const other = attachStorage(held.storage.token, () => {
    late += closed ? 1 : 0;
  });
  const third = Held.of((onProgress) => attachStorage(held.storage.token, onProgress));
  for (let n = 0; n < 100; n++) held.submit(puts({ a: String(n) }));
  closed = true;
  await other.close();
  await held.close();
  await third.until(() => third.storage.poll().failed !== 0);
  assert.equal(third.storage.failure()?.code, 'ERAFT_CLOSED');
  assert.equal(late, 0);
});

test('an attached thread that ends does not close the storage; the last one does', async (t) => {
  const dir = folder(t);
  const held = await Held.open({ dir });
  await held.write(puts({ a: '1' }));
  const ticket = held.submit(puts({ b: '2' }));
  await held.until(() => held.storage.poll().durable >= ticket);
  const worker = attach(held.storage.token);
  await once(worker, 'exit');
  assert.equal(held.peek('b'), '2');
  await held.close();
});
