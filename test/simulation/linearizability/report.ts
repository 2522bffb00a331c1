// Operations and findings in words.
import type { Condition, History, Input, Operation, Output, Seen } from './history.js';
import type { Held } from './model.js';
import { changesOf, isWithin, keyOfChange, keysOf, observationsOf, outputOf, rangeOf } from './tasks.js';

const TEXT_MAX = 60;
const AROUND_MAX = 12;

/** What `op` is called by who calls it. */
export function nameOf(op: Operation): string {
  const { input } = op;
  if (input.op === 'get') return input.keys.length === 1 ? 'get' : 'getMany';
  if (input.op !== 'transact') return input.op;
  const [change, ...others] = input.changes;
  const swaps = input.when.length === 1 && others.length === 0 && change !== undefined && 'put' in change;
  return swaps ? 'compareAndSwap' : 'transact';
}

/** `get of k by client 3 at 12.3–14.1`. */
export function whoAndWhen(op: Operation): string {
  const stale = (op.input.op === 'get' || op.input.op === 'scan') && op.input.stale === true ? 'stale ' : '';
  const [from, to] = [op.calledAt ?? op.call, op.returnedAt ?? op.return];
  const until = op.return === Number.POSITIVE_INFINITY ? '' : String(to);
  return `${stale}${nameOf(op)} of ${whatOf(op.input)} by client ${op.client} at ${from}–${until}`;
}

/** One line for an operation: what was asked, and what came of it. */
export function describe(op: Operation): string {
  const output = outputOf(op);
  if (output === null) return `${whoAndWhen(op)}: ${op.outcome === 'unknown' ? 'outcome unknown' : 'not applied'}`;
  return `${whoAndWhen(op)} ${returnedOf(op.input, output)}`;
}

function whatOf(input: Input): string {
  if (input.op === 'get') return input.keys.join(', ');
  if (input.op === 'put') return `${input.key} to ${quote(input.value)}`;
  if (input.op === 'append') return `${quote(input.value)} to ${input.key}`;
  if (input.op === 'increment') return `${input.key} by ${input.by}`;
  if (input.op === 'delete') return input.key;
  if (input.op === 'scan' || input.op === 'deleteRange') {
    const limit = input.limit === undefined ? '' : `, ${input.limit} at most`;
    return `[${input.first}, ${input.end})${limit}${input.reverse === true ? ', from the end' : ''}`;
  }
  const changes = changesOf(input).map((change) => {
    const key = keyOfChange(change);
    if ('put' in change) return `${key} to ${quote(change.value)}`;
    if ('append' in change) return `${key} + ${quote(change.value)}`;
    return 'delete' in change ? `no ${key}` : `${key} + ${change.by}`;
  });
  const when = input.when.map(conditionText).join(' and ');
  return `${changes.join(', ') || 'nothing'}${when === '' ? '' : ` when ${when}`}`;
}

function conditionText(condition: Condition): string {
  if ('exists' in condition) return `${condition.key} ${condition.exists ? 'exists' : 'is absent'}`;
  if ('value' in condition) return `${condition.key} is ${quote(condition.value)}`;
  return `${condition.key} has revision ${condition.revision}`;
}

function returnedOf(input: Input, output: Output): string {
  if (output.refused === true) return 'was refused';
  if (output.failed !== undefined) {
    return `failed, as ${output.failed.map((each) => `condition ${each.index} found ${seenText(each.current)}`).join(', ')}`;
  }
  const told: string[] = [];
  if (input.op === 'get') told.push((output.entries ?? []).map(seenText).join(', '));
  if (input.op === 'scan') {
    const entries = (output.entries ?? []).map((seen) => `${seen?.key ?? '?'}: ${seenText(seen)}`);
    told.push(`${entries.length} entries {${shortened(entries.join(', '))}}${output.more === true ? ' and more' : ''}`);
  }
  if (output.revision !== undefined) told.push(`revision ${output.revision}`);
  if (output.length !== undefined) told.push(`length ${output.length}`);
  if (output.value !== undefined) told.push(`value ${output.value}`);
  if (output.count !== undefined) told.push(`count ${output.count}`);
  if (output.previous !== undefined) told.push(`the entry before: ${seenText(output.previous)}`);
  return `returned ${told.join(', ') || 'nothing'}`;
}

/** `"b" (revision 17)`, `no entry`. */
export function seenText(seen: Seen | null): string {
  if (seen === null) return 'no entry';
  const value = seen.value === undefined ? 'an entry' : quote(seen.value);
  return seen.revision === undefined ? value : `${value} (revision ${seen.revision})`;
}

export function heldText(held: Held | null): string {
  if (held === null) return 'no entry';
  if (held.value.startsWith('\0')) return 'a value that nobody saw';
  return held.revision === 0 ? `${quote(held.value)} (a revision that nobody saw)` : seenText(held);
}

function quote(text: string): string {
  return JSON.stringify(shortened(text));
}

/** The end of a long value tells more than its beginning: appends add there. */
function shortened(text: string): string {
  return text.length <= TEXT_MAX ? text : `…${text.slice(-TEXT_MAX)}`;
}

/** The keys that an operation is about, those that its answer named too. */
function subjectsOf(op: Operation): Set<string> {
  return new Set([...keysOf(op.input), ...[...observationsOf(op)].map((each) => each.key)]);
}

/**
 * The operations that a reader needs to judge what is wrong with `op`: those that wrote what it saw, those that overlap it, and
 * the last ones on its keys before it; in the order of their calls, a dozen at most.
 */
export function aroundOf(op: Operation, history: History, open: readonly Operation[]): Operation[] {
  const subjects = subjectsOf(op);
  const values = new Set([...observationsOf(op)].flatMap(({ seen }) => seen?.value ?? []));
  const revisions = new Set([...observationsOf(op)].flatMap(({ seen }) => seen?.revision ?? []));
  const isAbout = (other: Operation): boolean => {
    const range = rangeOf(other.input);
    const own = rangeOf(op.input);
    if ([...subjectsOf(other)].some((key) => subjects.has(key) || (own !== null && isWithin(own, key)))) return true;
    return range !== null && [...subjects].some((key) => isWithin(range, key));
  };
  const wrote = (other: Operation): boolean => {
    if (revisions.has(outputOf(other)?.revision ?? 0)) return true;
    return changesOf(other.input).some((change) => {
      if (!('value' in change) || !subjects.has(keyOfChange(change))) return false;
      return [...values].some((value) => value === change.value || value.endsWith(change.value));
    });
  };
  const others = history.filter((other) => other !== op && isAbout(other));
  const weight = (other: Operation): number => {
    if (wrote(other)) return 0;
    if (open.includes(other)) return 1;
    if (other.call < op.return && other.return > op.call && other.return !== Number.POSITIVE_INFINITY) return 2;
    return other.return <= op.call ? 3 : 4;
  };
  const distance = (other: Operation): number =>
    Math.abs((Number.isFinite(other.return) ? other.return : other.call) - op.call);
  const sorted = others.map((other) => ({ other, weight: weight(other), distance: distance(other) }));
  sorted.sort((a, b) => a.weight - b.weight || a.distance - b.distance);
  const nearest = sorted.slice(0, AROUND_MAX - 1).map((each) => each.other);
  return [...nearest, op].sort((a, b) => a.call - b.call);
}
