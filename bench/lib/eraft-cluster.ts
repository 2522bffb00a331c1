// eraft as its users run it: replica processes of the command line, on this machine.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { choosePorts } from '../../ts/cli/cluster/ports.js';
import { SERVING } from '../../ts/cli/cluster/replica.js';
import type { Child } from './processes.js';
import type { Workplace } from './workplace.js';

const MAIN = fileURLToPath(new URL('../../ts/cli/main.js', import.meta.url));

/** Starts the command line of eraft: what it takes to call it `eraft`. */
export const ERAFT = [process.execPath, [MAIN]] as const;

export interface EraftClusterOptions {
  readonly replicas: number;
  /** Within the workplace; default: eraft. */
  readonly name?: string;
  /** Further flags of `eraft serve`. */
  readonly flags?: readonly string[];
}

interface Status {
  readonly leader: number | null;
  readonly replicas: readonly { readonly id: number }[];
}

/** Without options that the environment would set for all replicas, or for the load, alike. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ERAFT_')));
}

export class EraftCluster {
  /** host:port for clients, by replica. */
  readonly endpoints: readonly string[];
  readonly #children: readonly Child[];

  private constructor(endpoints: readonly string[], children: readonly Child[]) {
    this.endpoints = endpoints;
    this.#children = children;
  }

  /** Resolves when there is a leader. */
  static async start(place: Workplace, options: EraftClusterOptions): Promise<EraftCluster> {
    const { replicas, name = 'eraft', flags = [] } = options;
    const ports = await choosePorts(0, 2 * replicas);
    const clientPorts = ports.slice(0, replicas);
    const peers = ports.slice(replicas).map((port, i) => `${i + 1}=127.0.0.1:${port}`);
    const children = clientPorts.map((port, i) => {
      const dataDir = join(place.folder, name, `replica-${i + 1}`);
      mkdirSync(dataDir, { recursive: true });
      const [program, before] = ERAFT;
      const own = ['--id', String(i + 1), '--data-dir', dataDir, '--listen', `127.0.0.1:${port}`];
      const others = replicas === 1 ? [] : ['--peers', peers.join(',')];
      const args = [...before, 'serve', '--until-input-ends', ...own, ...others, '--log-level', 'warn', ...flags];
      return place.start(program, args, { env: cleanEnvironment() });
    });
    const endpoints = clientPorts.map((port) => `127.0.0.1:${port}`);
    const cluster = new EraftCluster(endpoints, children);
    await Promise.all(children.map((child) => child.ready(() => child.stdout.includes(SERVING))));
    await children[0]?.ready(async () => (await cluster.#askForLeader()) !== undefined);
    return cluster;
  }

  get pids(): readonly number[] {
    return this.#children.map((child) => child.pid);
  }

  /** Where the leader serves clients, now. @throws ProcessFailed when there is none within seconds */
  async leader(): Promise<string> {
    let found: string | undefined;
    await this.#children[0]?.ready(async () => {
      found = await this.#askForLeader();
      return found !== undefined;
    });
    return found ?? '';
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  async #askForLeader(): Promise<string | undefined> {
    const [first] = this.endpoints;
    const answer = await fetch(`http://${first}/v1/status`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    if (answer?.ok !== true) return undefined;
    const { leader } = (await answer.json()) as Status;
    return leader === null ? undefined : this.endpoints[leader - 1];
  }
}
