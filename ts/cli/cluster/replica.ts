// One replica process of a local cluster: started, watched, started again with back-off when it dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** What a supervised replica prints to standard output when it serves. Its log is on standard error. */
export const SERVING = 'serving';
const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 15_000;
/** A replica that has lived so long starts again with the shortest back-off. */
const HEALTHY_MS = 30_000;
const KILL_AFTER_MS = 35_000;

export interface ReplicaPlan {
  readonly id: number;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly peers: string;
  readonly logLevel: string;
}

export interface ReplicaEvents {
  /** A line that it wrote to standard error. */
  line(id: number, text: string): void;
  /** It has died and will be started again after so long. */
  restart(id: number, how: string, inMs: number): void;
  /** It ended before it ever served: starting it again would not help. */
  refused(id: number, exitCode: number): void;
}

export class SupervisedReplica {
  readonly plan: ReplicaPlan;
  readonly #events: ReplicaEvents;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #stopping = false;
  #settled: Promise<void> = Promise.resolve();
  #tellServing: () => void = () => undefined;
  /** It has served at least once, so its configuration and its folder are good: from now on an end is an accident. */
  #proven = false;
  /** Resolves when it serves for the first time. */
  readonly serving: Promise<void>;

  constructor(plan: ReplicaPlan, environment: Readonly<Record<string, string | undefined>>, events: ReplicaEvents) {
    this.plan = plan;
    this.#environment = environment;
    this.#events = events;
    this.serving = new Promise((resolve) => {
      this.#tellServing = resolve;
    });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { id, dataDir, clientPort, peerPort, peers, logLevel } = this.plan;
    const started = Date.now();
    const child = spawn(
      process.execPath,
      [
        ...[MAIN, 'serve', '--until-input-ends', '--id', String(id), '--data-dir', dataDir, '--peers', peers],
        ...['--listen', `127.0.0.1:${clientPort}`, '--peer-listen', `127.0.0.1:${peerPort}`],
        ...['--log-level', logLevel, '--log-format', 'text'],
      ],
      // Detached: Ctrl-C in the terminal reaches the supervisor alone, which ends the replicas in order. The pipe to
      // standard input is what ends them when the supervisor dies, however it does.
      { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: optionsLeftOut(this.#environment) },
    );
    this.#child = child;
    child.stdin?.on('error', () => undefined); // it may die between two of our writes
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (text) => this.#heard(text));
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (text) => this.#events.line(id, text));
    }
    this.#settled = this.#watch(child, started);
  }

  #heard(text: string): void {
    if (text !== SERVING) return;
    this.#proven = true;
    this.#tellServing();
  }

  async #watch(child: ChildProcess, started: number): Promise<void> {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    this.#child = undefined;
    if (this.#stopping) return;
    const { id } = this.plan;
    if (!this.#proven && code !== null && code !== 0) {
      this.#events.refused(id, code);
      return;
    }
    if (Date.now() - started >= HEALTHY_MS) this.#backoffMs = BACKOFF_MS_MIN;
    const wait = this.#backoffMs;
    this.#backoffMs = Math.min(BACKOFF_MS_MAX, wait * 2);
    this.#events.restart(id, signal === null ? `exit ${code}` : String(signal), wait);
    this.#timer = setTimeout(() => this.start(), wait);
  }

  /** Ends it in order; kills it when that takes too long. @returns whether it ended by itself */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return true;
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      child.kill('SIGKILL');
    }, KILL_AFTER_MS);
    child.stdin?.end();
    await this.#settled;
    clearTimeout(timer);
    return !killed;
  }
}

/** Options of `serve` in the environment would change all three alike; ports and folders cannot be shared. */
function optionsLeftOut(environment: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const own = new Set([
    'ERAFT_ID',
    'ERAFT_DATA_DIR',
    'ERAFT_PEERS',
    'ERAFT_LISTEN',
    'ERAFT_PEER_LISTEN',
    'ERAFT_ADVERTISE',
  ]);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !own.has(name)));
}
