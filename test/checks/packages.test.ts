// package.json: what it promises is there, and what it depends on runs where eraft runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readText } from './sources.js';

interface Manifest {
  readonly engines: { readonly node: string };
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly imports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly engines?: { readonly node?: string };
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readText('package.json')) as Manifest;
const lock = JSON.parse(readText('package-lock.json')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};

/** Whether 20.19.0 is in a range of the simple kinds that `engines` uses. */
function allowsOurOldestNode(range: string): boolean {
  return range.split('||').some((alternative) => {
    const text = alternative.trim().replaceAll(/\s+/g, '');
    const [, operator = '', major = '0', minor = '0'] = /^(>=|\^|~|>)?v?(\d+)(?:\.(\d+|x))?/.exec(text) ?? [];
    const above = Number(major) < 20 || (Number(major) === 20 && (minor === 'x' || Number(minor) <= 19));
    if (operator === '>=' || operator === '>') return above;
    return Number(major) === 20 && above;
  });
}

test('reads ranges of Node versions', () => {
  for (const range of ['>=20', '^20.17.0 || ^22.13.0 || >= 23.5.0', '>= 10', '20.x || 22.x', '>=20.19']) {
    assert.ok(allowsOurOldestNode(range), range);
  }
  for (const range of ['>=22', '^22.20 || ^24.12', '^20.20.0', '21']) assert.ok(!allowsOurOldestNode(range), range);
});

test('every package runs on the oldest Node that eraft supports', () => {
  assert.equal(manifest.engines.node, '>=20.19');
  const tooNew = Object.entries(lock.packages)
    .filter(([, { engines }]) => engines?.node !== undefined && !allowsOurOldestNode(engines.node))
    .map(([name, { engines }]) => `${name}: ${engines?.node}`);
  assert.deepEqual(tooNew, []);
});

test('versions are exact', () => {
  const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  assert.deepEqual(
    all.filter(([, version]) => !/^(npm:[^@]+@)?\d+\.\d+\.\d+$/.test(version)),
    [],
  );
});

test('the lock file knows the packages of every platform, or npm ci would refuse it', () => {
  const missing: string[] = [];
  for (const [path, { optionalDependencies }] of Object.entries(lock.packages)) {
    for (const name of Object.keys(optionalDependencies ?? {})) {
      const known = `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages;
      if (!known) missing.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
});

test('every entry point has a source', () => {
  const compiled = [
    ...Object.values(manifest.exports),
    ...Object.values(manifest.imports),
    ...Object.values(manifest.bin),
  ]
    .map((target) => (typeof target === 'string' ? target : target.default))
    .filter((path) => path.startsWith('./build/'));
  assert.ok(compiled.length >= 3);
  for (const path of compiled)
    assert.ok(readText(path.replace('./build/', '').replace(/\.js$/, '.ts')).length > 0, path);
});

test('eraft and eraft/client export what their users name', async () => {
  const client: Record<string, unknown> = await import('eraft/client');
  for (const name of ['Client', 'EraftError']) assert.ok(name in client, `eraft/client exports ${name}`);
});
