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

/** A log of gigabytes is read before. */
const SERVING_TIMEOUT_MS = 120_000;

/** What `/v1/status` says of one replica. */
export interface ReplicaFacts {
  readonly id: number;
  readonly reachable: boolean;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly logBytes: number;
}

interface Status {
  readonly leader: number | null;
  readonly replicas: readonly ReplicaFacts[];
}

/** Without options that the environment would set for all replicas, or for the load, alike. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ERAFT_')));
}

export class EraftCluster {
  /** host:port for clients, by replica. */
  readonly endpoints: readonly string[];
  readonly #start: (replica: number) => Child;
  readonly #children: Child[];

  private constructor(endpoints: readonly string[], start: (replica: number) => Child) {
    this.endpoints = endpoints;
    this.#start = start;
    this.#children = endpoints.map((_, i) => start(i + 1));
  }

  /** Resolves when there is a leader. */
  static async start(place: Workplace, options: EraftClusterOptions): Promise<EraftCluster> {
    const { replicas, name = 'eraft', flags = [] } = options;
    const ports = await choosePorts(0, 2 * replicas);
    const endpoints = ports.slice(0, replicas).map((port) => `127.0.0.1:${port}`);
    const peers = ports.slice(replicas).map((port, i) => `${i + 1}=127.0.0.1:${port}`);
    const others = replicas === 1 ? [] : ['--peers', peers.join(',')];
    const cluster = new EraftCluster(endpoints, (replica) => {
      const dataDir = join(place.folder, name, `replica-${replica}`);
      mkdirSync(dataDir, { recursive: true });
      const [program, before] = ERAFT;
      const own = ['--id', String(replica), '--data-dir', dataDir, '--listen', endpoints[replica - 1] ?? ''];
      const args = [...before, 'serve', '--until-input-ends', ...own, ...others, '--log-level', 'warn', ...flags];
      return place.start(program, args, { env: cleanEnvironment() });
    });
    await Promise.all(cluster.#children.map((child) => serving(child)));
    await cluster.leader();
    return cluster;
  }

  /** Of those that run. */
  get pids(): readonly number[] {
    return this.#children.filter((child) => child.running).map((child) => child.pid);
  }

  /** Where the leader serves clients, now. @throws ProcessFailed when there is none within seconds */
  async leader(): Promise<string> {
    return this.endpoints[(await this.leaderId()) - 1] ?? '';
  }

  /** @throws ProcessFailed when there is none within seconds */
  async leaderId(): Promise<number> {
    let found: number | null = null;
    const running = this.#children.find((child) => child.running);
    await running?.ready(async () => {
      found = (await this.#status())?.leader ?? null;
      return found !== null;
    });
    return found ?? 0;
  }

  /** What the replicas that run say of all. */
  async facts(): Promise<readonly ReplicaFacts[]> {
    return (await this.#status())?.replicas ?? [];
  }

  /** SIGKILL. Resolves when it is gone. */
  async killReplica(replica: number): Promise<void> {
    const child = this.#child(replica);
    child.kill();
    await child.ended;
  }

  /** Starts one that has ended. Resolves when it serves. */
  async startReplica(replica: number): Promise<void> {
    const child = this.#start(replica);
    this.#children[replica - 1] = child;
    await serving(child);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  #child(replica: number): Child {
    const child = this.#children[replica - 1];
    if (child === undefined) throw new RangeError(`no replica ${replica}`);
    return child;
  }

  /** As the first replica that runs sees it. */
  async #status(): Promise<Status | undefined> {
    const endpoint = this.endpoints[this.#children.findIndex((child) => child.running)];
    const url = `http://${endpoint}/v1/status`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    return answer?.ok === true ? ((await answer.json()) as Status) : undefined;
  }
}

function serving(child: Child): Promise<void> {
  return child.ready(() => child.stdout.includes(SERVING), SERVING_TIMEOUT_MS);
}
