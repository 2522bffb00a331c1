// From settings to the options of the replica and of its server.
import { checkHostOptions, checkLogSizes, HOST_TIMES, REPLICA_LIMITS, type ReplicaLimits } from '../../host/options.js';
import type { FrontChoice } from '../../server/fronts.js';
import { checkServerLimits, SERVER_LIMITS, type ServerLimits } from '../../server/limits.js';
import { STORAGE_DEFAULTS, type StorageTuning } from '../../storage/options.js';
import { type HostPort, parseHostPort } from '../../transport/address.js';
import { UsageError } from '../exit.js';
import type { Peers, Value } from './kinds.js';
import type { Settings } from './load.js';
import { flagOf, variableOf } from './options.js';

export interface ServeConfig {
  readonly id: number;
  readonly dataDir: string;
  readonly peers: Peers;
  readonly clusterName: string;
  readonly listen: HostPort;
  readonly peerListen: string | undefined;
  readonly advertise: string | undefined;
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly storage: StorageTuning;
  readonly limits: ReplicaLimits;
  readonly server: FrontChoice;
  readonly serverLimits: ServerLimits;
}

/** @throws UsageError or EraftError ERAFT_CONFIG for values that contradict each other */
export function serveConfig(settings: Settings): ServeConfig {
  const value = (name: string): Value | undefined => settings.get(name)?.value;
  const id = Number(value('id'));
  const peers = (value('peers') ?? {}) as Peers;
  const config: ServeConfig = {
    id,
    dataDir: String(value('dataDir')),
    peers,
    clusterName: String(value('clusterName')),
    listen: parseHostPort(String(value('listen'))),
    peerListen: (value('peerListen') as string | undefined) ?? peers[id],
    advertise: value('advertise') as string | undefined,
    electionTimeoutMs: Number(value('electionTimeoutMs') ?? HOST_TIMES.electionTimeoutMs),
    heartbeatIntervalMs: Number(value('heartbeatIntervalMs') ?? HOST_TIMES.heartbeatIntervalMs),
    logLevel: String(value('logLevel')),
    logFormat: String(value('logFormat')),
    storage: chosen(settings, STORAGE_DEFAULTS),
    limits: chosen(settings, REPLICA_LIMITS),
    server: value('server') as FrontChoice,
    serverLimits: chosen(settings, SERVER_LIMITS),
  };
  checkHostOptions(config.limits, config);
  checkLogSizes(config.storage.segmentBytes, config.limits.maxLogBytes);
  checkServerLimits(config.serverLimits);
  checkMembership(config);
  checkExposure(config, value('allowInsecureListen') === true);
  return config;
}

/** The settings that are named like the fields of `defaults`. */
function chosen<T extends object>(settings: Settings, defaults: T): T {
  const entries = Object.entries(defaults).map(([name, byDefault]) => [name, settings.get(name)?.value ?? byDefault]);
  return Object.fromEntries(entries) as T;
}

function checkMembership({ id, peers, peerListen }: ServeConfig): void {
  const ids = Object.keys(peers);
  if (ids.length === 0 && peerListen !== undefined) {
    throw new UsageError(
      'peerListen is given, but no peers',
      'a store alone has nobody to listen to',
      'leave it away, or give peers',
    );
  }
  if (ids.length > 0 && !(id in peers)) {
    throw new UsageError(
      `replica ${id} is not among the peers ${ids.join(', ')}`,
      'peers names every replica, this one included',
      'correct id or peers',
    );
  }
}

/** Loopback is safe without authentication, anything else is the user's decision. */
function checkExposure(config: ServeConfig, allowed: boolean): void {
  const { listen, peerListen, advertise } = config;
  const doors = [
    ['listen', listen] as const,
    ...(peerListen === undefined ? [] : [['peerListen', parseHostPort(peerListen)] as const]),
  ];
  for (const [name, { host, port }] of doors) {
    if (isLoopback(host) || allowed) continue;
    throw new UsageError(
      `${name} ${host}:${port} is reachable from other machines`,
      'eraft has no authentication yet: who reaches the port reads and writes everything',
      `listen at 127.0.0.1, or accept it with ${flagOf('allowInsecureListen')} (${variableOf('allowInsecureListen')}=true)`,
    );
  }
  if (isWildcard(listen.host) && advertise === undefined) {
    throw new UsageError(
      `listen ${listen.host}:${listen.port} is every address of this machine`,
      'clients are sent to the leader by its address, and this is none',
      `name the one that clients use with ${flagOf('advertise')}`,
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
