// Every test and check of the project: cheap ones while RocksDB still compiles, then Rust, then what needs the addon.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILD, cargoEnvironment, ROOT } from './paths.mjs';
import { elapsed } from './progress.mjs';
import { CommandFailed, run } from './run.mjs';
import { buildNative, compileTypeScript, installNpmPackages, rocksdbCompiled, withTargetLock } from './steps.mjs';

/** Rooms of test/ that never load the addon. All others wait for the native build. */
const PURE_ROOMS = new Set(['base', 'checks', 'client', 'proto', 'raft', 'transport']);
/** Takes all processors for a while. */
const BUSY_ROOMS = new Set(['simulation']);
/** Real processes that elect leaders: they have the machine to themselves. */
const ALONE_ROOMS = new Set(['cluster']);
const MINUTE = 60_000;
const CARGO_TIMEOUT_MS = 80 * MINUTE; // the limit of a CI run is 90 minutes
const FILE_TIMEOUT_MS = 5 * MINUTE;
const BUSY_FILE_TIMEOUT_MS = 10 * MINUTE;
const CLUSTER_FILE_TIMEOUT_MS = 20 * MINUTE;
const SOAK_FILE_TIMEOUT_MS = 240 * MINUTE;

class Tally {
  passed = 0;
  failed = 0;
  tests = 0;
  #failures = [];

  add({ passed, failed }) {
    this.passed += passed;
    this.failed += failed;
    this.tests += passed + failed;
  }

  /** A check counts as one. */
  check(ok) {
    if (ok) this.passed += 1;
    else this.failed += 1;
  }

  explain(name, output) {
    this.#failures.push({ name, output });
  }

  report() {
    for (const { name, output } of this.#failures)
      process.stdout.write(`\n--- ${name} failed ---\n${output.trimEnd()}\n`);
    if (this.tests === 0) process.stdout.write('\nno test ran: that is a failure, too\n');
    process.stdout.write(`\n${this.passed} passed, ${this.failed} failed\n`);
    return this.failed === 0 && this.tests > 0 ? 0 : 1;
  }
}

/** Runs one check under its name; a failure is remembered, not thrown. Returns whether it passed. */
async function check(context, name, work) {
  const { progress, tally } = context;
  try {
    await progress.step(name, work);
    tally.check(true);
    return true;
  } catch (error) {
    tally.check(false);
    tally.explain(
      name,
      error instanceof CommandFailed ? `${error.output}\n${error.message}` : String(error?.stack ?? error),
    );
    return false;
  }
}

/** Runs something that counts its own tests; `count` reads the numbers from what it printed. */
async function suite(context, name, count, work) {
  const { progress, tally } = context;
  let output = '';
  let failure;
  const step = progress.step(name, async (detail) => {
    try {
      output = await work(detail);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      output = error.output;
      failure = error;
    }
    const counts = count(output);
    // Died before, after or between its tests: that is one failure more than it could count.
    if (failure !== undefined && counts.failed === 0) counts.failed = 1;
    tally.add(counts);
    if (counts.failed > 0) throw failure ?? new CommandFailed(name, `${counts.failed} failed`, output);
    return `${counts.passed} passed`;
  });
  try {
    await step;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    tally.explain(name, `${failuresOf(output)}\n${error.message}`);
  }
}

/** Node repeats its failures in full at the end; of other output, nothing is known to be superfluous. */
function failuresOf(output) {
  const at = output.lastIndexOf('✖ failing tests:');
  return at < 0 ? output : output.slice(at);
}

/** Sums the numbers that node's spec reporter ends with. A skipped test is neither. */
export function countNodeTests(output) {
  const last = (name) => {
    const found = [...output.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, 'gm'))].at(-1);
    return found === undefined ? 0 : Number(found[1]);
  };
  return { passed: last('pass'), failed: last('fail') + last('cancelled') };
}

/** Sums `test result: ok. 12 passed; 0 failed; …` over all binaries of a cargo test run. */
export function countCargoTests(output) {
  const counts = { passed: 0, failed: 0 };
  for (const [, passed, failed] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
  }
  return counts;
}

