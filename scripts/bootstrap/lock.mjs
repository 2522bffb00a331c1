// One bootstrap at a time per folder: a lock file that names its holder, so that a dead holder does not block the next.
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 200;
const GUARD_STALE_MS = 10_000;
const held = new Set();

process.on('exit', () => {
  for (const path of held) rmSync(path, { force: true });
});

/** Runs `work` while holding the lock file at `path`; `onWait(pid)` is called once if somebody else holds it. */
export async function withLock(path, onWait, work) {
  await acquire(path, onWait);
  held.add(path);
  try {
    return await work();
  } finally {
    held.delete(path);
    rmSync(path, { force: true });
  }
}

async function acquire(path, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  // Written aside and linked: a lock file is never seen without its content.
  writeFileSync(own, `${process.pid} ${startOf(process.pid)}\n`);
  try {
    for (let told = false; ; await delay(POLL_MS)) {
      if (tryLink(own, path)) return;
      const holder = read(path);
      if (holder !== undefined && !alive(holder)) removeStale(path);
      else if (holder !== undefined && !told) {
        told = true;
        onWait(holder.pid);
      }
    }
  } finally {
    rmSync(own, { force: true });
  }
}

function tryLink(own, path) {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Claim: a lock that a living process holds is never removed.
 * Why:   stale locks are removed only while holding the guard folder (mkdir is atomic), after looking again.
 */
function removeStale(path) {
  const guard = `${path}.guard`;
  try {
    mkdirSync(guard);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const age = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > GUARD_STALE_MS) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    const holder = read(path);
    if (holder !== undefined && !alive(holder)) unlinkSync(path);
  } finally {
    rmdirSync(guard);
  }
}

function read(path) {
  try {
    const [pid, start] = readFileSync(path, 'utf8').trim().split(' ');
    return { pid: Number(pid), start };
  } catch {
    return undefined; // released between the link and the read
  }
}

/** A process number is used again after a while, so the time at which the process started counts too. */
function alive(holder) {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  const start = startOf(holder.pid);
  return start === '?' || holder.start === '?' || start === holder.start;
}

function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '?';
  } catch {
    return '?'; // not Linux
  }
}
