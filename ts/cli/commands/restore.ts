// eraft restore: a data folder of a new cluster, made of a backup.
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EraftError } from '../../base/errors.js';
import { clusterIdOf } from '../../kv/cluster-id.js';
import { encodeConfState } from '../../proto/conf-state.js';
import type { InspectedSnapshot } from '../../storage/files.js';
import { type Peers, peers } from '../config/kinds.js';
import { EXIT, type ExitCode, UsageError } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import { wholeNumber } from './shared.js';

interface RestoreFlags {
  readonly dataDir: string;
  readonly id: string;
  readonly peers?: string;
  readonly clusterName: string;
}

/** Who the folder is made for. */
interface Target {
  readonly id: number;
  readonly ids: readonly number[];
  readonly cluster: string;
}

/** @throws UsageError */
function targetOf(flags: RestoreFlags): Target {
  const id = wholeNumber('--id', flags.id, 1, 2 ** 32 - 1);
  if (flags.peers === undefined) {
    // A store alone takes the id that its folder holds.
    return { id, ids: [id], cluster: randomBytes(16).toString('hex') };
  }
  const ids = Object.keys(parsePeers(flags.peers)).map(Number);
  if (ids.includes(id)) return { id, ids, cluster: clusterIdOf(flags.clusterName, ids) };
  throw new UsageError(
    `replica ${id} is not among the peers ${ids.join(', ')}`,
    '--peers names every replica, this one included',
    'correct --id or --peers',
  );
}

function parsePeers(given: string): Peers {
  try {
    return peers.parse(given) as Peers;
  } catch (error) {
    throw new UsageError(`bad value ${JSON.stringify(given)} for --peers`, (error as Error).message, 'correct it');
  }
}

async function backupAt(file: string): Promise<InspectedSnapshot> {
  const { inspectFiles } = await import('../../storage/files.js');
  const found = await inspectFiles(file);
  if (found.kind === 'snapshot') return found;
  throw new EraftError('ERAFT_CONFIG', `${file} is no backup`);
}

async function restore(file: string, flags: RestoreFlags, io: Io): Promise<ExitCode> {
  const target = targetOf(flags);
  const path = resolve(file);
  const backup = await backupAt(path);
  const { restoreFolder } = await import('../../storage/files.js');
  const conf = encodeConfState(new Map(target.ids.map((id) => [id, null])));
  const dir = resolve(flags.dataDir);
  await restoreFolder(path, conf, { dir, replica: target.id, cluster: target.cluster });
  const others =
    target.ids.length === 1 ? '' : '; make those of the other replicas from the same file before you start any';
  await write(
    io.stdout,
    `restored ${backup.keys} keys, revision ${backup.revision}, into ${dir} for replica ${target.id} of a new cluster${others}\n`,
  );
  return EXIT.ok;
}

export function addRestore(program: Command, io: Io, run: (action: Action) => void): void {
  program
    .command('restore')
    .argument('<file>', 'a backup')
    .description('make the data folder of a replica of a new cluster from a backup')
    .requiredOption('--dir, --data-dir <path>', 'the folder: absent or empty')
    .option('--id <id>', 'of the replica', '1')
    .option('--peers <list>', 'every replica of the new cluster, as id=host:port,…; none: a store alone')
    .option('--cluster-name <text>', 'as eraft serve will have it', 'eraft')
    .action((file: string, flags: RestoreFlags) => run(() => restore(file, flags, io)));
}
