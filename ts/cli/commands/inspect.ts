// eraft inspect: what is in a snapshot, a log or a data folder. Reads and verifies, changes nothing.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { decodeConfState } from '../../proto/conf-state.js';
import type { Inspected, InspectedLog, InspectedSnapshot, InspectedStoreGroup } from '../../storage/files.js';
import { EXIT, type ExitCode } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';

type Line = readonly [name: string, value: string | number];

/** Names in one column, values in another. */
function aligned(lines: readonly Line[], indent = ''): string {
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}\n`).join('');
}

/** Members as ids with uids; `-`: nobody has vouched for one. */
function members(conf: string): string {
  if (conf === '') return 'none saved';
  return [...decodeConfState(Buffer.from(conf, 'hex'))].map(([id, uid]) => `${id}=${uid ?? '-'}`).join(', ');
}

export function snapshotLines(it: InspectedSnapshot): Line[] {
  return [
    ['snapshot', it.id],
    ['format', it.version],
    ['cluster', it.cluster],
    ['index, term', `${it.index}, ${it.term}`],
    ['revision', it.revision],
    ['keys, sessions', `${it.keys}, ${it.sessions}`],
    ['largest value', `${it.largestValueBytes} bytes`],
    ['members', members(it.conf)],
    ['file', `${it.bytes} bytes, ${it.chunks} chunks; ${it.rawBytes} bytes uncompressed`],
  ];
}

function logText(it: InspectedLog, indent: string): string {
  const groups = it.groups.map((group) =>
    aligned(
      [
        ['group', group.group],
        ['term, vote', `${group.term}, ${group.vote === 0 ? 'none' : group.vote}`],
        ['commit (known)', group.commit],
        ['entries', `${group.compactedIndex + 1} to ${group.lastIndex}, ${group.recordBytes} bytes`],
        ['last term', group.lastTerm],
        ['next revision', group.nextRevision],
        ['members', members(group.conf ?? '')],
      ],
      `${indent}  `,
    ),
  );
  return `${indent}log: ${it.segments} files, ${it.bytes} bytes\n${groups.join('')}`;
}

function storeText(groups: readonly InspectedStoreGroup[] | null): string {
  if (groups === null) return '  store: nothing was ever flushed; the log has everything\n';
  const text = groups.map((it) =>
    aligned(
      [
        ['group', it.group],
        ['index, term', `${it.index}, ${it.term}`],
        ['revision', it.revision],
        ['keys, sessions', `${it.keys}, ${it.sessions}`],
        ['bytes', it.bytes],
        ...(it.replacing ? [['state', 'being replaced by a snapshot: opening completes it'] as const] : []),
      ],
      '    ',
    ),
  );
  return `  store, as flushed:\n${text.join('')}`;
}

/** For people; `--json` has all of it. */
export function inspectedText(it: Inspected): string {
  if (it.kind === 'snapshot') return aligned(snapshotLines(it));
  if (it.kind === 'log') return logText(it, '');
  const head = aligned([
    ['data folder of replica', it.replica],
    ['cluster', it.cluster],
    ['uid', it.uid],
    ['ever voted or acknowledged', it.blank ? 'no' : 'yes'],
    ...(it.backup === undefined ? [] : [['restored from backup', it.backup] as const]),
    ...(it.installing === null ? [] : [['installing', `a snapshot of index ${it.installing}`] as const]),
  ]);
  const log = it.log === undefined ? '  log: none\n' : logText(it.log, '  ');
  const snapshots = it.snapshots.map((each) => `  snapshot:\n${aligned(snapshotLines(each), '    ')}`);
  return `${head}${log}${storeText(it.store)}${snapshots.join('')}`;
}

interface InspectFlags {
  readonly json?: boolean;
}

async function inspect(path: string, flags: InspectFlags, io: Io): Promise<ExitCode> {
  const { inspectFiles } = await import('../../storage/files.js');
  const found = await inspectFiles(resolve(path));
  await write(io.stdout, flags.json === true ? `${JSON.stringify(found, null, 2)}\n` : inspectedText(found));
  return EXIT.ok;
}

export function addInspect(program: Command, io: Io, run: (action: Action) => void): void {
  program
    .command('inspect')
    .argument('<path>', 'a snapshot or backup, the folder of a log, or a data folder')
    .description('say what is in it, and verify all of it; changes nothing')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nA folder that is in use may look damaged where it is being written: stop its replica first.',
    )
    .action((path: string, flags: InspectFlags) => run(() => inspect(path, flags, io)));
}
