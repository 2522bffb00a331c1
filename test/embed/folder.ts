// A folder for one test, and children that can be killed.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** A suite that takes longer hangs: it fails instead of holding up the run. */
export const TEST_MS = 120_000;

export async function withFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'eraft-embed-'));
  try {
    await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

/** A process that runs one part of child.ts on a folder. */
export class Child {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly #lines: Interface;
  readonly #exit: Promise<{ code: number | null; signal: string | null }>;

  constructor(part: string, dir: string) {
    this.process = spawn(process.execPath, [CHILD, part, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout });
    this.#exit = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  /** Every line that it prints, as it comes. */
  lines(): AsyncIterable<string> {
    return this.#lines;
  }

  async firstLine(): Promise<string> {
    const [line] = await once(this.#lines, 'line');
    return line;
  }

  exit(): Promise<{ code: number | null; signal: string | null }> {
    return this.#exit;
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }
}
