// The project's own sources, as text: what the checks of structure look at.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone. This file runs from build/test/checks. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Paths, relative to the clone, of all files under `folder` that end in one of `endings`. Empty if there is none. */
export function listFiles(folder: string, endings: readonly string[]): string[] {
  const found = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

export interface Import {
  readonly specifier: string;
  /** `import type …` and `export type …`: gone at run time. */
  readonly typeOnly: boolean;
}

/** What a TypeScript file imports, statically or by `import('…')` and `require('…')` of a literal. */
export function importsOf(text: string): Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  const found: Import[] = [];
  const statements = /^\s*(?:import|export)\s(?<clause>[^;'"]*?\sfrom\s*)?['"](?<from>[^'"]+)['"]/gm;
  for (const { groups } of code.matchAll(statements)) {
    const clause = groups?.clause ?? '';
    const names = /^\{(?<list>[^}]*)\}/
      .exec(clause.trim())
      ?.groups?.list?.split(',')
      .map((name) => name.trim());
    const everyType = names?.every((name) => name === '' || name.startsWith('type ')) ?? false;
    found.push({ specifier: groups?.from ?? '', typeOnly: /^type\s/.test(clause.trim()) || everyType });
  }
  for (const match of code.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g)) {
    found.push({ specifier: match[1] ?? '', typeOnly: false });
  }
  return found;
}

/** The source that a relative import names; undefined for packages and builtin modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = resolve(ROOT, dirname(from), specifier);
  return relative(ROOT, path).split(sep).join('/').replace(/\.js$/, '.ts');
}
