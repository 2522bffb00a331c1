// Processes of a bench: started, watched, counted, ended. What they use is read from /proc.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** USER_HZ, in which Linux tells times to programs: the same on every machine. */
const MICROS_PER_TICK = 10_000;
const OUTPUT_CHARS_MAX = 1024 * 1024;
const SETPRIV = '/usr/bin/setpriv';
const POLL_MS = 50;

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process that did not do what it was started for, with the end of what it printed. */
export class ProcessFailed extends Error {
  constructor(what: string, output: string) {
    super(output.trim() === '' ? what : `${what}:\n${output.trimEnd().split('\n').slice(-20).join('\n')}`);
    this.name = 'ProcessFailed';
  }
}

/**
 * A child that lives no longer than we do: the kernel kills it when we die, however that comes.
 * It has a process group of its own, so that Ctrl-C reaches us alone.
 */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly ended: Promise<number | null>;
  stdout = '';
  stderr = '';
  #endedAs: string | undefined;

  constructor(command: string, args: readonly string[], options: ProcessOptions = {}) {
    this.name = `${command} ${args.slice(0, 2).join(' ')}`;
    const dying = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', command] : [command];
    const [program = command, ...before] = dying;
    this.#process = spawn(program, [...before, ...args], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#process.stdin?.on('error', () => undefined); // it may end without reading
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_CHARS_MAX);
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_CHARS_MAX);
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#endedAs = error.message;
        resolve(null);
      });
      this.#process.once('close', (code, signal) => {
        this.#endedAs = signal ?? `exit ${code}`;
        resolve(code);
      });
    });
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw this.failure('did not start');
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#endedAs === undefined;
  }

  failure(what: string): ProcessFailed {
    const how = this.#endedAs === undefined ? '' : ` (${this.#endedAs})`;
    return new ProcessFailed(`${this.name} ${what}${how}`, `${this.stdout}\n${this.stderr}`);
  }

  /** Asks again and again until it is ready. @throws ProcessFailed when it ends instead, or is not ready in time */
  async ready(isReady: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isReady())) {
      if (!this.running) throw this.failure('ended before it was ready');
      if (Date.now() > deadline) throw this.failure(`was not ready within ${timeoutMs} ms`);
      await delay(POLL_MS);
    }
  }

  /** Resolves when it has ended: by itself after SIGTERM, or killed. */
  async stop(graceMs = 20_000): Promise<void> {
    if (!this.running) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.running) this.#process.kill('SIGKILL');
  }
}

/** The fields of /proc/PID/stat behind the name, which may hold anything. @throws ProcessFailed when there is none */
function statFields(pid: number | 'self'): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    throw new ProcessFailed(`process ${pid} is gone while it is measured`, '');
  }
}

const UTIME = 11;
const STIME = 12;
const CUTIME = 13;
const CSTIME = 14;

/** User and system time of the processes since they were started. */
export function cpuMicrosOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    ticks += Number(fields[UTIME]) + Number(fields[STIME]);
  }
  return ticks * MICROS_PER_TICK;
}

/** User and system time of all our children that have ended. */
export function cpuMicrosOfEnded(): number {
  const fields = statFields('self');
  return (Number(fields[CUTIME]) + Number(fields[CSTIME])) * MICROS_PER_TICK;
}

/** Resident memory of a process. */
export function rssBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** Watches the CPU time of processes, so that it can be told for any interval afterwards. */
export class CpuMeter {
  readonly #read: () => number;
  readonly #samples: { readonly atMs: number; readonly micros: number }[] = [];
  readonly #timer: NodeJS.Timeout;
  #failure: unknown;

  constructor(read: () => number) {
    this.#read = read;
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), POLL_MS);
  }

  static of(pids: readonly number[]): CpuMeter {
    return new CpuMeter(() => cpuMicrosOf(pids));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#sample();
  }

  /** Between two times of Date.now(), linear between samples. @throws when a process ended meanwhile */
  between(startMs: number, endMs: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#at(endMs) - this.#at(startMs);
  }

  #sample(): void {
    try {
      this.#samples.push({ atMs: Date.now(), micros: this.#read() });
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #at(timeMs: number): number {
    const after = this.#samples.findIndex(({ atMs }) => atMs >= timeMs);
    const next = this.#samples[after];
    const previous = this.#samples[after - 1] ?? next;
    if (next === undefined || previous === undefined) return this.#samples.at(-1)?.micros ?? 0;
    const spanMs = next.atMs - previous.atMs;
    return spanMs === 0
      ? next.micros
      : previous.micros + ((next.micros - previous.micros) * (timeMs - previous.atMs)) / spanMs;
  }
}

/** Waits until the processes do next to nothing: what one measurement left to do must not burden the next. */
export async function untilQuiet(
  pids: readonly number[],
  { windowMs = 500, share = 0.1, patienceMs = 15_000 } = {},
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const before = cpuMicrosOf(pids);
    await delay(windowMs);
    if (cpuMicrosOf(pids) - before <= windowMs * 1_000 * share || Date.now() > deadline) return;
  }
}