/** Room of test/ to the compiled test files of it. Taken from the sources: a deleted test leaves its output behind. */
function findTests() {
  const rooms = new Map();
  for (const entry of readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.test.ts')) continue;
    const source = relative(ROOT, join(entry.parentPath ?? entry.path, entry.name));
    const room = source.split('/')[1];
    if (!rooms.has(room)) rooms.set(room, []);
    rooms.get(room).push(join(BUILD, source.replace(/\.ts$/, '.js')));
  }
  return new Map([...rooms].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function runRooms(context, rooms, fileTimeoutMs, env = process.env) {
  for (const [room, files] of rooms) {
    const args = [
      '--enable-source-maps',
      '--test',
      '--test-concurrency=2',
      `--test-timeout=${fileTimeoutMs}`,
      '--test-reporter=spec',
      ...files.sort(),
    ];
    await suite(context, `test/${room}`, countNodeTests, (detail) => {
      let seen = 0;
      const onLine = (line) => {
        if (!/^\s*[✔✖]/u.test(line)) return;
        seen += 1;
        detail(`${seen} done`);
      };
      return run(process.execPath, args, { cwd: ROOT, env, onLine, timeoutMs: fileTimeoutMs * files.length + MINUTE });
    });
  }
}

function cargo(args) {
  return run('cargo', args, { cwd: ROOT, env: cargoEnvironment(), timeoutMs: CARGO_TIMEOUT_MS });
}

async function runRustTests(context) {
  await check(context, 'cargo fmt', async () => void (await cargo(['fmt', '--all', '--check'])));
  const lints = ['clippy', '--release', '--locked', '--workspace', '--all-targets'];
  await check(context, 'cargo clippy', async () => void (await cargo(lints)));
  await suite(context, 'cargo test', countCargoTests, () =>
    cargo(['test', '--release', '--locked', '--workspace', '--no-fail-fast']),
  );
}

/** Compiles the native half and compares the generated loader with the committed one. */
async function nativeLane(context) {
  const built = await check(context, 'native build', async (detail) => buildNative(context.progress, detail));
  if (!built) return false;
  await check(context, 'native/index.js and index.d.ts are what the binding generates', async () => {
    const { writeLoader } = await import('./loader.mjs');
    const changed = await writeLoader();
    if (changed.length > 0)
      throw new Error(`${changed.join(' and ')} differed and have been written again: look at them and commit them`);
  });
  return true;
}

async function pureLane(context, rooms) {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  await check(
    context,
    'biome',
    async () =>
      void (await run(process.execPath, [biome, 'ci', '--colors=off', '--error-on-warnings', '.'], { cwd: ROOT })),
  );
  // TypeScript emits in spite of errors, so that the tests can tell more.
  await check(context, 'TypeScript', compileTypeScript);
  await runRooms(
    context,
    rooms.filter(([room]) => PURE_ROOMS.has(room)),
    FILE_TIMEOUT_MS,
  );
}

/** Simulated clusters on all processors, from a seed that no run before has begun with. */
async function soakSimulator(context, minutes) {
  const from = Math.floor(Date.now() / 1_000) * 1_000;
  const args = [join(BUILD, 'test/simulation/command.js'), '--from', String(from), '--minutes', String(minutes)];
  await suite(context, 'simulated clusters', countSeeds, () =>
    run(process.execPath, args, { cwd: ROOT, timeoutMs: (minutes + 10) * MINUTE }),
  );
}

/** Reads `17 seeds passed, 0 failed`. */
export function countSeeds(output) {
  const [, passed = 0, failed = 0] = /^(\d+) seeds passed, (\d+) failed$/m.exec(output) ?? [];
  return { passed: Number(passed), failed: Number(failed) };
}

/**
 * Runs everything and prints the result; the last line is `N passed, M failed`.
 *
 * @returns the exit code
 */
export async function runTests(progress, { soak, minutes }) {
  const started = Date.now();
  const context = { progress, tally: new Tally() };
  await progress.step('npm packages', installNpmPackages);
  const rooms = [...findTests()];
  const alone = rooms.filter(([room]) => ALONE_ROOMS.has(room));
  if (!rocksdbCompiled())
    progress.line('  note  RocksDB is compiled first: about 15 minutes on two cores, once per user');
  const [native] = await Promise.all([
    nativeLane(context),
    soak ? check(context, 'TypeScript', compileTypeScript) : pureLane(context, rooms),
  ]);
  if (native && soak) {
    if (minutes > 0) await soakSimulator(context, minutes);
    await runRooms(context, alone, SOAK_FILE_TIMEOUT_MS, { ...process.env, ERAFT_SOAK: '1' });
  } else if (native) {
    const later = ([room]) => BUSY_ROOMS.has(room) || ALONE_ROOMS.has(room);
    const needAddon = rooms.filter((room) => !PURE_ROOMS.has(room[0]) && !later(room));
    await Promise.all([
      withTargetLock(progress, () => runRustTests(context)),
      runRooms(context, needAddon, FILE_TIMEOUT_MS),
    ]);
    const busy = rooms.filter(([room]) => BUSY_ROOMS.has(room));
    await runRooms(context, busy, BUSY_FILE_TIMEOUT_MS);
    await runRooms(context, alone, CLUSTER_FILE_TIMEOUT_MS);
  }
  progress.line(`  done in ${elapsed(Date.now() - started)}`);
  return context.tally.report();
}
