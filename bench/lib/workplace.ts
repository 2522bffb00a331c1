// What a bench has open: a folder on a real disk and child processes. All of it is gone when the bench is.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './competitors.js';
import { UsageError } from './errors.js';
import { fileSystemOf } from './machine.js';
import { Child, cpuMicrosOfEnded, type ProcessOptions } from './processes.js';

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  /** User and system time of the process. Right as long as no other child ends meanwhile. */
  readonly cpuMicros: number;
  readonly startedMs: number;
  readonly endedMs: number;
}

export class Workplace {
  /** Empty, for data that the bench throws away. */
  readonly folder: string;
  readonly #children = new Set<Child>();
  readonly #onExit = (): void => this.#leave();
  readonly #onSignal = (signal: keyof typeof SIGNALS): void => process.exit(SIGNALS[signal]);

  /** @param given - where to put the folder; default: in the user's cache folder, as /tmp may be no disk */
  constructor(name: string, given?: string) {
    const parent = given ?? join(cacheFolder(), 'data');
    mkdirSync(parent, { recursive: true });
    const fileSystem = fileSystemOf(parent);
    if (fileSystem === 'tmpfs' || fileSystem === 'ramfs') {
      throw new UsageError(
        `${parent} is in memory (${fileSystem}), so that nothing would be synced; say another --dir`,
      );
    }
    if (given === undefined) removeOrphans(parent);
    this.folder = mkdtempSync(join(parent, `${name}-${process.pid}-`));
    process.once('exit', this.#onExit);
    for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) process.once(signal, this.#onSignal);
  }

  /** Starts a process that goes on until it is stopped, or the bench ends. */
  start(command: string, args: readonly string[], options?: ProcessOptions): Child {
    const child = new Child(command, args, options);
    this.#children.add(child);
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  /** Runs a process to its end. @throws ProcessFailed for an exit code other than 0 */
  async run(command: string, args: readonly string[], options?: ProcessOptions): Promise<Ran> {
    const before = cpuMicrosOfEnded();
    const startedMs = Date.now();
    const child = this.start(command, args, options);
    const code = await child.ended;
    if (code !== 0) throw child.failure('failed');
    const { stdout, stderr } = child;
    return { stdout, stderr, cpuMicros: cpuMicrosOfEnded() - before, startedMs, endedMs: Date.now() };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop()));
    this.#leave();
    process.removeListener('exit', this.#onExit);
    for (const signal of Object.keys(SIGNALS)) process.removeListener(signal, this.#onSignal);
  }

  #leave(): void {
    for (const child of this.#children) child.kill();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** What a bench has left behind that was killed: folders that name a process that is no more. */
function removeOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = /^[a-z]+-(\d+)-\w+$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}
