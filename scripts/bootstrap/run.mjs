// Child processes: output captured, killed with us, killed when too slow.
import { spawn } from 'node:child_process';

const children = new Set();

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => {
    if (handedOver) return;
    for (const child of children) kill(child, 'SIGTERM');
    process.exit(code);
  });
}
process.on('exit', () => {
  for (const child of children) kill(child, 'SIGKILL');
});

let handedOver = false;

/** From here on somebody else decides what a signal means. */
export function handOverSignals() {
  handedOver = true;
}

/** Each child leads a process group of its own, so that cargo's compilers and node's test files end with it. */
function kill(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}

/** Ends what is left of the process group of a command that has ended. */
function sweep(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nothing was left
  }
}

/** A command that failed, with all that it printed. */
export class CommandFailed extends Error {
  constructor(command, reason, output) {
    super(`${command}: ${reason}`);
    this.output = output;
  }
}

/**
 * Runs a command without a shell and without standard input.
 *
 * @param options.onLine - called for every line of output
 * @param options.timeoutMs - after which the whole process group is killed; a hang is a failure
 * @returns everything that it printed, both streams in the order of arrival
 * @throws CommandFailed for an exit code other than 0
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    children.add(child);
    const shown = [command, ...args].join(' ');
    const chunks = [];
    let rest = '';
    const onData = (chunk) => {
      chunks.push(chunk);
      if (options.onLine === undefined) return;
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop();
      for (const line of lines) options.onLine(line);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    let late = false;
    const timer = setTimeout(
      () => {
        late = true;
        kill(child, 'SIGKILL');
      },
      options.timeoutMs ?? 2 ** 31 - 1,
    );
    child.on('error', (error) => {
      clearTimeout(timer);
      children.delete(child);
      reject(new CommandFailed(shown, error.message, ''));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      children.delete(child);
      sweep(child.pid); // what a hanging test has left behind
      const output = Buffer.concat(chunks).toString('utf8');
      if (code === 0) resolve(output);
      else
        reject(
          new CommandFailed(shown, late ? `killed after ${options.timeoutMs} ms` : `exit ${code ?? signal}`, output),
        );
    });
  });
}

/** The output of a quick command, or undefined when it is not there or fails. */
export async function probe(command, args, options = {}) {
  try {
    return await run(command, args, { timeoutMs: 30_000, ...options });
  } catch {
    return undefined;
  }
}
