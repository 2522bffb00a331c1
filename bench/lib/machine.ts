// What figures depend on: the machine, its disk, and Node.
import { closeSync, fdatasyncSync, openSync, readFileSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { arch, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { median } from './rounds.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly arch: string;
  readonly fileSystem: string;
  readonly node: string;
  /** Write 4 KiB and fdatasync, in milliseconds, median: into a file that was written before, and at its end. */
  readonly fdatasyncMs: { readonly overwriting: number; readonly appending: number };
}

export function describeMachine(folder: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    arch: arch(),
    fileSystem: fileSystemOf(folder),
    node: process.version,
    fdatasyncMs: probeSync(folder),
  };
}

/** ext4, xfs, tmpfs, …: of the mount that the folder is in. 'unknown' where Linux does not tell. */
export function fileSystemOf(folder: string): string {
  try {
    return fileSystemIn(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(folder));
  } catch {
    return 'unknown';
  }
}

/** @param mountInfo - as in /proc/self/mountinfo: …, mount point (the 5th), …, `-`, type, … */
export function fileSystemIn(mountInfo: string, folder: string): string {
  let best = { point: '', type: 'unknown' };
  for (const line of mountInfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    if (point === undefined) continue;
    const within = point === '/' || folder === point || folder.startsWith(`${point}/`);
    // Of two mounts in one place, the later one is seen.
    if (within && point.length >= best.point.length) best = { point, type: after.split(' ')[0] ?? 'unknown' };
  }
  return best.type;
}

const PROBE_BLOCK_BYTES = 4096;
const PROBE_WRITES = 200;

function probeSync(folder: string): { overwriting: number; appending: number } {
  const path = join(folder, 'sync-probe');
  const block = Buffer.alloc(PROBE_BLOCK_BYTES, 1);
  const file = openSync(path, 'w');
  try {
    const pass = (): number => {
      const times: number[] = [];
      for (let i = 0; i < PROBE_WRITES; i++) {
        const started = performance.now();
        writeSync(file, block, 0, block.length, i * block.length);
        fdatasyncSync(file);
        times.push(performance.now() - started);
      }
      return Math.round(median(times) * 1_000) / 1_000;
    };
    const appending = pass();
    return { overwriting: pass(), appending };
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

/** For the first lines of a report. */
export function renderMachine(machine: Machine): string {
  const { cpu, cores, memoryBytes, kernel, fileSystem, node, fdatasyncMs } = machine;
  const memory = `${Math.round(memoryBytes / 2 ** 30)} GiB`;
  const sync = `fdatasync of 4 KiB ${fdatasyncMs.overwriting} ms overwriting, ${fdatasyncMs.appending} ms appending`;
  return `${cpu}, ${cores} cores, ${memory}, ${kernel}, Node ${node.slice(1)}\n${fileSystem}, ${sync}\n`;
}
