// The read of a store in this process: one replica, one hot key, one caller who waits.
import { Store } from '../../ts/embed/store.js';
import { VALUE } from './batches.js';
import type { Subject } from './work.js';

const KEY = 'hot';

export const get: Subject = {
  name: 'get',
  async open(folder) {
    const store = await Store.open({ dir: folder });
    await store.ready();
    await store.put(KEY, VALUE);
    return {
      works: [
        { name: 'store.get(), awaited', unit: 'get', perCall: 1, awaited: () => store.get(KEY) },
        {
          name: 'store.get(), stale, awaited',
          unit: 'get',
          perCall: 1,
          awaited: () => store.get(KEY, { consistency: 'stale' }),
        },
        { name: 'store.peek()', unit: 'peek', perCall: 1, call: () => store.peek(KEY) },
      ],
      close: () => store.close(),
    };
  },
};
