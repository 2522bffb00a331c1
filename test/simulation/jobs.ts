// Many seeds, over several processes: one that dies takes one seed with it, and that is a finding.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describeOptions, drawOptions, override } from './options.js';
import { type Result, replayOf } from './run-seed.js';

const JOB = fileURLToPath(new URL('./job.js', import.meta.url));
const SEED_MS_MAX = 180_000;
/** A run makes little that lives longer than a moment; and each processor has a run of its own to work at. */
const NODE_OPTIONS = ['--enable-source-maps', '--no-warnings', '--max-semi-space-size=64', '--single-threaded-gc'];

export interface JobsOptions {
  readonly jobs: number;
  readonly settings: readonly string[];
  /** null: no more. */
  readonly next: () => number | null;
  readonly onResult: (result: Result) => void;
}

export async function runJobs(options: JobsOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.jobs }, () => runOne(options)));
}

async function runOne({ settings, next, onResult }: JobsOptions): Promise<void> {
  let child: ChildProcess | null = null;
  for (let seed = next(); seed !== null; seed = next()) {
    child ??= fork(JOB, { execArgv: NODE_OPTIONS });
    const result = await ask(child, seed, settings);
    if (result.hash === '') {
      child.kill('SIGKILL');
      child = null;
    }
    onResult(result);
  }
  child?.disconnect();
}

function ask(child: ChildProcess, seed: number, settings: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    const settle = (result: Result): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      resolve(result);
    };
    const timer = setTimeout(() => settle(dead(seed, settings, `no verdict within ${SEED_MS_MAX} ms`)), SEED_MS_MAX);
    child.on('message', (result) => settle(result as Result));
    child.on('exit', (code, signal) => settle(dead(seed, settings, `the process ended with ${signal ?? code}`)));
    child.send({ seed, settings });
  });
}

function dead(seed: number, settings: readonly string[], why: string): Result {
  const options = override(drawOptions(seed), settings);
  const numbers = { events: 0, simulatedMs: 0, realMs: 0, cpuMs: 0, operations: 0, elections: 0, faults: 0 };
  const told = { options: describeOptions(options), replay: replayOf(options) };
  return { seed, finding: `Process: ${why}`, details: '', ...told, ...numbers, hash: '' };
}
