// eraft status: what the replicas say of themselves, as a table or as JSON.
import type { Command } from 'commander';
import type { ClusterStatus, ReplicaStatus } from '../../client/key-value.js';
import { EXIT, type ExitCode } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';
import { type ClientFlags, withClient, withClientFlags } from './shared.js';

interface StatusFlags extends ClientFlags {
  readonly json?: boolean;
}

function amount(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

function row(replica: ReplicaStatus, leader: number | null): string[] {
  const { id, address, reachable, role, term, commitIndex, appliedIndex, logBytes, storeBytes } = replica;
  const marked = id === leader ? `${id} *` : String(id);
  if (!reachable) return [marked, address || '-', 'UNREACHABLE', '-', '-', '-', '-', '-'];
  const number = (value: number | undefined): string => (value === undefined ? '-' : String(value));
  return [
    marked,
    address || '-',
    role,
    number(term),
    number(commitIndex),
    number(appliedIndex),
    amount(logBytes),
    amount(storeBytes),
  ];
}

/** What an operator should do something about, a line each. */
function remarks({ replicas }: ClusterStatus): string[] {
  const lines: string[] = [];
  for (const { id, problem, diskFull, peers = [] } of replicas) {
    if (problem !== undefined) lines.push(`replica ${id}: ${problem}`);
    if (diskFull === true) lines.push(`replica ${id}: the disk is full; writes are refused while it leads`);
    for (const { id: peer, sending, outrun, refused } of peers) {
      if (refused !== undefined) lines.push(`replica ${id} and replica ${peer} refuse each other: ${refused}`);
      if (sending === 'snapshot') lines.push(`replica ${peer} needs a snapshot: the log that it lacks is gone`);
      else if (outrun === true) lines.push(`replica ${peer} is so far behind that the log is no longer kept for it`);
    }
  }
  return lines;
}

export function statusTable(status: ClusterStatus): string {
  const rows = [['id', 'address', 'role', 'term', 'commit', 'applied', 'log', 'store']];
  for (const replica of [...status.replicas].sort((a, b) => a.id - b.id)) rows.push(row(replica, status.leader));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const leader = status.leader === null ? 'no leader is known' : `leader ${status.leader}`;
  return `${[`cluster ${status.clusterId}, ${leader}`, ...lines, ...remarks(status)].join('\n')}\n`;
}

async function status(flags: StatusFlags, io: Io): Promise<ExitCode> {
  const found = await withClient(flags, io, (client) => client.status());
  await write(io.stdout, flags.json === true ? `${JSON.stringify(found, null, 2)}\n` : statusTable(found));
  return EXIT.ok;
}

export function addStatus(program: Command, io: Io, run: (action: Action) => void): void {
  withClientFlags(program.command('status').description('show every replica, its role and how far it is'))
    .option('--json', 'print JSON')
    .action((flags: StatusFlags) => run(() => status(flags, io)));
}
