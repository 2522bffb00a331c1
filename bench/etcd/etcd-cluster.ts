// Three etcd members on this machine, with defaults but for the quota: fsync on, no compaction while it is measured.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { choosePorts } from '../../ts/cli/cluster/ports.js';
import { BenchError } from '../lib/errors.js';
import type { Child } from '../lib/processes.js';
import type { Workplace } from '../lib/workplace.js';

const MEMBERS = 3;
const QUOTA_BYTES = 8 * 1024 ** 3;

export class EtcdCluster {
  readonly endpoints: readonly string[];
  readonly #children: readonly Child[];

  private constructor(endpoints: readonly string[], children: readonly Child[]) {
    this.endpoints = endpoints;
    this.#children = children;
  }

  /** Resolves when there is a leader. */
  static async start(place: Workplace, server: string): Promise<EtcdCluster> {
    const ports = await choosePorts(0, 2 * MEMBERS);
    const endpoints = ports.slice(0, MEMBERS).map((port) => `127.0.0.1:${port}`);
    const peers = ports.slice(MEMBERS).map((port) => `http://127.0.0.1:${port}`);
    const members = peers.map((url, i) => `member-${i + 1}=${url}`).join(',');
    const children = endpoints.map((endpoint, i) => {
      const options = {
        name: `member-${i + 1}`,
        'data-dir': join(place.folder, 'etcd', `member-${i + 1}`),
        'initial-cluster': members,
        'initial-cluster-state': 'new',
        'listen-client-urls': `http://${endpoint}`,
        'advertise-client-urls': `http://${endpoint}`,
        'listen-peer-urls': peers[i],
        'initial-advertise-peer-urls': peers[i],
        'quota-backend-bytes': QUOTA_BYTES,
        'log-level': 'error',
      };
      mkdirSync(options['data-dir'], { recursive: true, mode: 0o700 });
      const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
      return place.start(server, args, { env: withoutEtcdOptions() });
    });
    const cluster = new EtcdCluster(endpoints, children);
    await Promise.all(children.map((child, i) => child.ready(() => cluster.#knowsLeader(endpoints[i] ?? ''))));
    return cluster;
  }

  get pids(): readonly number[] {
    return this.#children.map((child) => child.pid);
  }

  /** Where the leader serves clients, now. */
  async leader(): Promise<string> {
    for (const endpoint of this.endpoints) {
      const status = await this.#status(endpoint);
      if (status !== undefined && status.leader === status.header.member_id) return endpoint;
    }
    throw new BenchError('etcd has no leader');
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    const body = { key: Buffer.from(key).toString('base64'), value: Buffer.from(value).toString('base64') };
    if ((await post(await this.leader(), 'kv/put', body)) === undefined) throw new BenchError('etcd refused a put');
  }

  async #knowsLeader(endpoint: string): Promise<boolean> {
    const status = await this.#status(endpoint);
    return status?.leader !== undefined && status.leader !== '0';
  }

  #status(endpoint: string): Promise<Status | undefined> {
    return post(endpoint, 'maintenance/status', {}) as Promise<Status | undefined>;
  }
}

interface Status {
  readonly leader?: string;
  readonly header: { readonly member_id: string };
}

/** One call of the JSON gateway; undefined: no good answer. */
async function post(endpoint: string, path: string, body: object): Promise<unknown> {
  const request = { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(5_000) };
  const answer = await fetch(`http://${endpoint}/v3/${path}`, request).catch(() => undefined);
  return answer?.ok === true ? answer.json() : undefined;
}

function withoutEtcdOptions(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('ETCD_'));
  // Debian's generation refuses to run elsewhere without being asked.
  return { ...Object.fromEntries(kept), ...(process.arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {}) };
}
