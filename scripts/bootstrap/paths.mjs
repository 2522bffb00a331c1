// Where things are: the clone, its build output, and the cache that all clones of this user share.
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const BUILD = join(ROOT, 'build');
export const STAMPS = join(BUILD, '.stamps');

const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');

/** The cargo target folder. Outside of the clone: RocksDB takes a quarter of an hour to compile, once per machine. */
export const TARGET = process.env.ERAFT_TARGET_DIR || join(cache, 'eraft/target');

/** Where napi-derive leaves the type definitions of the binding while it compiles; turned into native/index.d.ts. */
export const NATIVE_TYPES = join(BUILD, '.native-types');

/** `linux-x64-gnu`, …: the name that the generated loader looks for. */
export const PLATFORM =
  process.platform === 'linux' ? `linux-${process.arch}-gnu` : `${process.platform}-${process.arch}`;

export const ADDON = join(ROOT, 'native', `eraft.${PLATFORM}.node`);
export const LIBRARY = join(
  TARGET,
  'release',
  process.platform === 'darwin' ? 'liberaft_binding.dylib' : 'liberaft_binding.so',
);

/** The environment of every cargo call: one target folder, one set of flags, or RocksDB would be compiled again. */
export function cargoEnvironment() {
  const env = { ...process.env, CARGO_TARGET_DIR: TARGET, NAPI_TYPE_DEF_TMP_FOLDER: NATIVE_TYPES };
  for (const name of ['RUSTFLAGS', 'CARGO_ENCODED_RUSTFLAGS', 'CARGO_BUILD_RUSTFLAGS', 'CARGO_BUILD_TARGET']) {
    delete env[name];
  }
  const bin = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'bin');
  env.PATH = `${process.env.PATH ?? ''}:${bin}`; // rustup is often installed, but not in the PATH of a fresh shell
  return env;
}
