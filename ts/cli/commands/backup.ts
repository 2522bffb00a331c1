// eraft snapshot and eraft backup: have replicas make a snapshot, and take one home.
import { closeSync, createWriteStream, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { EraftError } from '../../base/errors.js';
import type { SnapshotFacts } from '../../server/http-snapshot.js';
import { EXIT, type ExitCode, UsageError } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import { requestReplica } from './replica-http.js';
import { type ClientFlags, endpointsOf, timeoutOf, withClient, withClientFlags } from './shared.js';

interface SnapshotFlags extends ClientFlags {
  readonly json?: boolean;
}

/** Each replica of `--endpoints` makes one, one after the other. */
async function snapshot(flags: SnapshotFlags, io: Io): Promise<ExitCode> {
  const made: (SnapshotFacts & { readonly endpoint: string })[] = [];
  for (const endpoint of endpointsOf(flags, io)) {
    const answer = await requestReplica(endpoint, 'POST', '/v1/snapshot', AbortSignal.timeout(timeoutOf(flags, io)));
    const facts = (await answer.json()) as SnapshotFacts;
    made.push({ endpoint, ...facts });
    if (flags.json !== true) {
      await write(io.stdout, `${endpoint}: snapshot of index ${facts.index}, ${facts.bytes} bytes\n`);
    }
  }
  if (flags.json === true) await write(io.stdout, `${JSON.stringify(made, null, 2)}\n`);
  return EXIT.ok;
}

interface BackupFlags extends ClientFlags {
  readonly force?: boolean;
}

async function backup(given: string, flags: BackupFlags, io: Io): Promise<ExitCode> {
  const file = resolve(given);
  if (existsSync(file) && flags.force !== true) {
    throw new UsageError(`${file} exists`, 'a backup is never overwritten unasked', 'choose another name, or --force');
  }
  const leader = await leaderAddress(flags, io);
  const temporary = `${file}.part`;
  try {
    await download(leader, temporary, timeoutOf(flags, io));
    const { inspectFiles } = await import('../../storage/files.js');
    const found = await inspectFiles(temporary);
    renameSync(temporary, file);
    syncFolder(dirname(file));
    if (found.kind !== 'snapshot') throw new EraftError('ERAFT_DATA_DAMAGED', `${leader} sent no snapshot`);
    const { index, revision, keys, bytes } = found;
    await write(io.stdout, `${file}: index ${index}, revision ${revision}, ${keys} keys, ${bytes} bytes; verified\n`);
    return EXIT.ok;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Where the leader serves clients. */
async function leaderAddress(flags: BackupFlags, io: Io): Promise<string> {
  const { leader, replicas } = await withClient(flags, io, (client) => client.status());
  const address = replicas.find(({ id }) => id === leader)?.address;
  if (address !== undefined && address !== '') return address;
  throw new EraftError('ERAFT_UNAVAILABLE', 'no leader is known: it makes the backup');
}

/** Until the last byte is on disk. The time is for the first: how long the rest takes is up to its size. */
async function download(address: string, file: string, timeoutMs: number): Promise<void> {
  const first = new AbortController();
  const timer = setTimeout(() => first.abort(), timeoutMs);
  const answer = await requestReplica(address, 'GET', '/v1/snapshot', first.signal).finally(() => clearTimeout(timer));
  if (answer.body === null) throw new EraftError('ERAFT_DATA_DAMAGED', `${address} sent nothing`);
  try {
    await pipeline(Readable.fromWeb(answer.body), createWriteStream(file, { flags: 'w', mode: 0o600, flush: true }));
  } catch (cause) {
    throw new EraftError('ERAFT_IO', `the backup from ${address} broke off: ${(cause as Error).message}`, { cause });
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function addBackup(program: Command, io: Io, run: (action: Action) => void): void {
  withClientFlags(
    program
      .command('snapshot')
      .description('have every replica at --endpoints make a snapshot, and cut its log behind it'),
  )
    .option('--json', 'print JSON')
    .action((flags: SnapshotFlags) => run(() => snapshot(flags, io)));
  withClientFlags(
    program
      .command('backup')
      .argument('<file>', 'where to write it')
      .description('write a consistent, verified copy of everything to a file, while the cluster serves'),
  )
    .option('-f, --force', 'replace a file that exists')
    .action((file: string, flags: BackupFlags) => run(() => backup(file, flags, io)));
}
