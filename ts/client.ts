// eraft/client: the client alone. Loads no native code, so that it runs wherever Node does.
export { EraftError, type ErrorCode, type Outcome } from './base/errors.js';
export { Client, type ClientEvents, type ClientOptions, type ClientState } from './client/client.js';
export type * from './client/key-value.js';
