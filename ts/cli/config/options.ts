// Every option of a replica that is run by `eraft serve`: name, kind, default, meaning. docs/configuration.md is checked
// against this table; flags (`--data-dir`), environment (`ERAFT_DATA_DIR`) and file keys (`dataDir`) follow from the name.
import { HOST_TIMES, REPLICA_LIMITS, type ReplicaLimits } from '../../host/options.js';
import { SERVER_LIMITS, type ServerLimits } from '../../server/limits.js';
import { STORAGE_DEFAULTS, type StorageTuning } from '../../storage/options.js';
import {
  address,
  bytes,
  choice,
  flag,
  integer,
  type Kind,
  milliseconds,
  path,
  peers,
  text,
  type Value,
} from './kinds.js';

export type Group = 'replica' | 'logging' | 'storage' | 'replication' | 'server';

export interface Option {
  readonly name: string;
  readonly group: Group;
  readonly kind: Kind;
  /** undefined: none, or it follows from other options; `about` says so. */
  readonly default: Value | undefined;
  readonly about: string;
}

function general(group: Group, name: string, kind: Kind, byDefault: Value | undefined, about: string): Option {
  return { name, group, kind, default: byDefault, about };
}

const limit = integer(1);
const size = bytes(1);

function replica(name: keyof ReplicaLimits, kind: Kind, about: string): Option {
  return { name, group: 'replication', kind, default: REPLICA_LIMITS[name], about };
}

function server(name: keyof ServerLimits, kind: Kind, about: string): Option {
  return { name, group: 'server', kind, default: SERVER_LIMITS[name], about };
}

function storage(name: keyof StorageTuning, kind: Kind, about: string): Option {
  return { name, group: 'storage', kind, default: STORAGE_DEFAULTS[name], about };
}

