// Does the simulator find bugs? `npm run test:mutants [-- --only NAME] [--seeds N] [--jobs N] [--list]`.
//
// Each file NAME.patch here is a bug that somebody once had, or nearly: a patch for ts/ or native/, under a head that says
// what it breaks (`Bug:`) and where it was met (`Source:`, a number of the project's catalogue of known bugs, or a paper's
// section), and, where the usual runs meet it too seldom, what its runs are to be like (`With:`, options of the simulator).
// One after the other is put into a copy of the sources, compiled, and given to the simulator until a seed fails.
// A mutant that survives all seeds, does not apply or does not compile is a failure, and so is a seed that fails without any:
// in the end those that mutants have failed at are run without one.
//
// The copy lies in the user's cache folder, so the clone is never touched, whatever interrupts this.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { withLock } from '../../scripts/bootstrap/lock.mjs';
import { ADDON, cargoEnvironment, LIBRARY, ROOT, TARGET } from '../../scripts/bootstrap/paths.mjs';
import { Progress } from '../../scripts/bootstrap/progress.mjs';
import { CommandFailed, run } from '../../scripts/bootstrap/run.mjs';

const FOLDER = join(ROOT, 'test/mutants');
const CACHE = join(dirname(TARGET), 'mutants', createHash('sha256').update(ROOT).digest('hex').slice(0, 12));
const COPY = join(CACHE, 'tree');
const MUTANT_TARGET = join(CACHE, 'target');
const MINUTE = 60_000;
const SEEDS_TIMEOUT_MS = 30 * MINUTE;

/** All mutants, by name. */
export function readMutants() {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.patch'));
  return files.sort().map((file) => {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    const head = (field) => new RegExp(`^${field}: (.+)$`, 'm').exec(text)?.[1];
    const touched = [...text.matchAll(/^\+\+\+ b\/(.+)$/gm)].map(([, path]) => path);
    return {
      name: basename(file, '.patch'),
      path: join(FOLDER, file),
      bug: head('Bug'),
      source: head('Source'),
      settings: head('With')?.split(' ') ?? [],
      touched,
    };
  });
}

/** Holds against the sources in `tree`; throws CommandFailed when it does not. */
export function applyPatch(patch, tree, ...options) {
  // The cache may lie within somebody's repository, whose index has nothing to do with it.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) };
  return run('git', ['apply', ...options, patch], { cwd: tree, env, timeoutMs: MINUTE });
}

/** All files of the clone that are not ignored, the addon, and a link to the packages. */
async function copyTree() {
  rmSync(COPY, { recursive: true, force: true });
  const listed = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT });
  for (const path of listed.split('\0').filter((each) => each !== '' && existsSync(join(ROOT, each)))) {
    cpSync(join(ROOT, path), join(COPY, path));
  }
  if (!existsSync(join(COPY, 'node_modules'))) symlinkSync(join(ROOT, 'node_modules'), join(COPY, 'node_modules'));
  restoreAddon();
}

function restoreAddon() {
  cpSync(ADDON, join(COPY, 'native', basename(ADDON)));
}

/** TypeScript always: what the mutant before has left is compiled, too. */
async function compile({ touched }) {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', '.'], { cwd: COPY, timeoutMs: 10 * MINUTE });
  if (!touched.some((path) => path.startsWith('native/'))) return;
  // The target folder holds a compiled RocksDB: copied once, as building it anew takes a quarter of an hour.
  if (!existsSync(MUTANT_TARGET))
    await run('cp', ['-a', '--reflink=auto', TARGET, MUTANT_TARGET], { timeoutMs: 10 * MINUTE });
  const env = { ...cargoEnvironment(), CARGO_TARGET_DIR: MUTANT_TARGET };
  delete env.NAPI_TYPE_DEF_TMP_FOLDER;
  await run('cargo', ['build', '--release', '--locked', '-p', 'eraft-binding'], {
    cwd: COPY,
    env,
    timeoutMs: 30 * MINUTE,
  });
  const addon = join(COPY, 'native', basename(ADDON));
  cpSync(join(MUTANT_TARGET, 'release', basename(LIBRARY)), `${addon}.new`);
  renameSync(`${addon}.new`, addon);
}

/** Puts the files of a patch back as the clone has them. */
function restore({ touched }) {
  for (const path of touched) {
    if (existsSync(join(ROOT, path))) cpSync(join(ROOT, path), join(COPY, path), { force: true });
    else rmSync(join(COPY, path), { force: true });
  }
  if (touched.some((path) => path.startsWith('native/'))) restoreAddon();
}

/**
 * Simulates seeds from 1 on, until one fails.
 *
 * @returns the seed and its finding, or null when all of them passed
 * @throws Error when the simulator ends without telling a seed
 */
