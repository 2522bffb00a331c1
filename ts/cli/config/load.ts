// Joins flags, environment, file and defaults into one configuration that knows where each value comes from.
import { readFileSync } from 'node:fs';
import { parse as parseToml } from 'smol-toml';
import { UsageError } from '../exit.js';
import type { Value } from './kinds.js';
import { nearest } from './nearest.js';
import { flagOf, OPTIONS, type Option, variableOf } from './options.js';

export interface Setting {
  readonly option: Option;
  /** undefined: not given, and without a default of its own. */
  readonly value: Value | undefined;
  /** `flag --listen`, `environment ERAFT_LISTEN`, `file eraft.toml`, `default`. */
  readonly source: string;
}

export type Settings = ReadonlyMap<string, Setting>;

export interface Sources {
  /** Option name to the value given as a flag. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: string | undefined;
}

/** @throws UsageError for an unknown key, a bad value, a file that cannot be read */
export function loadSettings(sources: Sources): Settings {
  const file = sources.file === undefined ? {} : readFile(sources.file);
  const settings = new Map<string, Setting>();
  for (const option of OPTIONS) {
    const { name } = option;
    const fromFlag = sources.flags[name];
    const fromEnvironment = sources.environment[variableOf(name)];
    if (fromFlag !== undefined) settings.set(name, setting(option, fromFlag, `flag ${flagOf(name)}`));
    else if (fromEnvironment !== undefined)
      settings.set(name, setting(option, fromEnvironment, `environment ${variableOf(name)}`));
    else if (name in file) settings.set(name, setting(option, file[name], `file ${sources.file}`));
    else settings.set(name, { option, value: option.default, source: 'default' });
  }
  return settings;
}

function setting(option: Option, given: unknown, source: string): Setting {
  try {
    return { option, value: option.kind.parse(given), source };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `bad value ${JSON.stringify(given)} for ${option.name} (${source})`,
      `it ${why}`,
      `correct it. ${option.about}`,
    );
  }
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `cannot read the configuration file ${path}`,
      reason(error),
      'name a readable file with --config',
    );
  }
  const format = path.endsWith('.json') ? 'JSON' : 'TOML';
  let content: unknown;
  try {
    content = format === 'JSON' ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    throw new UsageError(
      `the configuration file ${path} is not valid ${format}`,
      reason(error),
      'correct it; files ending in .json are JSON, all others TOML',
    );
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(
      `the configuration file ${path} is no table of options`,
      `it holds ${JSON.stringify(content)}`,
      'see docs/configuration.md',
    );
  }
  const names = OPTIONS.map((option) => option.name);
  for (const key of Object.keys(content)) {
    if (names.includes(key)) continue;
    const close = nearest(key, names);
    const advice = close === undefined ? 'see docs/configuration.md for all options' : `did you mean ${close}?`;
    throw new UsageError(
      `unknown option ${JSON.stringify(key)} in ${path}`,
      'an option that nobody reads would be a silent mistake',
      advice,
    );
  }
  return content as Record<string, unknown>;
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

/** Variables of eraft that are no options of a replica. */
const OTHER_VARIABLES = [
  'ERAFT_ENDPOINTS',
  'ERAFT_TIMEOUT_MS',
  'ERAFT_CONFIG',
  'ERAFT_TARGET_DIR',
  'ERAFT_SEED',
  'ERAFT_SOAK',
];

/**
 * Sentences about variables that look like misspelt ones. A warning, not an error: others may set ERAFT_… too
 * (Kubernetes sets ERAFT_PORT and ERAFT_SERVICE_HOST for a service named eraft).
 */
export function suspiciousVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...OPTIONS.map((option) => variableOf(option.name)), ...OTHER_VARIABLES];
  const warnings: string[] = [];
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('ERAFT_') || known.includes(name)) continue;
    const close = nearest(
      name.slice('ERAFT_'.length),
      known.map((each) => each.slice('ERAFT_'.length)),
    );
    if (close !== undefined)
      warnings.push(`${name} in the environment is not known to eraft; did you mean ERAFT_${close}?`);
  }
  return warnings;
}

/** A table of what is in force and where it comes from. */
export function printSettings(settings: Settings): string {
  const rows = [...settings.values()].map(({ option, value, source }) => {
    const shown = value === undefined ? '-' : option.kind.show(value);
    return [option.name, shown, source] as const;
  });
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  const [first, second] = [width(0), width(1)];
  return rows.map(([name, value, source]) => `${name.padEnd(first)}  ${value.padEnd(second)}  ${source}\n`).join('');
}

/** The same for programs. */
export function settingsAsJson(settings: Settings): string {
  const entries = [...settings].map(([name, { value, source }]) => [name, { value: value ?? null, source }] as const);
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}
