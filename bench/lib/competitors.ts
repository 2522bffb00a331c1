// The other systems: built or installed once, in the user's cache folder, used by every clone from then on.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const STAMP = '.complete';

export function cacheFolder(): string {
  const { ERAFT_CACHE, XDG_CACHE_HOME } = process.env;
  return join(ERAFT_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'eraft'), 'bench');
}

/** Changes with the content of any of the files, and with `more`. */
export function fingerprintOf(files: readonly string[], more: readonly string[] = []): string {
  const hash = createHash('sha256').update(JSON.stringify([process.platform, process.arch, ...more]));
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder of something that is made once.
 *
 * Claim: what is in the folder is complete.
 * Why:   it is made aside and renamed when it is done; of two that make it at once, the first one wins.
 *
 * @param fingerprint - of all that it is made from; another one is another folder
 * @param make - fills the empty folder that it is given
 */
export async function madeOnce(
  name: string,
  fingerprint: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cacheFolder(), `${name}-${fingerprint}`);
  if (existsSync(join(folder, STAMP))) return folder;
  const aside = `${folder}.${randomBytes(4).toString('hex')}`;
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(aside);
  try {
    await make(aside);
    writeFileSync(join(aside, STAMP), '');
    renameSync(aside, folder);
  } catch (error) {
    if (!existsSync(join(folder, STAMP))) throw error;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return folder;
}

/** The first place in PATH, or in `more`, where there is such a program. */
export function findProgram(name: string, more: readonly string[] = []): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), ...more];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
