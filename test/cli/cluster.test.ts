// The binary against a real cluster of three processes, as `npm start` runs it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ClusterStatus } from '../../ts/client.js';
import { cleanEnvironment, eraft, MAIN, type Ran } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'eraft-cli-'));
const dataDir = join(folder, 'data');

/** A supervisor with its output, told line by line. */
class Supervisor {
  readonly child: ChildProcess;
  output = '';
  readonly #waiting: { readonly pattern: RegExp; readonly from: number; readonly done: () => void }[] = [];
  readonly #ended: Promise<unknown>;

  constructor(dir: string) {
    const args = [
      'cluster',
      '--data-dir',
      dir,
      '--client-port-base',
      '0',
      '--peer-port-base',
      '0',
      '--log-level',
      'info',
    ];
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => this.#heard(chunk));
  }

  #heard(chunk: Buffer): void {
    this.output += chunk.toString();
    for (const { pattern, from, done } of this.#waiting) if (pattern.test(this.output.slice(from))) done();
  }

  /** Resolves when the output after `from` matches; rejects with all of it when the supervisor ends first. */
  async said(pattern: RegExp, from = 0): Promise<void> {
    if (pattern.test(this.output.slice(from))) return;
    const found = new Promise<'found'>((resolve) =>
      this.#waiting.push({ pattern, from, done: () => resolve('found') }),
    );
    if ((await Promise.race([found, this.#ended])) !== 'found')
      assert.fail(`ended without ${pattern}:\n${this.output}`);
  }

  get endpoints(): string {
    const ports = JSON.parse(readFileSync(join(dataDir, 'ports.json'), 'utf8')) as { client: number[] };
    return ports.client.map((port) => `127.0.0.1:${port}`).join(',');
  }

  /** Process ids of the replicas, by id, from their log lines. */
  pid(id: number): number {
    const found = [
      ...this.output.matchAll(new RegExp(`^replica ${id} \\| .*serving clients on.* pid=(\\d+)`, 'gm')),
    ].at(-1);
    return Number(found?.[1]);
  }

  async end(...signals: readonly NodeJS.Signals[]): Promise<number | null> {
    for (const signal of signals) this.child.kill(signal);
    await this.#ended;
    return this.child.exitCode;
  }
}

/** Resolves when the process is gone. It is nobody's child any more, so there is no event to await. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('a local cluster', () => {
  let supervisor: Supervisor;
  const run = (...args: string[]): Promise<Ran> => eraft(args, { env: { ERAFT_ENDPOINTS: supervisor.endpoints } });

  before(async () => {
    supervisor = new Supervisor(dataDir);
    await supervisor.said(/Ctrl-C stops all of them/);
  });
  after(async () => {
    supervisor.child.kill('SIGTERM');
    await supervisor.end();
  });

  test('prints addresses and three commands to try', () => {
    assert.match(supervisor.output, /3 replicas are up, replica [123] leads/);
    for (const command of ['put greeting hello', 'get greeting', 'status']) {
      assert.match(supervisor.output, new RegExp(`npx eraft ${command} --endpoints ${supervisor.endpoints}`));
    }
  });

  test('put and get: the raw value, nothing else', async () => {
    const put = await run('put', 'greeting', 'hello');
    assert.equal(put.code, 0, put.stderr);
    assert.match(put.stdout, /^revision \d+\n$/);
    const got = await run('get', 'greeting');
    assert.deepEqual([got.code, got.stdout], [0, 'hello']);
    assert.equal((await run('get', 'greeting', '--hex')).stdout, '68656c6c6f\n');
    assert.equal((await run('get', 'greeting', '--base64')).stdout, 'aGVsbG8=\n');
    const json = JSON.parse((await run('get', 'greeting', '--json')).stdout) as Record<string, unknown>;
    assert.deepEqual([json.key, json.value, typeof json.revision], ['greeting', 'hello', 'number']);
    assert.equal((await run('get', 'greeting', '--consistency', 'stale')).code, 0);
  });

  test('get of a key that is not there: exit 4, nothing on standard output', async () => {
    const got = await run('get', 'nothing');
    assert.deepEqual([got.code, got.stdout], [4, '']);
    assert.match(got.stderr, /there is no "nothing"/);
  });

  test('values come from standard input and from files, byte for byte', async () => {
    const bytes = Buffer.from([0, 255, 10, 0, 128]);
    const env = { ERAFT_ENDPOINTS: supervisor.endpoints };
    assert.equal((await eraft(['put', 'binary', '-'], { env, input: bytes })).code, 0);
    assert.deepEqual((await run('get', 'binary')).bytes, bytes);
    assert.match((await run('get', 'binary', '--json')).stdout, /"value":\{"base64":"AP8KAIA="\}/);
    const file = join(folder, 'value');
    writeFileSync(file, bytes);
    assert.equal((await run('put', 'ff00', '--hex-key', '--file', file)).code, 0);
    assert.deepEqual((await run('get', 'ff00', '--hex-key')).bytes, bytes);
    assert.equal((await run('put', 'empty', '')).code, 0);
    assert.deepEqual([(await run('get', 'empty')).code, (await run('get', 'empty')).stdout], [0, '']);
  });

  test('append, increment, delete', async () => {
    assert.match((await run('append', 'list', 'ab')).stdout, /, 2 bytes/);
    assert.match((await run('append', 'list', 'cd')).stdout, /, 4 bytes/);
    assert.equal((await run('increment', 'count')).stdout, '1\n');
    assert.equal((await run('increment', 'count', '41')).stdout, '42\n');
    assert.equal((await run('increment', 'count', '--', '-2')).stdout, '40\n');
    const wrong = await run('increment', 'list');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /ERAFT_NOT_A_NUMBER \(exit 1\); nothing was changed/);
    assert.equal((await run('delete', 'list')).code, 0);
    assert.equal((await run('get', 'list')).code, 4);
  });

  test('cas: exit 0 when the condition holds, 4 and the current revision when it does not', async () => {
    assert.equal((await run('cas', 'lock', 'me', '--if-absent')).code, 0);
    const refused = await run('cas', 'lock', 'you', '--if-absent');
    assert.equal(refused.code, 4);
    assert.match(refused.stdout, /not changed: the key is at revision \d+/);
    const { current } = JSON.parse((await run('cas', 'lock', 'you', '--if-absent', '--json')).stdout) as {
      current: { revision: number };
    };
    assert.equal((await run('cas', 'lock', 'you', '--if-revision', String(current.revision))).code, 0);
    assert.equal((await run('cas', 'lock', 'we', '--if-value', 'you')).code, 0);
    assert.equal((await run('get', 'lock')).stdout, 'we');
  });

  test('scan: order, prefix, limit, reverse, keys only', async () => {
    for (const key of ['s/b', 's/a', 's/c']) assert.equal((await run('put', key, key.toUpperCase())).code, 0);
    assert.equal((await run('scan', '--prefix', 's/')).stdout, 's/a\tS/A\ns/b\tS/B\ns/c\tS/C\n');
    assert.equal(
      (await run('scan', '--prefix', 's/', '--reverse', '--limit', '2', '--keys-only')).stdout,
      's/c\ns/b\n',
    );
    const lines = (await run('scan', '--from', 's/b', '--to', 's/c', '--json', '--snapshot')).stdout.trim().split('\n');
    assert.equal(lines.length, 1);
    assert.equal((JSON.parse(lines[0] ?? '') as { key: string }).key, 's/b');
  });

  test('status: as documented', async () => {
    const status = JSON.parse((await run('status', '--json')).stdout) as ClusterStatus;
    assert.match(status.clusterId, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      status.replicas.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual(
      status.replicas.filter(({ role }) => role === 'leader').map(({ id }) => id),
      [status.leader],
    );
    for (const {
      address,
      reachable,
      term,
      commitIndex,
      appliedIndex,
      logBytes,
      storeBytes,
      snapshotBytes,
    } of status.replicas) {
      assert.ok(reachable);
      assert.ok(supervisor.endpoints.split(',').includes(address), address);
      for (const value of [term, commitIndex, appliedIndex, logBytes, storeBytes, snapshotBytes])
        assert.equal(typeof value, 'number');
    }
    const table = (await run('status')).stdout;
    assert.match(table, new RegExp(`^cluster ${status.clusterId}, leader \\d`));
    assert.match(table, /^\d \*\s+127\.0\.0\.1:\d+ +leader /m);
  });

  test('bench: counts, percentiles, no errors', async () => {
    const flags = [
      '--duration',
      '1',
      '--warmup',
      '0',
      '--keys',
      '100',
      '--connections',
      '2',
      '--in-flight',
      '8',
      '--json',
    ];
    for (const workload of ['mixed', 'put', 'get']) {
      const ran = await run('bench', workload, ...flags, ...(workload === 'mixed' ? ['--rate', '200'] : []));
      assert.equal(ran.code, 0, ran.stderr);
      const result = JSON.parse(ran.stdout) as {
        operations: number;
        errors: object;
        kinds: Record<string, { latency: { percentilesUs: object } }>;
      };
      assert.ok(result.operations > 0);
      assert.deepEqual(result.errors, {});
      for (const kind of Object.values(result.kinds)) assert.ok('p99' in kind.latency.percentilesUs);
    }
  });

  test('a replica that dies is shown, marked unreachable, and started again', async () => {
    const victim = supervisor.pid(2);
    const from = supervisor.output.length;
    process.kill(victim, 'SIGKILL');
    await supervisor.said(
      /replica 2 has ended \(SIGKILL\); starting it again in \d+ ms[\s\S]*replica 2 \| .*serving/,
      from,
    );
    assert.notEqual(supervisor.pid(2), victim);
    assert.equal((await run('get', 'greeting', '--timeout', '20000')).stdout, 'hello');
  });

  test('the folder in use: exit 3, the running cluster is not disturbed', async () => {
    const second = new Supervisor(dataDir);
    assert.equal(await second.end(), 3, second.output);
    assert.match(second.output, /code: ERAFT_(PORT_IN_USE|DATA_LOCKED) \(exit 3\)/);
    assert.equal((await run('get', 'greeting', '--timeout', '20000')).stdout, 'hello');
  });

  test('Ctrl-C, twice, ends all in order with exit 0; the data is there again', async () => {
    const pids = [1, 2, 3].map((id) => supervisor.pid(id));
    const { endpoints } = supervisor;
    assert.equal(await supervisor.end('SIGINT', 'SIGINT'), 0, supervisor.output);
    await Promise.all(pids.map(gone));
    supervisor = new Supervisor(dataDir);
    await supervisor.said(/Ctrl-C stops all of them/);
    assert.equal(supervisor.endpoints, endpoints);
    assert.equal((await run('get', 'greeting')).stdout, 'hello');
  });

  test('the supervisor killed: its replicas end by themselves', async () => {
    const pids = [1, 2, 3].map((id) => supervisor.pid(id));
    await supervisor.end('SIGKILL');
    await Promise.all(pids.map(gone));
  });
});

test('serve alone: a store without peers, stopped by SIGTERM', async () => {
  const args = ['serve', '--data-dir', join(folder, 'alone'), '--listen', '127.0.0.1:0', '--log-format', 'json'];
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (/serving clients on/.test(log)) resolve();
    });
    child.once('exit', () => reject(new Error(log)));
  });
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; replica: number });
  const address = /127\.0\.0\.1:\d+/.exec(lines.find(({ msg }) => /serving clients/.test(msg))?.msg ?? '')?.[0] ?? '';
  const put = await eraft(['put', 'a', 'b', '--endpoints', address]);
  assert.equal(put.code, 0, put.stderr);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0, log);
});
