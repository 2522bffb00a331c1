// What a bench tells: a table for people, JSON for programs.
import { writeFileSync } from 'node:fs';
import type { Machine } from './machine.js';

export interface Report<R> {
  /** Name of a system to its version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Machine;
  /** ISO 8601, when it began. */
  readonly date: string;
  /** As it can be typed again. */
  readonly command: string;
  readonly rows: readonly R[];
}

export function writeJson(file: string | undefined, report: object): void {
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

/** Columns of numbers are aligned to the right, others to the left. An empty row is an empty line. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const numeric = header.map((_, i) => rows.every((row) => /^([-\d].*)?$/.test(row[i] ?? '')));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (numeric[i] === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[header, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n')}\n`;
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Three digits that count, and thousands apart. `-` for what there is not. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100 || value === 0) return whole.format(value);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3);
}

/** Ours over theirs. */
export function ratio(ours: number | undefined, theirs: number | undefined): number | undefined {
  if (ours === undefined || theirs === undefined || theirs === 0) return undefined;
  return Math.round((ours / theirs) * 1_000) / 1_000;
}

export function times(value: number | undefined): string {
  return value === undefined ? '-' : `${figure(value)}×`;
}
