// A cluster of real processes for fault tests: real ports, real disks, links that can be cut, disks that can be stalled or full.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../ts/client.js';
import type { ReplicaStatus } from '../../ts/kv/status.js';
import { freePort } from './ports.js';
import { LinkProxy } from './proxy.js';

const EXECUTABLE = fileURLToPath(new URL('../../ts/cli/main.js', import.meta.url));
const DISK_FAULTS_SOURCE = fileURLToPath(new URL('../../../test/cluster/disk-faults.c', import.meta.url));

const START_ATTEMPTS_MAX = 20;

type DiskFault = 'stall' | 'full' | 'fail';

interface Member {
  readonly id: number;
  readonly dir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  process: ChildProcess | undefined;
  log: string;
  readonly output: EventEmitter;
}

/** How the members' ways to each other and to their disks are built; plain when left out. */
export interface ClusterOptions {
  /** Peers reach each other through links that `isolate` can cut. */
  readonly cuttable?: boolean;
  /** Preloads the disk faults that `disk` switches. */
  readonly faultyDisks?: boolean;
  /** Further flags of `eraft serve`. */
  readonly flags?: readonly string[];
}

export class ProcessCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'eraft-cluster-'));
  readonly #members: Member[] = [];
  /** From replica (row) to replica (column). */
  readonly #links = new Map<string, LinkProxy>();
  readonly #options: ClusterOptions;
  readonly #clients: Client[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  static async start(options: ClusterOptions = {}): Promise<ProcessCluster> {
    const cluster = await ProcessCluster.prepare(options);
    await cluster.startAll();
    return cluster;
  }

  /** Folders and ports, and no process: for data that is put there before. */
  static async prepare(options: ClusterOptions = {}): Promise<ProcessCluster> {
    const cluster = new ProcessCluster(options);
    if (options.faultyDisks) {
      execFileSync('gcc', ['-O1', '-shared', '-fPIC', '-o', cluster.#preload, DISK_FAULTS_SOURCE, '-ldl']);
    }
    for (const id of [1, 2, 3]) {
      const dir = join(cluster.#folder, `replica-${id}`);
      cluster.#members.push({
        id,
        dir,
        clientPort: await freePort(),
        peerPort: await freePort(),
        process: undefined,
        log: '',
        output: new EventEmitter(),
      });
    }
    if (options.cuttable) await cluster.#openLinks();
    return cluster;
  }

  /** Starts every replica; when one of them cannot be started, stops all. */
  async startAll(): Promise<void> {
    const started = await Promise.allSettled(this.ids.map((id) => this.start(id)));
    const failed = started.find((start) => start.status === 'rejected');
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  /** As `--peers` wants them. */
  peers(from = 0): string {
    return this.#members.map((peer) => `${peer.id}=127.0.0.1:${this.#portFrom(from, peer)}`).join(',');
  }

  get ids(): readonly number[] {
    return this.#members.map((member) => member.id);
  }

  get endpoints(): string[] {
    return this.#members.map((member) => `127.0.0.1:${member.clientPort}`);
  }

  dataDir(id: number): string {
    return this.#member(id).dir;
  }

  /** What the replica has logged since it was last started. */
  log(id: number): string {
    return this.#member(id).log;
  }

  /** Resolves when the replica has logged `text` since it was last started. */
  async logged(id: number, text: string): Promise<void> {
    const member = this.#member(id);
    while (!member.log.includes(text)) await once(member.output, 'log');
  }

  /** Resolves when every replica knows every other one's uid. */
  async membershipKnown(): Promise<void> {
    for (;;) {
      const statuses = await Promise.all(this.#members.map((member) => ownStatus(member)));
      if (statuses.every((status) => status?.peers.every((peer) => peer.uid !== null))) return;
    }
  }

  /**
   * Starts a replica and waits until it listens. Its ports are its own as far as tests can see to that; when somebody else
   * on this machine has taken one meanwhile, says who, and tries again.
   */
  async start(id: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#launch(id);
      } catch (error) {
        if (attempt === START_ATTEMPTS_MAX || !String(error).includes('ERAFT_PORT_IN_USE')) throw error;
        process.stderr.write(`${error}\n${socketsOf(this.#member(id))}\n`);
      }
    }
  }

  async #launch(id: number): Promise<void> {
    const member = this.#member(id);
    const peers = this.peers(id);
    const child = spawn(
      process.execPath,
      [
        EXECUTABLE,
        'serve',
        ...['--id', String(id), '--data-dir', member.dir, '--peers', peers],
        ...(this.#options.flags ?? []),
        ...['--listen', `127.0.0.1:${member.clientPort}`, '--peer-listen', `127.0.0.1:${member.peerPort}`],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: this.#environment(id) },
    );
    member.process = child;
    const listening = new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        member.log += chunk.toString();
        member.output.emit('log');
        if (/serving clients/.test(member.log)) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', (code, signal) =>
        reject(new Error(`replica ${id} ended (${code ?? signal}):\n${member.log}`)),
      );
    });
    member.log = '';
    await listening;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(id: number): Promise<void> {
    const child = this.#running(id);
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#member(id).process = undefined;
  }

  /** Resolves with the exit code of a process that ends by itself. */
  async ended(id: number): Promise<number | null> {
    const child = this.#running(id);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#member(id).process = undefined;
    return child.exitCode;
  }

  signal(id: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#running(id).kill(signal);
  }

  /** Cuts every link from and to the replica. Its clients still reach it. */
  isolate(id: number): void {
    for (const [name, link] of this.#links) if (name.split('-').includes(String(id))) link.cut();
  }

  heal(): void {
    for (const link of this.#links.values()) link.mend();
  }

  disk(id: number, fault: DiskFault, on: boolean): void {
    const path = `${this.#faultsOf(id)}.${fault}`;
    if (on) writeFileSync(path, '');
    else rmSync(path, { force: true });
  }

  async client(endpoints = this.endpoints): Promise<Client> {
    const client = await Client.connect(endpoints);
    this.#clients.push(client);
    return client;
  }

  /** The replica, other than `not`, that leads and is followed by a majority; waits for one. */
  async leader(not?: number): Promise<number> {
    for (;;) {
      const views = await Promise.all(this.#members.map((member) => view(member)));
      for (const { id, term, leader } of views) {
        if (id !== leader || id === not) continue;
        const followers = views.filter((view) => view.leader === id && view.term === term);
        if (followers.length * 2 > this.#members.length) return id;
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs: 1 })));
    for (const member of this.#members) if (member.process) await this.kill(member.id);
    for (const link of this.#links.values()) link.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #preload(): string {
    return join(this.#folder, 'disk-faults.so');
  }

  #faultsOf(id: number): string {
    return join(this.#folder, `faults-${id}`);
  }

  #environment(id: number): NodeJS.ProcessEnv {
    if (!this.#options.faultyDisks) return process.env;
    return { ...process.env, LD_PRELOAD: this.#preload, ERAFT_DISK_FAULTS: this.#faultsOf(id) };
  }

  #portFrom(id: number, peer: Member): number {
    return this.#links.get(`${id}-${peer.id}`)?.port ?? peer.peerPort;
  }

  async #openLinks(): Promise<void> {
    for (const from of this.#members) {
      for (const to of this.#members) {
        if (from !== to) this.#links.set(`${from.id}-${to.id}`, await LinkProxy.open(() => to.peerPort));
      }
    }
  }

  #member(id: number): Member {
    const member = this.#members.find((candidate) => candidate.id === id);
    assert.ok(member, `no replica ${id}`);
    return member;
  }

  #running(id: number): ChildProcess {
    const child = this.#member(id).process;
    assert.ok(child, `replica ${id} is not running`);
    return child;
  }
}

/** What the system knows of the sockets on a replica's ports, for a diagnosis. */
function socketsOf({ clientPort, peerPort }: Member): string {
  const ss = spawnSync('ss', ['-tanp'], { encoding: 'utf8' });
  const lines = (ss.stdout ?? '').split('\n');
  return lines.filter((line) => [clientPort, peerPort].some((port) => line.includes(`:${port}`))).join('\n');
}

/** What the replica itself says of its group; it need not reach the others to say so. */
async function ownStatus(member: Member): Promise<ReplicaStatus | undefined> {
  const url = `http://127.0.0.1:${member.clientPort}/v1/status`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  if (!answer?.ok) return undefined;
  const { replicas } = (await answer.json()) as { replicas: ReplicaStatus[] };
  return replicas.find((replica) => replica.id === member.id);
}

async function view(member: Member): Promise<{ id: number; term: number; leader: number }> {
  const status = await ownStatus(member);
  return { id: member.id, term: status?.term ?? 0, leader: status?.leader ?? 0 };
}