function simulate({ seeds, jobs, settings = [] }, onSeed) {
  const command = join(COPY, 'build/test/simulation/command.js');
  const args = ['--enable-source-maps', command, '--from', '1', '--count', String(seeds), '--jobs', String(jobs)];
  for (const setting of settings) args.push('--set', setting);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: COPY, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // it has ended by itself
      }
    };
    process.once('exit', end);
    const timer = setTimeout(end, SEEDS_TIMEOUT_MS);
    let output = '';
    let found = null;
    const onData = (chunk) => {
      output += chunk;
      const failed = /^seed (\d+) failed: (.*)$/m.exec(output);
      if (failed === null || found !== null) return;
      found = { seed: Number(failed[1]), finding: failed[2] };
      onSeed(found);
      end();
    };
    child.stdout.setEncoding('utf8').on('data', onData);
    child.stderr.setEncoding('utf8').on('data', onData);
    child.on('close', (code) => {
      clearTimeout(timer);
      process.off('exit', end);
      end();
      if (found !== null || code === 0) resolve(found);
      else
        reject(
          new CommandFailed('the simulator', `ended with ${code ?? 'a signal'} and told no seed`, output.slice(-4_000)),
        );
    });
  });
}

/** @returns what to print of it, and whether a seed found it */
async function judge(mutant, limits) {
  try {
    await applyPatch(mutant.path, COPY);
    await compile(mutant);
    const found = await simulate({ ...limits, settings: mutant.settings }, () => undefined);
    if (found === null) return { good: false, text: `SURVIVED ${limits.seeds} seeds: ${mutant.bug}` };
    return { good: true, text: `seed ${found.seed}: ${found.finding.slice(0, 140)}`, seed: found.seed };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return { good: false, text: `FAILED: ${error.message}\n${error.output}` };
  } finally {
    restore(mutant);
  }
}

class NotGood extends Error {}

function demandGood(result) {
  if (!result.good) throw Object.assign(new NotGood(), { result });
  return result;
}

function notGood(error) {
  if (error instanceof NotGood) return error.result;
  throw error;
}

/** @returns whether seeds 1 to `seeds` pass without a mutant */
async function judgeSound(seeds, jobs, settings, progress) {
  const look = async () => {
    const found = await simulate({ seeds, jobs, settings }, () => undefined);
    const text = found === null ? `${seeds} seeds passed` : `seed ${found.seed}: ${found.finding}`;
    return demandGood({ good: found === null, text });
  };
  const { good, text } = await progress.step(['without a mutant', ...settings].join(' '), look).catch(notGood);
  progress.line(`        ${text}`);
  return good;
}

async function runAll(mutants, limits, progress) {
  await progress.step('copy of the sources', copyTree);
  await progress.step('TypeScript', () => compile({ touched: [] }));
  const results = [];
  for (const mutant of mutants) {
    progress.line(`        ${mutant.name}: ${mutant.bug}`);
    const result = await progress.step(mutant.name, () => judge(mutant, limits).then(demandGood)).catch(notGood);
    progress.line(`        ${result.text}`);
    results.push({ ...result, name: mutant.name, settings: mutant.settings });
  }
  await progress.step('TypeScript', () => compile({ touched: [] }));
  const killed = results.filter((each) => each.good).sort((a, b) => a.seed - b.seed);
  const last = killed.at(-1)?.seed ?? 1;
  const usual = killed.filter(({ settings }) => settings.length === 0).slice(-1);
  const special = killed.filter(({ settings }) => settings.length > 0);
  let sound = true;
  for (const { seed, settings } of [...usual, ...special])
    sound = (await judgeSound(seed, limits.jobs, settings, progress)) && sound;
  process.stdout.write('\n');
  for (const { name, seed, settings } of killed)
    process.stdout.write(`${[String(seed).padStart(5), ` ${name}`, ...settings].join(' ')}\n`);
  for (const { name } of results.filter((each) => !each.good)) process.stdout.write(`    -  ${name}\n`);
  const median = killed[Math.floor(killed.length / 2)]?.seed ?? 'none';
  process.stdout.write(
    `\n${killed.length} of ${results.length} mutants found; median seed ${median}, last ${killed.length === 0 ? 'none' : last}\n`,
  );
  return sound && killed.length === results.length && results.length > 0 ? 0 : 1;
}

async function main(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string', multiple: true },
      seeds: { type: 'string', default: '200' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      list: { type: 'boolean', default: false },
    },
  });
  const all = readMutants();
  const unknown = (values.only ?? []).filter((name) => !all.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`no mutant ${unknown.join(', ')}; --list shows them`);
  const mutants = values.only === undefined ? all : all.filter(({ name }) => values.only.includes(name));
  if (values.list) {
    for (const { name, bug, source } of mutants) process.stdout.write(`${name}\n    ${bug} [${source}]\n`);
    return 0;
  }
  const limits = { seeds: Number(values.seeds), jobs: Number(values.jobs) };
  if (!Object.values(limits).every((each) => Number.isSafeInteger(each) && each > 0))
    throw new Error('--seeds and --jobs are whole numbers');
  const progress = new Progress();
  await progress.step('build', () =>
    run(process.execPath, [join(ROOT, 'scripts/bootstrap.mjs'), 'build'], { cwd: ROOT }),
  );
  mkdirSync(CACHE, { recursive: true });
  const waiting = (pid) => progress.line(`  ...   waiting for other mutants of this clone (process ${pid})`);
  return withLock(join(CACHE, 'lock'), waiting, () => runAll(mutants, limits, progress));
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(
      `${error instanceof CommandFailed ? error.output : ''}\nmutants: ${error?.message ?? error}\n`,
    );
    process.exitCode = 1;
  }
}