export const OPTIONS: readonly Option[] = [
  general('replica', 'id', integer(1, '<id>'), 1, 'This replica among `peers`.'),
  general(
    'replica',
    'dataDir',
    path,
    './eraft-data',
    'The folder of this replica. One process at a time may have it open.',
  ),
  general(
    'replica',
    'peers',
    peers,
    undefined,
    'Every replica of the cluster, this one included. None: a store alone.',
  ),
  general(
    'replica',
    'clusterName',
    text,
    'eraft',
    'Part of the cluster id: replicas of different clusters refuse each other.',
  ),
  general(
    'replica',
    'listen',
    address,
    '127.0.0.1:2460',
    'Where clients reach this replica. Port 0: chosen by the system.',
  ),
  general(
    'replica',
    'peerListen',
    address,
    undefined,
    'Where peers reach this replica. Default: its address in `peers`.',
  ),
  general(
    'replica',
    'advertise',
    address,
    undefined,
    'The address that clients are sent to. Default: where it listens.',
  ),
  general(
    'replica',
    'allowInsecureListen',
    flag,
    false,
    'Listen beyond this machine, although there is no authentication.',
  ),
  general(
    'replica',
    'electionTimeoutMs',
    milliseconds,
    HOST_TIMES.electionTimeoutMs,
    'Without a leader for so long (up to twice, by chance), a replica stands for election.',
  ),
  general(
    'replica',
    'heartbeatIntervalMs',
    milliseconds,
    HOST_TIMES.heartbeatIntervalMs,
    'How often a leader shows that it is there. At most a fifth of `electionTimeoutMs`.',
  ),

  general(
    'logging',
    'logLevel',
    choice('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'The least important messages that are logged.',
  ),
  general(
    'logging',
    'logFormat',
    choice('auto', 'text', 'json'),
    'auto',
    'On standard error. `auto`: text on a terminal, JSON elsewhere.',
  ),

  storage(
    'cacheBytes',
    size,
    "Memory for reads: three quarters for blocks of the store's files, the rest for values that were read lately.",
  ),
  storage('memtableBytes', size, 'Newest writes of the store, before they go to a file.'),
  storage('compression', choice('lz4', 'zstd', 'none'), 'Of the files of the store.'),
  storage('segmentBytes', size, 'One file of the log, 8.125 MiB or more. Written with zeros ahead, and used again.'),
  storage('tailBytes', size, 'Newest part of the log that is kept in memory for slower replicas.'),
  storage('readThreads', limit, 'Threads for reads that are not found in memory.'),
  storage('directIo', flag, 'Write the log past the page cache of the system.'),
  storage('frameBytesMax', size, 'One write to the log takes no further record beyond this.'),
  storage('inlineBytesMax', bytes(0), 'A smaller burst may be written on the JavaScript thread. 0: never.'),
  storage('queueBytesMax', size, 'Log bytes that wait for the disk. More: ERAFT_OVERLOADED.'),
  storage('resultsBytesMax', size, 'Results that wait to be sent; above it, apply waits.'),
  storage('answersBytesMax', size, 'Answers of reads that wait to be sent. More: ERAFT_OVERLOADED.'),
  storage('flushLogBytes', size, 'The store is flushed after so many log bytes, so that the log can be cut.'),
  storage('viewsMax', limit, 'Views that scans with `snapshot` hold open at once.'),
  storage('viewIdleMs', milliseconds, 'A view that nobody uses is given up after so long.'),

  replica('proposalBytesMax', size, 'Writes proposed here and not yet answered. More: ERAFT_OVERLOADED.'),
  replica('proposalFramesMax', limit, 'The same, counted in batches of clients.'),
  replica('readFramesMax', limit, 'Reads and scans that wait, counted in batches of clients.'),
  replica('readBytesMax', size, 'The same, in bytes.'),
  replica('waitingFramesMax', limit, 'Requests that wait for a leader to be known.'),
  replica('waitingBytesMax', size, 'The same, in bytes.'),
  replica('forwardFramesMax', limit, 'Requests forwarded to the leader and not yet answered.'),
  replica('peerQueueBytesMax', size, 'Bytes that wait for one peer to take them.'),
  replica('inflightMessagesMax', limit, 'Appends on the way to one follower.'),
  replica('inflightBytesMax', size, 'Log bytes on the way to one follower.'),
  replica('appendBytesMax', size, 'Log bytes of one append.'),
  replica('uncommittedBytesMax', size, 'Log bytes proposed and not committed.'),
  replica(
    'maxLogBytes',
    bytes(-1),
    'A larger log is cut, though a replica lacks it, which then gets a snapshot. Four segments or more; -1: kept for every replica.',
  ),
  replica('maxLogEntries', integer(-1), 'The same, counted in records. -1: no such limit.'),
  replica(
    'trailingLogBytes',
    size,
    'Newest part of the log that stays when it is cut so, for slower replicas. Half of `maxLogBytes` at most.',
  ),
  replica(
    'catchUpBytesPerSecondMax',
    size,
    'Log bytes per second by which a replica far behind gains on the end of the log; not when a majority needs it.',
  ),
  replica('snapshotBytesPerSecondMax', size, 'Bytes of snapshots sent per second, to all replicas together.'),
  replica('snapshotStreamsMax', limit, 'Snapshots sent at once.'),
  replica('applyLagBytesMax', size, 'The store is written when so many log bytes wait for it.'),
  replica('applyIdleMs', milliseconds, 'The store is written when something has waited so long for it.'),

  general(
    'server',
    'server',
    choice('auto', 'uws', 'ws'),
    'auto',
    'uWebSockets.js, or node:http with ws. `auto`: the first where it loads.',
  ),
  server('connectionsMax', limit, 'Open WebSocket connections. More: HTTP 503.'),
  server('handshakeMs', milliseconds, 'From connecting to a valid greeting.'),
  server('framesInFlightMax', limit, 'Unanswered requests of one connection. More: ERAFT_OVERLOADED.'),
  server('bytesInFlightMax', size, 'Bytes of unanswered requests of one connection.'),
  server('bytesInFlightTotalMax', size, 'Bytes of unanswered requests of all connections.'),
  server('pauseBytes', size, 'Unread answers that make a connection wait.'),
  server('bufferedBytesMax', size, 'Unread answers that close a connection.'),
  server('pausedBytesMax', size, 'Requests kept for a connection that waits.'),
  server('slowReaderMs', milliseconds, 'A waiting connection reads `slowReaderBytes` in each such time, or is closed.'),
  server('slowReaderBytes', size, 'See `slowReaderMs`.'),
  server('httpRequestsMax', limit, 'HTTP requests being answered. More: HTTP 429.'),
  server('httpBodyBytesMax', size, 'Body of an HTTP transaction.'),
  server(
    'idleSeconds',
    integer(8, '<seconds>'),
    'A silent connection is closed after so long. A multiple of 4, up to 960.',
  ),
  server('httpIdleMs', milliseconds, 'A silent HTTP connection is closed after so long.'),
  server('drainMs', milliseconds, 'When stopping: how long to wait for what is being answered.'),
];

/** `dataDir` to `--data-dir`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `dataDir` to `ERAFT_DATA_DIR`. */
export function variableOf(name: string): string {
  return `ERAFT_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
