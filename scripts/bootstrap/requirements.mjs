// What the machine must have, looked at all at once, so that nobody meets the next gap after fixing the first.
import { existsSync, mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { cargoEnvironment, ROOT, TARGET } from './paths.mjs';
import { CommandFailed, probe, run } from './run.mjs';

const NODE_MIN = [20, 19];
const RUST_MIN = [1, 88];
const GiB = 1024 ** 3;
const RUSTUP = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y";

/** Something missing: what, why it is needed, the command that gets it, and its Debian packages if there are any. */
function gap(what, why, get, packages = []) {
  return { what, why, get, packages };
}

function atLeast(version, minimum) {
  for (const [i, least] of minimum.entries()) {
    const part = version[i] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

function checkNode() {
  const version = process.versions.node.split('.').map(Number);
  if (atLeast(version, NODE_MIN)) return [];
  const why = `eraft needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}`;
  return [gap('a newer Node', why, 'https://nodejs.org/en/download, or: nvm install 20')];
}

function checkPlatform() {
  const { platform, arch } = process;
  const known = (platform === 'linux' || platform === 'darwin') && (arch === 'x64' || arch === 'arm64');
  const musl = platform === 'linux' && process.report?.getReport().header.glibcVersionRuntime === undefined;
  if (known && !musl) return [];
  const name = `${platform} ${arch}${musl ? ' with musl' : ''}`;
  return [
    gap(
      'a supported platform',
      `${name} is not supported`,
      'Linux with glibc or macOS, x64 or arm64; tested on Debian 12 x64',
    ),
  ];
}

async function checkRust() {
  const env = cargoEnvironment();
  const [rustc, cargo] = await Promise.all([
    probe('rustc', ['--version'], { env, cwd: ROOT }),
    probe('cargo', ['--version'], { env, cwd: ROOT }),
  ]);
  const found = /rustc (\d+)\.(\d+)/.exec(rustc ?? '');
  const needed = `Rust ${RUST_MIN.join('.')} or newer`;
  if (found === null || cargo === undefined)
    return [gap(needed, 'log and store are written in Rust; no working rustc and cargo was found', RUSTUP)];
  if (atLeast([Number(found[1]), Number(found[2])], RUST_MIN)) return [];
  const rustup = await probe('rustup', ['--version'], { env });
  return [
    gap(
      needed,
      `this is ${rustc.trim()}`,
      rustup === undefined ? RUSTUP : 'rustup update stable && rustup default stable',
    ),
  ];
}

/** rustfmt and clippy: for the tests alone. */
export async function checkRustTools() {
  const env = cargoEnvironment();
  const found = await Promise.all(
    ['cargo-fmt', 'cargo-clippy'].map((tool) => probe(tool, ['--version'], { env, cwd: ROOT })),
  );
  if (found.every((version) => version !== undefined)) return [];
  return [gap('rustfmt and clippy', 'npm test checks the Rust code with them', 'rustup component add rustfmt clippy')];
}

async function checkCompiler() {
  const compiler = process.env.CXX || 'c++';
  const source = '#include <concepts>\n#include <span>\nstatic_assert(std::integral<int>);\nint main() { return 0; }\n';
  const args = ['-c', `printf '%s' "$1" | ${compiler} -std=c++20 -fsyntax-only -x c++ -`, 'sh', source];
  if ((await probe('sh', args)) !== undefined) return [];
  const why = `RocksDB is C++20, and '${compiler} -std=c++20' does not compile a small program`;
  return [gap('a C++20 compiler', why, 'apt-get install g++', ['g++', 'libc6-dev'])];
}

function list(folder) {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** bindgen loads libclang at build time; libclang in turn needs the headers of its own version. */
function checkLibclang() {
  if (process.env.LIBCLANG_PATH || process.platform === 'darwin') return [];
  const llvm = list('/usr/lib').filter((path) => /\/llvm-?\d*/.test(path));
  const folders = [
    ...llvm.map((path) => join(path, 'lib')),
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
  ];
  const library = folders.some((folder) => list(folder).some((path) => /\/libclang(-[\d.]+)?\.so(\.|$)/.test(path)));
  const resources = [...folders, '/usr/lib64'].flatMap((folder) => list(join(folder, 'clang')));
  if (library && resources.some((path) => existsSync(join(path, 'include/stddef.h')))) return [];
  const why =
    'the bindings of RocksDB are generated with libclang.so, which was not found (LIBCLANG_PATH names another folder)';
  return [gap('libclang', why, 'apt-get install libclang-dev', ['libclang-dev'])];
}

function checkDisk() {
  const built = list(join(TARGET, 'release/build')).some(
    (path) => path.includes('librocksdb-sys') && existsSync(join(path, 'out/librocksdb.a')),
  );
  const cacheNeed = built ? 1 : 6;
  const cloneNeed = existsSync(join(ROOT, 'node_modules')) ? 0.5 : 2;
  mkdirSync(TARGET, { recursive: true });
  const gaps = [];
  for (const [folder, need] of [
    [TARGET, cacheNeed],
    [ROOT, cloneNeed],
  ]) {
    const { bavail, bsize } = statfsSync(folder);
    const free = (bavail * bsize) / GiB;
    if (free >= need) continue;
    const why = `${folder} has ${free.toFixed(1)} GiB free and the build needs ${need} GiB there`;
    gaps.push(
      gap(
        'disk space',
        why,
        folder === TARGET ? 'free some, or set ERAFT_TARGET_DIR to a folder on another disk' : 'free some',
      ),
    );
  }
  return gaps;
}

/** What is needed to install and compile TypeScript; with `native`, what the native build needs on top. */
export async function findGaps({ native, tests }) {
  const gaps = [...checkNode(), ...checkPlatform()];
  if (!native) return gaps;
  const found = await Promise.all([
    checkRust(),
    checkCompiler(),
    checkLibclang(),
    checkDisk(),
    tests ? checkRustTools() : [],
  ]);
  return [...gaps, ...found.flat()];
}

/** Root on a Debian system gets missing Debian packages installed; nobody else does, and never through sudo. */
export async function installPackages(gaps, progress) {
  const packages = [...new Set(gaps.flatMap((each) => each.packages))];
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env });
  await progress.step(`apt-get install ${packages.join(' ')}`, async () => {
    // The list of packages may be missing or old; then it is fetched and the installation tried once more.
    if ((await probe('apt-cache', ['policy', ...packages]))?.includes('Candidate: (none)') === false) {
      try {
        return void (await install());
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
      }
    }
    await run('apt-get', ['update'], { env });
    await install();
  });
  return true;
}

export function describeGaps(gaps) {
  const parts = gaps.map(({ what, why, get }) => `  missing: ${what}\n    why:   ${why}\n    get:   ${get}\n`);
  return `eraft: this machine lacks what the build needs\n${parts.join('')}  run the same command again afterwards\n`;
}
