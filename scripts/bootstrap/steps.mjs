// The steps from a fresh clone to something that runs. Each finds out by itself whether it has anything to do.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { ADDON, BUILD, cargoEnvironment, LIBRARY, NATIVE_TYPES, PLATFORM, ROOT, STAMPS, TARGET } from './paths.mjs';
import { CommandFailed, run } from './run.mjs';

const NATIVE_SOURCES = ['Cargo.toml', 'Cargo.lock', 'native/core', 'native/binding'];
const TYPESCRIPT_SOURCES = [
  'tsconfig.json',
  'package.json',
  'package-lock.json',
  'ts',
  'test',
  'bench',
  'native/index.d.ts',
];
/** Files of RocksDB and what it brings; only to show how far the one long compile is. */
const ROCKSDB_FILES = 343;

/** Changes with every file's name, size or time. `null` for a path that is not there. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  hash.update(`${process.version} ${PLATFORM} ${ROOT}\n`);
  const visit = (path) => {
    const stat = statSync(join(ROOT, path), { throwIfNoEntry: false });
    if (stat === undefined) return void hash.update(`${path} absent\n`);
    if (!stat.isDirectory()) return void hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`);
    for (const name of readdirSync(join(ROOT, path)).sort()) visit(join(path, name));
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}

function readText(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function writeStamp(name, value) {
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(join(STAMPS, name), value);
}

/** One bootstrap at a time works in this clone. */
export function withCloneLock(progress, work) {
  const waiting = (pid) => progress.line(`  ...   waiting for another bootstrap of this clone (process ${pid})`);
  return withLock(join(BUILD, '.bootstrap.lock'), waiting, work);
}

const NPM_STAMP = join(ROOT, 'node_modules/.eraft-installed');

function npmFingerprint() {
  const hash = createHash('sha256').update(`${PLATFORM}\n`);
  return hash.update(readFileSync(join(ROOT, 'package-lock.json'))).digest('hex');
}

/** Remembers that node_modules is what package-lock.json says. */
export function markPackagesInstalled() {
  writeFileSync(NPM_STAMP, npmFingerprint());
}

export async function installNpmPackages() {
  if (readText(NPM_STAMP) === npmFingerprint()) return 'up to date';
  // npm ci empties node_modules first; the stamp goes with it, so a broken installation is never taken for a good one.
  const env = { ...process.env };
  for (const name of Object.keys(env))
    if (name.toLowerCase() === 'npm_config_omit' || name === 'NODE_ENV') delete env[name];
  await run('npm', ['ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'], { cwd: ROOT, env });
  markPackagesInstalled();
  return '';
}

export async function compileTypeScript() {
  const wanted = fingerprint(TYPESCRIPT_SOURCES);
  if (readText(join(STAMPS, 'typescript')) === wanted) return 'up to date';
  rmSync(join(STAMPS, 'typescript'), { force: true });
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: ROOT });
  writeStamp('typescript', wanted);
  return '';
}

/** True when the addon in this clone was built from the sources as they are now. */
export function nativeUpToDate() {
  return existsSync(ADDON) && readText(join(STAMPS, 'native')) === fingerprint(NATIVE_SOURCES);
}

/** True when RocksDB has been compiled for this user before. */
export function rocksdbCompiled() {
  return rocksdbFolders().some((folder) => existsSync(join(folder, 'librocksdb.a')));
}

function rocksdbFolders() {
  const builds = join(TARGET, 'release/build');
  if (!existsSync(builds)) return [];
  return readdirSync(builds)
    .filter((name) => name.startsWith('librocksdb-sys-'))
    .map((name) => join(builds, name, 'out'));
}

function rocksdbProgress() {
  const counts = rocksdbFolders().map((folder) =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.o')).length : 0,
  );
  const done = Math.max(0, ...counts);
  return done > 0 && done < ROCKSDB_FILES && !rocksdbCompiled() ? `RocksDB ${done}/${ROCKSDB_FILES} files` : undefined;
}

/**
 * Makes cargo look at this clone's sources again when another clone has used the target folder since.
 *
 * Cargo names the results of workspace members by their path within the workspace and judges them by file times, so it
 * takes the other clone's results for ours when they are newer than our sources.
 */
function claimTarget() {
  const owner = join(TARGET, '.eraft-clone');
  if (readText(owner) === ROOT) return;
  const now = new Date();
  for (const name of readdirSync(join(ROOT, 'native'), { recursive: true })) {
    if (/(\.rs|Cargo\.toml)$/.test(name)) utimesSync(join(ROOT, 'native', name), now, now);
  }
  writeFileSync(owner, ROOT);
}

/**
 * Holds the target folder: one clone of this user at a time compiles in it.
 *
 * Cargo's own lock orders compilers. Ours also covers the copy of the addon, and tests that must be of this clone.
 */
export function withTargetLock(progress, work) {
  const waiting = (pid) => progress.line(`  ...   waiting for the native build of another clone (process ${pid})`);
  return withLock(join(TARGET, '.eraft.lock'), waiting, () => {
    claimTarget();
    return work();
  });
}

/**
 * Compiles the native half and puts the addon into `native/`.
 *
 * @returns what there was to do
 */
export async function buildNative(progress, detail) {
  if (nativeUpToDate()) return 'up to date';
  return withTargetLock(progress, () => buildNativeLocked(detail));
}

async function buildNativeLocked(detail) {
  const wanted = fingerprint(NATIVE_SOURCES);
  mkdirSync(NATIVE_TYPES, { recursive: true });
  const env = cargoEnvironment();
  // Type definitions are a by-product of compiling; without the file an up-to-date crate must be compiled again.
  if (!existsSync(join(NATIVE_TYPES, 'eraft-binding'))) env.NAPI_FORCE_BUILD_ERAFT_BINDING = String(Date.now());
  const timer = setInterval(() => detail(rocksdbProgress() ?? ''), 2000);
  try {
    await run('cargo', ['build', '--release', '--locked', '-p', 'eraft-binding'], {
      cwd: ROOT,
      env,
      onLine: (line) => {
        const compiling = /^\s*Compiling (\S+)/.exec(line);
        if (compiling !== null) detail(compiling[1]);
        if (/Blocking waiting for file lock/.test(line)) detail('waiting for another cargo');
      },
    });
  } finally {
    clearInterval(timer);
  }
  if (!existsSync(LIBRARY)) throw new CommandFailed('cargo build', `${LIBRARY} is missing`, '');
  const fresh = `${ADDON}.${process.pid}`;
  copyFileSync(LIBRARY, fresh);
  renameSync(fresh, ADDON); // never written in place: a running process has the old file mapped
  writeStamp('native', wanted);
  return '';
}
