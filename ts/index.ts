// eraft: a replicated, linearizable key-value store in your process. For another process's store: `eraft/client`.
export { ERRORS, EraftError, type ErrorCode, type ErrorDetails, type Outcome } from './base/errors.js';
export { LIMITS } from './base/limits.js';
export type { Logger } from './base/logger.js';
export type * from './client/key-value.js';
export { Store, type StoreEvents, type StoreOptions } from './embed/store.js';
