// Redis itself: the packages of Debian, installed where they are missing and we may.
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../lib/competitors.js';
import { BenchError } from '../lib/errors.js';
import type { Workplace } from '../lib/workplace.js';

export interface RedisPrograms {
  readonly server: string;
  readonly benchmark: string;
  readonly cli: string;
  readonly version: string;
}

const HOW = 'as root: apt-get install redis-server redis-tools';

/** @throws BenchError when it is not there and cannot be installed */
export async function findRedis(place: Workplace, note: (text: string) => void): Promise<RedisPrograms> {
  const found = present(place);
  if (found === undefined) await install(place, note);
  const programs = found ?? present(place);
  if (programs === undefined) throw new BenchError(`redis-server is still missing after its installation; ${HOW}`);
  const { stdout } = await place.run(programs.server, ['--version']);
  return { ...programs, version: /\bv=(\S+)/.exec(stdout)?.[1] ?? 'unknown' };
}

function present(place: Workplace): Omit<RedisPrograms, 'version'> | undefined {
  const [benchmark, cli] = [findProgram('redis-benchmark'), findProgram('redis-cli')];
  const server = findProgram('redis-server') ?? serverOfTools(place);
  if (benchmark === undefined || cli === undefined || server === undefined) return undefined;
  return { server, benchmark, cli };
}

/**
 * The server out of redis-tools alone: redis-check-rdb is the same program and becomes the server by its name. Debian's
 * redis-server adds a link and a service, and the service would start at once.
 */
function serverOfTools(place: Workplace): string | undefined {
  const same = findProgram('redis-check-rdb');
  if (same === undefined) return undefined;
  const link = join(place.folder, 'redis-server');
  symlinkSync(same, link);
  return link;
}

async function install(place: Workplace, note: (text: string) => void): Promise<void> {
  const apt = findProgram('apt-get', ['/usr/bin']);
  if (apt === undefined) throw new BenchError('redis-server is missing, and there is no apt-get to install it with');
  if (process.getuid?.() !== 0) throw new BenchError(`redis-server is missing; ${HOW}`);
  note('installing Redis: apt-get install redis-tools');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const args = ['install', '-y', '--no-install-recommends', 'redis-tools'];
  try {
    // The list of packages may be missing or old; then it is fetched and the installation tried once more.
    await place.run(apt, args, { env }).catch(async () => {
      await place.run(apt, ['update'], { env });
      await place.run(apt, args, { env });
    });
  } catch (error) {
    throw new BenchError(`redis-server is missing and cannot be installed: ${(error as Error).message}`);
  }
}
