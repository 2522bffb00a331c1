// Backup, inspect and restore as a user types them: over real processes, files and damage.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../../ts/cli/exit.js';
import { Client } from '../../ts/client/client.js';
import { Store } from '../../ts/embed/store.js';
import { ProcessCluster } from '../cluster/processes.js';
import { eraft } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'eraft-backup-'));
const file = join(folder, 'backup.snap');
let cluster: ProcessCluster;
let revision = 0;

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

before(async () => {
  cluster = await ProcessCluster.start();
  const client = await cluster.client();
  for (let i = 0; i < 500; i++) revision = (await client.put(`key-${i}`, `value-${i}`)).revision;
  await client.increment('counter', 41);
  await client.put('gone', 'x');
  revision = (await client.delete('gone')).revision;
});

after(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

const endpoints = (): string[] => ['--endpoints', cluster.endpoints.join(',')];

async function clusterIdAt([endpoint]: readonly string[]): Promise<string> {
  const response = await fetch(`http://${endpoint}/v1/status`);
  return ((await response.json()) as { clusterId: string }).clusterId;
}

async function inspected(path: string): Promise<Record<string, unknown>> {
  return JSON.parse((await eraft(['inspect', '--json', path])).stdout) as Record<string, unknown>;
}

test('backup: everything that was acknowledged, in a file that says so', async () => {
  const ran = await eraft(['backup', file, ...endpoints()]);
  assert.equal(ran.code, EXIT.ok, ran.stderr);
  assert.match(ran.stdout, new RegExp(`revision ${revision}, 501 keys, \\d+ bytes; verified`));
  const again = await eraft(['backup', file, ...endpoints()]);
  assert.equal(again.code, EXIT.usage);
  assert.match(again.stderr, /exists/);
  assert.equal((await eraft(['backup', file, '--force', ...endpoints()])).code, EXIT.ok);
  assert.deepEqual(readdirSync(folder), ['backup.snap']);
});

test('inspect: what is in it, for people and for programs', async () => {
  const people = await eraft(['inspect', file]);
  assert.match(people.stdout, /keys, sessions +501, /);
  const json = JSON.parse((await eraft(['inspect', '--json', file])).stdout) as Record<string, unknown>;
  assert.deepEqual([json.kind, json.keys, json.revision], ['snapshot', 501, revision]);
  const data = await eraft(['inspect', '--json', cluster.dataDir(1)]);
  assert.equal((JSON.parse(data.stdout) as { kind: string }).kind, 'data');
  assert.equal((await eraft(['inspect', join(folder, 'nothing')])).code, EXIT.environment);
});

test('a damaged backup is refused, and leaves the folder untouched', async () => {
  const bytes = readFileSync(file);
  for (const place of [20, Math.floor(bytes.length / 2), bytes.length - 9]) {
    const damaged = join(folder, 'damaged.snap');
    const copy = Buffer.from(bytes);
    copy[place] = (copy[place] ?? 0) ^ 0x10;
    writeFileSync(damaged, copy);
    const target = join(folder, 'never');
    const ran = await eraft(['restore', damaged, '--dir', target]);
    assert.equal(ran.code, EXIT.environment, `${place}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, /ERAFT_DATA_(DAMAGED|VERSION)/);
    assert.ok(!existsSync(target));
    assert.equal((await eraft(['inspect', damaged])).code, EXIT.environment);
    rmSync(damaged);
  }
  const cut = join(folder, 'cut.snap');
  writeFileSync(cut, bytes.subarray(0, bytes.length - 64));
  assert.equal((await eraft(['restore', cut, '--data-dir', join(folder, 'never')])).code, EXIT.environment);
  rmSync(cut);
});

test('restored as a store alone: everything is there, and revisions go on', async () => {
  const dir = join(folder, 'alone');
  const ran = await eraft(['restore', file, '--dir', dir]);
  assert.equal(ran.code, EXIT.ok, ran.stderr);
  const store = await Store.open({ dir });
  try {
    assert.equal(text(await store.get('key-499')), 'value-499');
    assert.equal(text(await store.get('counter')), '41');
    assert.equal(await store.get('gone'), undefined);
    assert.ok((await store.put('new', 'x')).revision > revision);
  } finally {
    await store.close();
  }
  const twice = await eraft(['restore', file, '--data-dir', dir]);
  assert.equal(twice.code, EXIT.usage, 'a folder that is not empty');
});

test('restored as a cluster of three: another one, under whatever name', async () => {
  const restored = await ProcessCluster.prepare();
  try {
    for (const id of restored.ids) {
      const flags = ['--data-dir', restored.dataDir(id), '--id', String(id), '--peers', restored.peers()];
      const ran = await eraft(['restore', file, ...flags]);
      assert.equal(ran.code, EXIT.ok, ran.stderr);
    }
    await restored.startAll();
    const clusterIds = [cluster, restored].map(({ endpoints }) => clusterIdAt(endpoints));
    assert.notEqual(...((await Promise.all(clusterIds)) as [string, string]));
    const client = await restored.client();
    assert.equal(text(await client.get('key-0')), 'value-0');
    assert.ok((await client.put('new', 'x')).revision > revision);
    for (const id of restored.ids) {
      const one = await Client.connect([restored.endpoints[id - 1] ?? '']);
      assert.equal(text(await one.get('key-250', { consistency: 'stale', minRevision: revision })), 'value-250');
      await one.close();
    }
  } finally {
    await restored.stop();
  }
});

test('nothing begins, least of all empty, before every replica is restored', async () => {
  const restored = await ProcessCluster.prepare();
  const restore = async (id: number): Promise<void> => {
    const flags = ['--data-dir', restored.dataDir(id), '--id', String(id), '--peers', restored.peers()];
    assert.equal((await eraft(['restore', file, ...flags])).code, EXIT.ok);
  };
  try {
    await restore(1);
    await restored.startAll();
    for (const id of [2, 3]) await restored.logged(id, 'ERAFT_WRONG_CLUSTER');
    for (const id of [2, 3]) {
      await restored.kill(id);
      const { blank, backup } = await inspected(restored.dataDir(id));
      assert.deepEqual({ blank, backup }, { blank: true, backup: undefined });
      rmSync(restored.dataDir(id), { recursive: true });
      await restore(id);
      await restored.start(id);
    }
    const client = await restored.client();
    assert.equal(text(await client.get('key-0')), 'value-0');
    assert.equal((await inspected(restored.dataDir(2))).backup, (await inspected(file)).id);
  } finally {
    await restored.stop();
  }
});

test('snapshot: every replica makes one, and has it', async () => {
  const ran = await eraft(['snapshot', '--json', ...endpoints()]);
  assert.equal(ran.code, EXIT.ok, ran.stderr);
  const made = JSON.parse(ran.stdout) as { endpoint: string; index: number; bytes: number }[];
  assert.deepEqual(
    made.map((each) => each.endpoint),
    cluster.endpoints,
  );
  for (const id of cluster.ids) {
    const files = readdirSync(join(cluster.dataDir(id), 'snapshots'));
    assert.equal(files.filter((name) => name.endsWith('.snap')).length, 1, files.join());
  }
});

test('no leader, no backup', async () => {
  const ran = await eraft(['backup', join(folder, 'none.snap'), '--endpoints', '127.0.0.1:1', '--timeout', '500']);
  assert.equal(ran.code, EXIT.failure);
  assert.ok(!existsSync(join(folder, 'none.snap')) && !existsSync(join(folder, 'none.snap.part')));
});

test('a copy of the folder of a stopped store is a backup, too', async () => {
  const dir = join(folder, 'original');
  const store = await Store.open({ dir });
  const written = await store.put('a', 'x');
  await store.close();
  const copied = join(folder, 'copied');
  mkdirSync(copied, { mode: 0o700 });
  cpSync(dir, copied, { recursive: true });
  const copy = await Store.open({ dir: copied });
  assert.equal(text(await copy.get('a')), 'x');
  assert.ok((await copy.put('b', 'x')).revision > written.revision);
  await copy.close();
});
