// A replica in a process of its own, for a store of three: given its options as JSON, it lives until it is stopped.
import { Store, type StoreOptions } from '../../ts/index.js';
import { PEER_OPEN } from './eraft-stores.js';

const options = JSON.parse(process.argv[2] ?? '') as StoreOptions;
const store = await Store.open(options);
process.once('SIGTERM', () => void store.close());
process.stdout.write(`${PEER_OPEN}\n`);
