// One replica as a process: from its configuration to listening ports, and to an orderly end.
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import type { EraftError } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import { VERSION } from '../../base/version.js';
import { ReplicaNode } from '../../kv/replica.js';
import { Server } from '../../server/server.js';
import { SERVING } from '../cluster/replica.js';
import type { ServeConfig } from '../config/replica.js';
import { EXIT, type ExitCode, renderError } from '../exit.js';
import { openLogger } from '../logging.js';
import { collectRarely } from './garbage.js';

/** Longer than the server drains and the store flushes; then the process ends as it is, which the log survives. */
const STOP_TIMEOUT_MS = 30_000;

/**
 * Runs a replica until SIGTERM, SIGINT, SIGHUP, the end of `input`, or its failure.
 *
 * @returns the exit code
 * @throws EraftError when it cannot start
 */
export async function runReplica(
  config: ServeConfig,
  warnings: readonly string[],
  input: Readable | undefined,
): Promise<ExitCode> {
  collectRarely();
  const logger = openLogger(config.logLevel, config.logFormat, { replica: config.id });
  for (const warning of warnings) logger.warn(warning);
  const stop = stopRequested(input);
  const opened = await open(config, logger);
  const { server, replica } = opened;
  const failed = new Promise<EraftError>((done) => replica.events.once('failed', done));
  logger.info(`recovered; serving clients on ${server.address}`, {
    peers: config.peerListen ?? 'none',
    dataDir: resolve(config.dataDir),
    cluster: replica.clusterId,
    version: VERSION,
    pid: process.pid,
  });
  if (input !== undefined) process.stdout.write(`${SERVING}\n`);
  const end = await Promise.race([stop, failed]);
  if (typeof end !== 'string') {
    logger.error('the replica has failed and stops', { error: end });
    process.stderr.write(renderError(end));
  } else {
    logger.info(`stopping: ${end}`);
  }
  const late = setTimeout(() => {
    logger.warn(`not stopped within ${STOP_TIMEOUT_MS} ms: ending as it is`);
    process.exit(EXIT.failure);
  }, STOP_TIMEOUT_MS);
  await close(opened);
  clearTimeout(late);
  logger.info('stopped');
  return typeof end === 'string' ? EXIT.ok : EXIT.failure;
}

interface Opened {
  readonly server: Server;
  readonly replica: ReplicaNode;
}

/** Binds the port first: one that is taken is noticed before the recovery, and /health answers during it. */
async function open(config: ServeConfig, logger: Logger): Promise<Opened> {
  const { host, port } = config.listen;
  const server = await Server.listen({ host, port, server: config.server, logger, limits: config.serverLimits });
  try {
    const replica = await ReplicaNode.open({
      dir: config.dataDir,
      id: config.id,
      peers: config.peers,
      clusterName: config.clusterName,
      ...(config.peerListen === undefined ? {} : { peerListen: config.peerListen }),
      clientAddress: config.advertise ?? server.address,
      logger,
      storage: config.storage,
      limits: config.limits,
      electionTimeoutMs: config.electionTimeoutMs,
      heartbeatIntervalMs: config.heartbeatIntervalMs,
    });
    server.serve(replica);
    return { server, replica };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function close({ server, replica }: Opened): Promise<void> {
  await server.close();
  await replica.close();
}

/** Resolves with the reason, once. A second signal does not hurry: closing is bounded anyway. */
function stopRequested(input: Readable | undefined): Promise<string> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => done(signal));
    if (input === undefined) return;
    input.on('end', () => done('the supervisor is gone'));
    input.on('error', () => done('the supervisor is gone'));
    input.resume();
    // It tells of the end, but is no reason to live on: a replica that could not start has to end.
    if (input instanceof Socket) input.unref();
  });
}
