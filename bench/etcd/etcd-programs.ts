// etcd itself: built through the Go module proxy, or, where Go is missing, as Debian packages it.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, fingerprintOf, madeOnce } from '../lib/competitors.js';
import { BenchError } from '../lib/errors.js';
import type { Workplace } from '../lib/workplace.js';

/** The compiled file is in build/bench/etcd, its Go sources are not compiled along. */
const GO_SOURCES = fileURLToPath(new URL('../../../bench/etcd/go/', import.meta.url));
const GO_FILES = ['go.mod', 'go.sum', 'server/main.go', 'load/main.go'];

export interface EtcdPrograms {
  readonly server: string;
  /** etcd's own load tool; undefined: it is not packaged, and ours must do. */
  readonly loadTool: string | undefined;
  readonly version: string;
}

export type EtcdSource = 'auto' | 'go' | 'debian';

/** @throws BenchError when there is neither */
export async function findEtcd(
  source: EtcdSource,
  place: Workplace,
  note: (text: string) => void,
): Promise<EtcdPrograms> {
  const go = findProgram('go', ['/usr/local/go/bin']);
  if (source !== 'debian' && go !== undefined) {
    try {
      return await built(go, place, note);
    } catch (error) {
      if (source === 'go') throw error;
      note(`etcd could not be built: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (source === 'go') throw new BenchError('Go is not installed (1.26 or newer): https://go.dev/dl');
  return packaged(place, note);
}

async function built(go: string, place: Workplace, note: (text: string) => void): Promise<EtcdPrograms> {
  const fingerprint = fingerprintOf(GO_FILES.map((file) => join(GO_SOURCES, file)));
  const folder = await madeOnce('etcd', fingerprint, async (into) => {
    note('building etcd, once');
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-trimpath' };
    for (const program of ['server', 'load']) {
      const args = ['build', '-mod=readonly', '-buildvcs=false', '-o', join(into, program), `./${program}`];
      await place.run(go, args, { cwd: GO_SOURCES, env });
    }
  });
  const server = join(folder, 'server');
  return { server, loadTool: join(folder, 'load'), version: await versionOf(server, place) };
}

/** Unpacked, not installed: an installed package would start a server of its own. */
async function packaged(place: Workplace, note: (text: string) => void): Promise<EtcdPrograms> {
  const apt = findProgram('apt-get', ['/usr/bin']);
  const dpkg = findProgram('dpkg-deb', ['/usr/bin']);
  if (apt === undefined || dpkg === undefined)
    throw new BenchError('etcd is missing: install Go, 1.26 or newer (https://go.dev/dl)');
  const folder = await madeOnce('etcd-debian', fingerprintOf([]), async (into) => {
    note('unpacking the package etcd-server, once');
    await place.run(apt, ['download', '-q', 'etcd-server'], { cwd: into });
    const [archive] = readdirSync(into).filter((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new BenchError('apt-get has downloaded no etcd-server');
    await place.run(dpkg, ['--extract', archive, '.'], { cwd: into });
  });
  const server = join(folder, 'usr/bin/etcd');
  const version = `${await versionOf(server, place)} of Debian: another generation than 3.7`;
  return { server, loadTool: undefined, version };
}

async function versionOf(server: string, place: Workplace): Promise<string> {
  const { stdout } = await place.run(server, ['--version']);
  const [, version = 'unknown'] = /^etcd Version: (\S+)/m.exec(stdout) ?? [];
  const [, compiler = 'unknown Go'] = /^Go Version: (\S+)/m.exec(stdout) ?? [];
  return `${version} (${compiler})`;
}
