import { EraftError } from '../../../ts/base/errors.js';
import type { RaftNode } from '../../../ts/raft/index.js';
import type { Replica } from '../replica.js';
import { type Fault, pickImportant, pickRunning, span } from './stage.js';

/** One; now and then several at once, or all; and now and then once more, when they have hardly begun again. */
export const crash: Fault = (stage) => {
  const first = pickImportant(stage);
  if (first === null) return null;
  const c = stage.chance;
  const all = stage.replicas.filter((replica) => replica.running);
  const more = c.chance(0.8) ? [] : c.chance(0.5) ? all : c.subset(all, 0.5);
  const victims = [...new Set([first, ...more])];
  const how = c.chance(0.8) ? 'power' : 'process';
  const again = c.chance(0.3);
  for (const victim of victims) {
    const ms = span(stage);
    stage.fell(victim, how, ms);
    if (again)
      stage.later(ms + c.exponential(5 * stage.options.diskMs), () => stage.fell(victim, 'power', span(stage)));
  }
  return `${victims.map(({ id }) => id)} crash, ${how}${again ? ', and again while they start' : ''}`;
};

/**
 * One is away, while the others are started anew, as in an upgrade, go on, make snapshots and cut their logs: these begin behind
 * what the one that was away needs next.
 */
export const outrun: Fault = (stage) => {
  const { chance, options } = stage;
  const victim = pickRunning(stage);
  if (victim === null || stage.replicas.length < 3) return null;
  const rest = stage.replicas.filter((replica) => replica !== victim);
  const away = options.electionTimeoutMs * chance.between(6, 12);
  stage.fell(victim, 'power', away);
  for (const replica of rest) {
    const gone = away * chance.between(0.1, 0.2);
    stage.later(gone, () => stage.fell(replica, 'process', chance.exponential(options.electionTimeoutMs * 0.1)));
    for (const share of [0.6, 0.8, 1]) stage.later(away * share, () => compact(replica));
  }
  return `${victim.id} is away for ${away.toFixed(0)} ms, and the others go on without it, started anew`;
};

/** As `eraft snapshot` asks it to. */
function compact(replica: Replica): void {
  if (!replica.running) return;
  replica.node?.service.snapshots.compact().catch((error: unknown) => {
    if (!EraftError.is(error)) throw error;
  });
}

const AMBUSH_MS = 2_000;

/** Waits for a replica that is in the middle of something that takes its disk several steps: there its power fails. */
export const ambush: Fault = (stage) => {
  const { diskMs } = stage.options;
  const end = stage.now() + AMBUSH_MS;
  const look = (): void => {
    const victim = stage.replicas.find(({ running, raft }) => running && isBusy(raft));
    if (victim !== undefined) {
      stage.later(stage.chance.exponential(3 * diskMs), () => stage.fell(victim, 'power', span(stage)));
    } else if (stage.now() < end) stage.later(2 * diskMs + 0.5, look);
  };
  look();
  return 'the power fails for whoever installs a snapshot or stands for election next';
};

function isBusy(raft: RaftNode | null): boolean {
  return raft !== null && (raft.installing || raft.role === 'candidate');
}

export const pause: Fault = (stage) => {
  const victim = pickImportant(stage);
  if (victim?.clock == null || victim.clock.paused) return null;
  const { clock } = victim;
  const ms = span(stage);
  clock.pause();
  stage.later(ms, () => {
    if (victim.clock === clock) victim.resume();
  });
  return `${victim.id} stands still for ${ms.toFixed(0)} ms`;
};

export const jump: Fault = (stage) => {
  const victim = pickRunning(stage);
  const ms = stage.chance.exponential(stage.options.electionTimeoutMs * 3);
  victim?.clock?.jump(ms);
  return victim === null ? null : `the clock of ${victim.id} jumps by ${ms.toFixed(0)} ms`;
};
