// Three replicas on this machine: started together, shown, ended together.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EraftError } from '../../base/errors.js';
import { Client } from '../../client/client.js';
import { DEFAULT_ENDPOINTS } from '../commands/shared.js';
import { EXIT, type ExitCode } from '../exit.js';
import { type Io, write } from '../io.js';
import { choosePorts } from './ports.js';
import { type ReplicaPlan, SupervisedReplica } from './replica.js';

const REPLICAS = 3;
const LEADER_POLL_MS = 200;
const PATIENCE_MS = 10_000;

export interface ClusterPlan {
  readonly dataDir: string;
  /** 0: free ports. */
  readonly clientPortBase: number;
  readonly peerPortBase: number;
  readonly logLevel: string;
}

/** Why the cluster stops: a signal, or the exit code of a replica that could not start. */
type End = { readonly signal: string } | { readonly refused: ExitCode };

export async function runCluster(plan: ClusterPlan, io: Io): Promise<ExitCode> {
  const say = (text: string): void => void io.stderr.write(`${text}\n`);
  let end: (end: End) => void = () => undefined;
  const ended = new Promise<End>((resolve) => {
    end = resolve;
  });
  listenForSignals(say, (signal) => end({ signal }));
  const plans = await planReplicas(plan);
  const replicas = plans.map(
    (each) =>
      new SupervisedReplica(each, io.environment, {
        line: (id, text) => say(`replica ${id} | ${text}`),
        restart: (id, how, inMs) => say(`eraft: replica ${id} has ended (${how}); starting it again in ${inMs} ms`),
        refused: (id, exitCode) => {
          say(`eraft: replica ${id} cannot run (exit ${exitCode}); its message is above`);
          end({ refused: exitCode as ExitCode });
        },
      }),
  );
  const giveUp = new AbortController();
  let inOrder: readonly boolean[] = [];
  let reason: End;
  try {
    for (const replica of replicas) replica.start();
    const up = Promise.all(replicas.map((replica) => replica.serving));
    const leader = await Promise.race([up.then(() => waitForLeader(plans, say, giveUp.signal)), ended]);
    if (typeof leader === 'number') {
      rememberPorts(plan.dataDir, plans);
      await write(io.stdout, welcome(plan, plans, leader));
    }
    reason = await ended;
  } finally {
    giveUp.abort();
    inOrder = await Promise.all(replicas.map((replica) => replica.stop()));
  }
  if ('refused' in reason) return reason.refused;
  say('eraft: stopped; the data stays');
  return inOrder.every(Boolean) ? EXIT.ok : EXIT.failure;
}

/** Ctrl-C comes from the terminal and, forwarded, from npm: the first one counts, all others are heard and ignored. */
function listenForSignals(say: (text: string) => void, stop: (signal: string) => void): void {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      say('eraft: stopping the replicas');
      stop(signal);
    });
  }
}

async function planReplicas(plan: ClusterPlan): Promise<ReplicaPlan[]> {
  let clientPorts: number[];
  let peerPorts: number[];
  try {
    mkdirSync(plan.dataDir, { recursive: true });
    const remembered = readPorts(plan.dataDir);
    const free = await choosePorts(0, 2 * REPLICAS); // together: apart they may well meet
    const chosen = { client: free.slice(0, REPLICAS), peer: free.slice(REPLICAS), ...remembered };
    clientPorts = plan.clientPortBase === 0 ? chosen.client : await choosePorts(plan.clientPortBase, REPLICAS);
    peerPorts = plan.peerPortBase === 0 ? chosen.peer : await choosePorts(plan.peerPortBase, REPLICAS);
  } catch (error) {
    throw new EraftError('ERAFT_IO', `cannot use the folder ${plan.dataDir}`, { cause: error });
  }
  const peers = peerPorts.map((port, i) => `${i + 1}=127.0.0.1:${port}`).join(',');
  return clientPorts.map((clientPort, i) => ({
    id: i + 1,
    dataDir: join(plan.dataDir, `replica-${i + 1}`),
    clientPort,
    peerPort: peerPorts[i] ?? 0,
    peers,
    logLevel: plan.logLevel,
  }));
}

/** Ports that the system chose are chosen once: what clients were told stays true after a restart. */
const PORTS_FILE = 'ports.json';

function readPorts(dataDir: string): { readonly client: number[]; readonly peer: number[] } | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDir, PORTS_FILE), 'utf8')) as { client: number[]; peer: number[] };
  } catch {
    return undefined; // not there yet
  }
}

/** Written once they have proven to be usable. */
function rememberPorts(dataDir: string, plans: readonly ReplicaPlan[]): void {
  const ports = { client: plans.map(({ clientPort }) => clientPort), peer: plans.map(({ peerPort }) => peerPort) };
  writeFileSync(join(dataDir, PORTS_FILE), `${JSON.stringify(ports)}\n`);
}

/** Asks until a leader is known; says so when it takes long. undefined: given up. */
async function waitForLeader(
  plans: readonly ReplicaPlan[],
  say: (text: string) => void,
  giveUp: AbortSignal,
): Promise<number | undefined> {
  let told = Date.now();
  while (!giveUp.aborted) {
    const leader = await askForLeader(endpointsOf(plans));
    if (leader !== null) return leader;
    if (Date.now() - told >= PATIENCE_MS) {
      told = Date.now();
      say('eraft: still waiting for a leader');
    }
    await new Promise((resolve) => setTimeout(resolve, LEADER_POLL_MS));
  }
  return undefined;
}

async function askForLeader(endpoints: readonly string[]): Promise<number | null> {
  try {
    const client = await Client.connect(endpoints, { timeoutMs: 1_000 });
    try {
      return (await client.status({ timeoutMs: 1_000 })).leader;
    } finally {
      await client.close({ timeoutMs: 1 });
    }
  } catch (error) {
    if (EraftError.is(error)) return null; // not up yet
    throw error;
  }
}

function endpointsOf(plans: readonly ReplicaPlan[]): string[] {
  return plans.map(({ clientPort }) => `127.0.0.1:${clientPort}`);
}

function welcome(plan: ClusterPlan, plans: readonly ReplicaPlan[], leader: number): string {
  const endpoints = endpointsOf(plans);
  const usual = endpoints.join() === DEFAULT_ENDPOINTS.join();
  const where = usual ? '' : ` --endpoints ${endpoints.join(',')}`;
  const lines = plans.map(({ id, clientPort, peerPort, dataDir }) => {
    const role = id === leader ? ' (leader)' : '';
    return `  replica ${id}   http://127.0.0.1:${clientPort}   peers 127.0.0.1:${peerPort}   ${relative('.', dataDir)}${role}`;
  });
  return `
eraft: ${plans.length} replicas are up, replica ${leader} leads
${lines.join('\n')}

Try, in another terminal:
  npx eraft put greeting hello${where}
  npx eraft get greeting${where}
  npx eraft status${where}

Ctrl-C stops all of them; the data stays in ${plan.dataDir}
`;
}
