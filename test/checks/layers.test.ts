// Imports point downwards in the map of layers, and the addon has one door.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Import, importsOf, listFiles, readText, resolveImport } from './sources.js';

/** Room to the rooms it may import from, its own aside. docs/design.md says what each is for. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  raft: [],
  base: [],
  proto: ['base', 'raft'],
  storage: ['base', 'proto'],
  transport: ['base', 'proto', 'raft'],
  client: ['base', 'proto'],
  host: ['base', 'proto', 'raft', 'storage', 'transport'],
  kv: ['base', 'proto', 'raft', 'storage', 'transport', 'host'],
  server: ['base', 'proto', 'raft', 'storage', 'transport', 'host', 'kv', 'client'],
  embed: ['base', 'proto', 'raft', 'storage', 'transport', 'host', 'kv', 'client'],
  cli: [
    'base',
    'proto',
    'raft',
    'storage',
    'transport',
    'host',
    'kv',
    'client',
    'server',
    'embed',
    'client.ts',
    'index.ts',
  ],
  'client.ts': ['base', 'proto', 'client'],
  'index.ts': ['base', 'proto', 'raft', 'storage', 'transport', 'host', 'kv', 'client', 'server', 'embed', 'client.ts'],
};

const LOADER = 'ts/storage/native.ts';
const files = listFiles('ts', ['.ts']);
const imports = new Map<string, Import[]>(files.map((file) => [file, importsOf(readText(file))]));

/** `ts/raft/raft-log.ts` is in `raft`; `ts/client.ts` is a room of its own. */
function roomOf(file: string): string {
  return file.split('/')[1] ?? '';
}

function loadsAddon(specifier: string): boolean {
  return specifier === '#native' || specifier.endsWith('.node') || /(^|\/)native\/index\.js$/.test(specifier);
}

test('the walk sees the sources', () => {
  assert.ok(files.length > 20, `${files.length} files under ts/`);
  const seen = [...imports.values()].flat();
  assert.ok(seen.some((each) => each.specifier.startsWith('./') && !each.typeOnly));
  assert.ok(seen.some((each) => each.typeOnly));
});

test('reads every form of import', () => {
  const text = `import './a.js';
import type { A } from './b.js';
import { type B, type C } from './c.js';
import {
  type D,
  e,
} from "./d.js";
export * from './e.js';
// import './no.js';
const later = await import('./f.js');
const old = require('#native');`;
  const names = ['./a.js', './b.js', './c.js', './d.js', './e.js', './f.js', '#native'];
  assert.deepEqual(
    importsOf(text).map((each) => each.specifier),
    names,
  );
  assert.deepEqual(
    importsOf(text)
      .filter((each) => each.typeOnly)
      .map((each) => each.specifier),
    ['./b.js', './c.js'],
  );
});

test('every folder of ts/ is in the map of layers', () => {
  assert.deepEqual(
    [...new Set(files.map(roomOf))].filter((room) => !(room in MAY_IMPORT)),
    [],
  );
});

test('the map of layers has no way back', () => {
  const ranks = Object.keys(MAY_IMPORT).filter((room) => !room.endsWith('.ts'));
  for (const room of ranks) {
    for (const lower of MAY_IMPORT[room] ?? []) {
      assert.ok(!(MAY_IMPORT[lower] ?? []).includes(room), `${room} and ${lower} may import each other`);
    }
  }
});

test('imports point downwards', () => {
  const wrong: string[] = [];
  for (const [file, specifiers] of imports) {
    const room = roomOf(file);
    for (const { specifier } of specifiers) {
      const target = resolveImport(file, specifier);
      if (target === undefined) continue;
      if (!target.startsWith('ts/')) {
        wrong.push(`${file} leaves ts/: ${specifier}`);
        continue;
      }
      const other = roomOf(target);
      if (other !== room && !(MAY_IMPORT[room] ?? []).includes(other)) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the Raft core imports nothing from outside', () => {
  const outside = [...imports]
    .filter(([file]) => roomOf(file) === 'raft')
    .flatMap(([file, list]) =>
      list.filter((each) => !each.specifier.startsWith('./')).map((each) => `${file}: ${each.specifier}`),
    );
  assert.deepEqual(outside, []);
});

test('no file imports itself through others', () => {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (path.includes(file)) assert.fail(`import loop: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`);
    if (done.has(file)) return;
    path.push(file);
    for (const { specifier, typeOnly } of imports.get(file) ?? []) {
      const target = typeOnly ? undefined : resolveImport(file, specifier);
      if (target !== undefined && !target.includes('/generated')) visit(target);
    }
    path.pop();
    done.add(file);
  };
  for (const file of files.filter((name) => !name.includes('/generated'))) visit(file);
});

test(`only ${LOADER} loads the addon`, () => {
  const doors = [...imports]
    .filter(([, list]) => list.some((each) => loadsAddon(each.specifier)))
    .map(([file]) => file);
  assert.deepEqual(
    doors.filter((file) => file !== LOADER),
    [],
  );
});

test('the client never reaches the addon', () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const { specifier, typeOnly } of imports.get(file) ?? []) {
      assert.ok(!loadsAddon(specifier), `${file} loads the addon`);
      const target = typeOnly ? undefined : resolveImport(file, specifier);
      if (target !== undefined) visit(target);
    }
  };
  for (const file of files.filter((name) => name === 'ts/client.ts' || roomOf(name) === 'client')) visit(file);
  assert.ok(!reached.has(LOADER));
});

test('napi is named in native/binding alone', () => {
  const naming = listFiles('native/core', ['.rs', 'Cargo.toml']).filter((file) => {
    const code = readText(file).replaceAll(/^\s*(\/\/|#).*$/gm, '');
    return /\bnapi(_derive)?\b/.test(code);
  });
  assert.deepEqual(naming, []);
});

test('no file is longer than 400 lines', () => {
  const sources = [
    ...listFiles('ts', ['.ts']),
    ...listFiles('test', ['.ts']),
    ...listFiles('bench', ['.ts']),
    ...listFiles('scripts', ['.mjs']),
    ...listFiles('native', ['.rs']),
  ];
  const long = sources
    .filter((file) => !file.includes('/generated/'))
    .map((file) => ({ file, lines: readText(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > 400);
  assert.deepEqual(long, []);
});
