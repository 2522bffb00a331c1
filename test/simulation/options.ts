// Everything about a run that chance decides beforehand, drawn from its seed alone. Printed before the run; each can be given
// instead, to find out what a failure needs.
import { KiB, LIMITS, MiB } from '../../ts/base/limits.js';
import { Chance } from './chance.js';
import { FAULTS, type FaultName } from './faults/names.js';

export interface RunOptions {
  readonly seed: number;
  readonly replicas: number;
  /** What may go wrong in this run: a part of all faults, so that each also happens without the others. */
  readonly faults: readonly FaultName[];
  /** How long things go wrong, and the mean time between two faults; ms of virtual time. */
  readonly safetyMs: number;
  readonly faultEveryMs: number;
  /** false: in the end only a majority is mended, and the others stay as they are. */
  readonly healAll: boolean;

  readonly clients: number;
  /** Calls that each client has under way at once. */
  readonly lanes: number;
  readonly keys: number;
  readonly thinkMs: number;
  readonly timeoutMs: number;
  readonly valueBytes: number;
  /** Of 1: how many operations only read. */
  readonly reads: number;

  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  readonly clientLatencyMs: number;
  /** How much clocks may differ in speed, of 1. */
  readonly drift: number;
  readonly diskMs: number;

  readonly segmentBytes: number;
  readonly tailBytes: number;
  readonly frameBytesMax: number;
  readonly queueBytesMax: number;
  readonly flushLogBytes: number;
  readonly inlineBytesMax: number;
  readonly resultsBytesMax: number;
  readonly viewsMax: number;
  readonly viewIdleMs: number;

  /** Of the cluster: the least recently used one gives way. 2 and more, or nobody would get anywhere. */
  readonly sessionsMax: number;
  /** Logs are cut by whole segments: much less than one of them means a cut with each. */
  readonly maxLogBytes: number;
  readonly maxLogEntries: number;
  readonly trailingLogBytes: number;
  readonly snapshotBytesPerSecondMax: number;
  readonly snapshotStreamsMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly appendBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly applyLagBytesMax: number;
  readonly applyIdleMs: number;
  readonly proposalFramesMax: number;
  readonly readFramesMax: number;
  readonly waitingFramesMax: number;
  readonly forwardFramesMax: number;
  readonly inflightBatchesMax: number;
  readonly clientQueueCommandsMax: number;
}

export function drawOptions(seed: number): RunOptions {
  const c = new Chance(seed, 'options');
  const heartbeatIntervalMs = c.pick([20, 50, 100]);
  return {
    seed,
    replicas: c.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7]),
    faults: drawFaults(c),
    safetyMs: Math.round(c.between(14_000, 30_000)),
    faultEveryMs: Math.round(c.between(250, 1_200)),
    healAll: c.chance(0.7),
    ...drawClients(c),
    heartbeatIntervalMs,
    electionTimeoutMs: heartbeatIntervalMs * c.pick([5, 8, 10]),
    ...drawNetwork(c),
    ...drawStorage(c),
    ...drawLimits(c),
  };
}

/** One run in ten has them all, one in twenty none; else each with a chance of its own for the run. */
function drawFaults(c: Chance): FaultName[] {
  const style = c.next();
  if (style < 0.05) return [];
  if (style < 0.15) return [...FAULTS];
  return c.subset(FAULTS, c.between(0.2, 0.7));
}

function drawClients(c: Chance) {
  const clients = c.pick([2, 3, 4, 5]);
  const lanes = c.pick([1, 2, 3]);
  const callsPerSecond = c.between(70, 160); // of all together, when nothing is wrong: the runs are to cost about the same
  return {
    clients,
    lanes,
    keys: c.pick([3, 4, 6, 10]),
    thinkMs: Math.round((1_000 * clients * lanes) / callsPerSecond),
    timeoutMs: c.pick([1_000, 2_000, 5_000, 10_000]),
    valueBytes: c.pick([8, 8, 100, 1_000]),
    reads: c.pick([0.2, 0.5, 0.7]),
  };
}

function drawNetwork(c: Chance) {
  return {
    latencyMs: c.pick([0.1, 0.5, 2, 5]),
    jitterMs: c.pick([0, 1, 3, 10]),
    loss: c.chance(0.5) ? 0 : c.between(0, 0.1),
    duplication: c.chance(0.5) ? 0 : c.between(0, 0.1),
    reordering: c.chance(0.5) ? 0 : c.between(0, 0.2),
    clientLatencyMs: c.pick([0.1, 1, 5]),
    drift: c.pick([0, 0, 0.001, 0.05, 0.3]),
    diskMs: c.pick([0.1, 0.5, 2, 5]),
  };
}

