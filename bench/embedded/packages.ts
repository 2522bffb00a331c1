// The stores to compare with: the packages of package.json beside this file, installed once.
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, fingerprintOf, madeOnce } from '../lib/competitors.js';
import { BenchError } from '../lib/errors.js';
import { ProcessFailed } from '../lib/processes.js';
import type { Workplace } from '../lib/workplace.js';

/** The clone's bench/embedded. This file runs from build/bench/embedded. */
const SOURCE = fileURLToPath(new URL('../../../bench/embedded/', import.meta.url));
const FILES = ['package.json', 'package-lock.json'];

/** Name of a package to its version. */
export function packageVersions(): Record<string, string> {
  const { dependencies } = JSON.parse(readFileSync(join(SOURCE, 'package.json'), 'utf8')) as {
    readonly dependencies: Record<string, string>;
  };
  return dependencies;
}

/** @returns the folder whose node_modules has them */
export async function installPackages(place: Workplace, note: (text: string) => void): Promise<string> {
  const fingerprint = fingerprintOf(
    FILES.map((file) => join(SOURCE, file)),
    [process.versions.modules],
  );
  return madeOnce('embedded', fingerprint, async (folder) => {
    const npm = findProgram('npm');
    if (npm === undefined) throw new BenchError('npm is needed to install the stores to compare with');
    note('installing the stores to compare with');
    for (const file of FILES) copyFileSync(join(SOURCE, file), join(folder, file));
    try {
      await place.run(npm, ['ci', '--no-audit', '--no-fund'], { cwd: folder });
    } catch (error) {
      if (!(error instanceof ProcessFailed)) throw error;
      throw new BenchError(
        `the stores to compare with cannot be installed; --systems eraft,eraft-3 does without\n${error.message}`,
      );
    }
  });
}
