// The only place that loads the native addon. `#native` resolves from the package root (package.json, "imports"), so
// that sources and compiled files find the same one.

import { createRequire } from 'node:module';
import { ERRORS, EraftError, type ErrorCode } from '../base/errors.js';

type Addon = typeof import('#native');
export type Engine = InstanceType<Addon['Engine']>;
export type {
  EngineDamage,
  EngineDigest,
  EngineDurable,
  EngineGroup,
  EngineIdentity,
  EngineOptions,
  EngineSnapshot,
  EngineStats,
} from '#native';

const require = createRequire(import.meta.url);

/**
 * The native addon, loaded at the first call.
 *
 * @throws EraftError ERAFT_CONFIG when there is none for this platform
 */
export function loadAddon(): Addon {
  try {
    return require('#native') as Addon;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new EraftError(
      'ERAFT_CONFIG',
      `eraft: the native addon cannot be loaded on ${process.platform}-${process.arch}\n  why:  ${why}\n` +
        '  do:   delete node_modules and the lock file and install again (npm/cli#4828), or build it: npm run build\n' +
        '  code: ERAFT_CONFIG; nothing was touched',
      { cause },
    );
  }
}

/** What the addon threw, as an EraftError. Calls that throw have done nothing, so a write is not applied by them. */
export function eraftError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || EraftError.is(thrown)) return thrown;
  const { code } = thrown as { code?: unknown };
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code)) return thrown;
  return new EraftError(code as ErrorCode, thrown.message, { cause: thrown, outcome: 'not-applied' });
}