/** A record may take half a segment; no turn of so few clients gathers as much as the smallest one takes: 15 calls of 3 KB. */
function drawStorage(c: Chance) {
  const small = c.chance(0.7);
  const or = <T>(least: readonly T[], usual: T): T => (small && c.chance(0.5) ? c.pick(least) : usual);
  return {
    segmentBytes: c.pick([128 * KiB, 128 * KiB, 256 * KiB, 1 * MiB]),
    tailBytes: or([1, 4 * KiB, 32 * KiB], 1 * MiB),
    frameBytesMax: or([1, 1 * KiB, 8 * KiB], 1 * MiB),
    queueBytesMax: or([128 * KiB], 16 * MiB),
    flushLogBytes: or([4 * KiB, 32 * KiB], 256 * KiB), // what is written over it stands in memory, where all of it is passed
    inlineBytesMax: or([0, 512], 64 * KiB),
    resultsBytesMax: or([1, 1 * KiB], 16 * MiB),
    viewsMax: or([1, 2], 64),
    viewIdleMs: or([200], 30_000),
  };
}

function drawLimits(c: Chance) {
  const small = c.chance(0.7);
  const or = <T>(least: readonly T[], usual: T): T => (small && c.chance(0.4) ? c.pick(least) : usual);
  return {
    sessionsMax: or([3, 6], LIMITS.sessionsMax),
    maxLogBytes: c.chance(0.3) ? 1 : or([64 * KiB, 512 * KiB, -1], 512 * MiB),
    maxLogEntries: or([1, 100, 1_000], -1),
    trailingLogBytes: c.chance(0.5) ? 1 : or([32 * KiB, 256 * KiB], 64 * MiB),
    snapshotBytesPerSecondMax: or([64 * KiB, 512 * KiB], 64 * MiB),
    snapshotStreamsMax: or([1], 2),
    inflightMessagesMax: or([1, 2, 8], 256),
    inflightBytesMax: or([1, 2 * KiB], 32 * MiB),
    appendBytesMax: or([1, 500, 4 * KiB], 1 * MiB),
    uncommittedBytesMax: or([1, 2 * KiB, 16 * KiB], 64 * MiB),
    applyLagBytesMax: or([1, 2 * KiB], 4 * MiB),
    applyIdleMs: or([1, 500], 50),
    proposalFramesMax: or([1, 4], 65_536),
    readFramesMax: or([1, 4], 65_536),
    waitingFramesMax: or([1, 4], 16_384),
    forwardFramesMax: or([1, 4], 65_536),
    inflightBatchesMax: or([1, 2], 256),
    clientQueueCommandsMax: or([2, 8], 131_072),
  };
}

/** Reads `name=value`; a list is separated by commas. @throws Error when there is no such option, or the value is of another kind */
export function override(options: RunOptions, settings: readonly string[]): RunOptions {
  const result: Record<string, unknown> = { ...options };
  for (const setting of settings) {
    const [name = '', value = ''] = setting.split('=', 2);
    const before = result[name];
    if (Array.isArray(before)) result[name] = value === '' ? [] : value.split(',');
    else if (typeof before === 'boolean') result[name] = value === 'true';
    else if (typeof before === 'number' && value !== '' && !Number.isNaN(Number(value))) result[name] = Number(value);
    else throw new Error(`'${setting}' is none of ${Object.keys(options).join(', ')}`);
  }
  const unknown = (result.faults as string[]).filter((name) => !FAULTS.includes(name as FaultName));
  if (unknown.length > 0) throw new Error(`no faults: ${unknown.join(', ')}; there are ${FAULTS.join(', ')}`);
  return result as unknown as RunOptions;
}

export function describeOptions(options: RunOptions): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? +value.toPrecision(4) : value}`)
    .join(' ');
}

/** What reproduces `options` when its seed alone does not. */
export function settingsOf(options: RunOptions): string[] {
  const drawn = drawOptions(options.seed);
  return Object.entries(options)
    .filter(([name, value]) => String(value) !== String(drawn[name as keyof RunOptions]))
    .map(([name, value]) => `${name}=${value}`);
}
