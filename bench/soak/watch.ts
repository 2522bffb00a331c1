// What is looked at while a soak runs: memory of the processes, disk of the folders.
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../lib/errors.js';
import { rssBytesOf } from '../lib/processes.js';
import { median } from '../lib/rounds.js';

const SAMPLE_MS = 2_000;
const BLOCK_BYTES = 512; // st_blocks counts these, whatever the file system's blocks are

/** Allocated by all files below `folder`. Files may come and go meanwhile. */
export function diskBytesOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    bytes += (lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES;
  }
  return bytes;
}

export interface Watched {
  /** By name; the median of a period. */
  readonly rssBytes: Readonly<Record<string, number>>;
  readonly diskBytes: number;
}

/** Samples until stopped. */
export class Watch {
  readonly #pids: Readonly<Record<string, number>>;
  readonly #folder: string;
  readonly #timer: NodeJS.Timeout;
  #rss = new Map<string, number[]>();
  #disk: number[] = [];
  #failure: unknown;

  /** @param pids - by name @param folder - whose bytes count as disk */
  constructor(pids: Readonly<Record<string, number>>, folder: string) {
    this.#pids = pids;
    this.#folder = folder;
    this.#timer = setInterval(() => this.#trySample(), SAMPLE_MS);
  }

  /** Since the last call. @throws BenchError when a process has ended */
  take(): Watched {
    this.#trySample();
    if (this.#failure !== undefined) throw this.#failure;
    const rssBytes = Object.fromEntries([...this.#rss].map(([name, values]) => [name, median(values)]));
    const diskBytes = median(this.#disk);
    this.#rss = new Map();
    this.#disk = [];
    return { rssBytes, diskBytes };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #trySample(): void {
    try {
      this.#sample();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #sample(): void {
    for (const [name, pid] of Object.entries(this.#pids)) {
      const values = this.#rss.get(name) ?? [];
      values.push(rssOf(name, pid));
      this.#rss.set(name, values);
    }
    this.#disk.push(diskBytesOf(this.#folder));
  }
}

function rssOf(name: string, pid: number): number {
  let bytes = Number.NaN;
  try {
    bytes = rssBytesOf(pid);
  } catch {
    // told below
  }
  if (Number.isNaN(bytes)) throw new BenchError(`${name} (process ${pid}) has ended`);
  return bytes;
}
