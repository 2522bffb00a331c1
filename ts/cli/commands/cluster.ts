// eraft cluster: three local replicas under one supervisor. What `npm start` runs.
import type { Command } from 'commander';
import { choice } from '../config/kinds.js';
import { type ExitCode, UsageError } from '../exit.js';
import type { Io } from '../io.js';
import type { Action } from '../program.js';
import { wholeNumber } from './shared.js';

interface ClusterFlags {
  readonly dataDir: string;
  readonly clientPortBase: string;
  readonly peerPortBase: string;
  readonly logLevel: string;
}

async function cluster(flags: ClusterFlags, io: Io): Promise<ExitCode> {
  const clientPortBase = portBase('--client-port-base', flags.clientPortBase);
  const peerPortBase = portBase('--peer-port-base', flags.peerPortBase);
  if (clientPortBase !== 0 && peerPortBase !== 0 && Math.abs(clientPortBase - peerPortBase) < 3) {
    throw new UsageError(
      'the ports of clients and peers overlap',
      'each takes three in a row',
      'keep the bases three or more apart',
    );
  }
  let logLevel: string;
  try {
    logLevel = String(choice('debug', 'info', 'warn', 'error', 'silent').parse(flags.logLevel));
  } catch (error) {
    throw new UsageError(
      `bad value ${JSON.stringify(flags.logLevel)} for --log-level`,
      `it ${(error as Error).message}`,
      'correct it',
    );
  }
  const { runCluster } = await import('../cluster/local-cluster.js');
  return runCluster({ dataDir: flags.dataDir, clientPortBase, peerPortBase, logLevel }, io);
}

function portBase(name: string, given: string): number {
  return wholeNumber(name, given, 0, 65_533);
}

export function addCluster(program: Command, io: Io, run: (action: Action) => void): void {
  program
    .command('cluster')
    .description('run three replicas on this machine, for trying and developing')
    .option('--data-dir <path>', 'where the data of all three lives', io.environment.ERAFT_DATA_DIR ?? './eraft-data')
    .option(
      '--client-port-base <port>',
      'clients reach the replicas at this port and the next two; 0: free ones',
      '2460',
    )
    .option(
      '--peer-port-base <port>',
      'the replicas reach each other at this port and the next two; 0: free ones',
      '2470',
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent', 'warn')
    .action((flags: ClusterFlags) => run(() => cluster(flags, io)));
}
