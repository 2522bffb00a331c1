// From a fresh clone to a running cluster or a full test run: `node scripts/bootstrap.mjs start|test|build|simulate|soak|bench`.
//
// Depends on nothing but Node, because it runs before `npm ci` has. The steps: requirements of the machine, npm
// packages, native build, TypeScript. Whatever is up to date is skipped.

import { Progress } from './bootstrap/progress.mjs';
import { describeGaps, findGaps, installPackages } from './bootstrap/requirements.mjs';
import { CommandFailed, handOverSignals } from './bootstrap/run.mjs';
import {
  buildNative,
  compileTypeScript,
  installNpmPackages,
  nativeUpToDate,
  rocksdbCompiled,
  withCloneLock,
} from './bootstrap/steps.mjs';

const BENCHES = ['etcd', 'redis', 'embedded', 'micro', 'catchup', 'soak'];

const USAGE = `usage: node scripts/bootstrap.mjs start|test|build|simulate|soak|bench

  start     build what is needed, then run a local cluster of three replicas (further arguments go to 'eraft cluster')
  test      build what is needed, then run every test and check
  build     build what is needed
  simulate  build what is needed, then run simulated clusters: --seed N, or --from N --count M; --help tells more
  soak      simulated clusters for --minutes N (default 10), then the fault tests of real ones, with larger numbers
  bench     build what is needed, then run a bench: ${BENCHES.join(', ')} (further arguments go to it)
`;

class MachineLacks extends Error {}

async function demandMachine(needs, progress) {
  let gaps = await findGaps(needs);
  try {
    if (gaps.length > 0 && (await installPackages(gaps, progress))) gaps = await findGaps(needs);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    progress.line(`${error.output.trimEnd()}\n  note  ${error.message}`); // what is missing is told below all the same
  }
  if (gaps.length > 0) throw new MachineLacks(describeGaps(gaps));
}

/** Everything that `start` needs. The TypeScript half compiles while the native half does. */
async function build(progress) {
  await demandMachine({ native: !nativeUpToDate(), tests: false }, progress);
  await withCloneLock(progress, async () => {
    await progress.step('npm packages', installNpmPackages);
    if (!rocksdbCompiled() && !nativeUpToDate())
      progress.line('  note  the first build compiles RocksDB: about 15 minutes on two cores, once per user');
    const native = progress
      .step('native build', (detail) => buildNative(progress, detail))
      .then(async () => {
        const { writeLoader } = await import('./bootstrap/loader.mjs');
        return writeLoader();
      });
    const first = progress.step('TypeScript', compileTypeScript);
    const [changed] = await settle([native, first]);
    if (changed.includes('native/index.d.ts'))
      await progress.step('TypeScript again, the border has changed', compileTypeScript);
  });
}

/** Waits for all, then throws the first failure: nothing is left running behind an error. */
async function settle(promises) {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return results.map((result) => result.value);
}

async function start(progress, rest) {
  await build(progress);
  handOverSignals();
  const { main } = await import('../build/ts/cli/main.js');
  return main(['cluster', ...rest]);
}

async function simulate(progress, rest) {
  await build(progress);
  handOverSignals();
  const { main } = await import('../build/test/simulation/main.js');
  return main(rest);
}

async function bench(progress, [name, ...rest]) {
  if (!BENCHES.includes(name)) {
    process.stderr.write(USAGE);
    return 2;
  }
  await build(progress);
  handOverSignals();
  const { main } = await import(`../build/bench/${name}/main.js`);
  return main(rest);
}

/** Of a soak: how long clusters are simulated. */
function minutesOf(command, rest) {
  if (command !== 'soak' || rest.length === 0) return 10;
  const minutes = Number(rest[1]);
  if (rest.length !== 2 || rest[0] !== '--minutes' || !Number.isSafeInteger(minutes) || minutes < 0)
    throw new CommandFailed('soak', `takes --minutes and a whole number, not ${rest.join(' ')}`, '');
  return minutes;
}

async function runCommand(command, rest) {
  const progress = new Progress();
  switch (command) {
    case 'build':
      await build(progress);
      return 0;
    case 'start':
      return start(progress, rest);
    case 'bench':
      return bench(progress, rest);
    case 'simulate':
      return simulate(progress, rest);
    case 'test':
    case 'soak': {
      const minutes = minutesOf(command, rest);
      const needs = () => demandMachine({ native: true, tests: true }, progress);
      await needs();
      const { runTests } = await import('./bootstrap/tests.mjs');
      return withCloneLock(progress, () => runTests(progress, { soak: command === 'soak', minutes }));
    }
    case '--help':
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

const [command = '', ...rest] = process.argv.slice(2);
try {
  process.exitCode = await runCommand(command, rest);
} catch (error) {
  if (error instanceof MachineLacks) process.stderr.write(error.message);
  else if (error instanceof CommandFailed) process.stderr.write(`${error.output}\neraft: ${error.message}\n`);
  else process.stderr.write(`${error?.stack ?? error}\n`);
  process.exitCode = error instanceof MachineLacks ? 3 : 1;
}
