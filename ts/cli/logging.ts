// Log lines of a replica on standard error: text for people, JSON (pino) for collectors.
import { destination, type LevelWithSilent, pino } from 'pino';
import { type Logger, SILENT } from '../base/logger.js';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

/** @param format - `text`, `json`, or `auto`: text on a terminal */
export function openLogger(level: string, format: string, fields: Readonly<Record<string, unknown>>): Logger {
  if (level === 'silent') return SILENT;
  const text = format === 'text' || (format === 'auto' && process.stderr.isTTY === true);
  return text ? textLogger(level) : jsonLogger(level, fields);
}

/** The fields that every line has already, or that a person reads from the context. */
const CONTEXT = ['replica'];

function jsonLogger(level: string, fields: Readonly<Record<string, unknown>>): Logger {
  // Synchronous: the last line before an end is the one that explains it.
  const log = pino({ level: level as LevelWithSilent, base: fields }, destination({ dest: 2, sync: true }));
  return Object.fromEntries(
    LEVELS.map((name) => [name, (message: string, more?: object) => log[name](plain(more), message)]),
  ) as unknown as Logger;
}

function textLogger(least: string): Logger {
  const from = LEVELS.indexOf(least as Level);
  const line =
    (level: Level) =>
    (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      if (LEVELS.indexOf(level) < from) return;
      const time = new Date().toISOString().slice(11, 23);
      process.stderr.write(`${time} ${level.padEnd(5)} ${message}${pairs(plain(fields))}\n`);
    };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

/** Errors do not turn into JSON by themselves; what every line says is not said twice. */
function plain(fields: object | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (CONTEXT.includes(name)) continue;
    out[name] = value instanceof Error ? ('code' in value ? `${value.code}: ${value.message}` : value.message) : value;
  }
  return out;
}

function pairs(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
}
