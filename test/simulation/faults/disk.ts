import type { DiskFault } from '../../../ts/storage/index.js';
import type { Replica } from '../replica.js';
import { type Fault, pickImportant, pickRunning, type Stage, span } from './stage.js';

/** Operations of a disk among which one meets a fault: a frame takes two, a new segment some dozens. */
const OPERATIONS = 60;
/** A full disk is felt only when the log needs its next file. */
const FULL_TIMES = 5;

/** One; or several that have it from the same place, often all but the leader's. */
function pickDisks(stage: Stage): readonly Replica[] {
  const { chance, replicas } = stage;
  const one = pickImportant(stage);
  if (one === null || chance.chance(0.6)) return one === null ? [] : [one];
  const leader = stage.cluster.leader();
  return chance.chance(0.5) ? replicas.filter(({ id }) => id !== leader) : chance.subset(replicas, 0.7);
}

function idsOf(replicas: readonly Replica[]): string {
  return replicas.map(({ id }) => id).join(', ');
}

export const slowDisk: Fault = (stage) => {
  const victims = pickDisks(stage);
  if (victims.length === 0) return null;
  const slowness = stage.chance.pick([5, 20, 100]);
  for (const victim of victims) victim.slowness = slowness;
  stage.later(span(stage), () => {
    for (const victim of victims) victim.slowness = 1;
  });
  return `the disk of ${idsOf(victims)} takes ${slowness} times as long`;
};

export const hungDisk: Fault = (stage) => {
  const victims = pickDisks(stage);
  if (victims.length === 0) return null;
  const ms = span(stage);
  for (const victim of victims) victim.stalled = true;
  stage.later(ms, () => {
    for (const victim of victims) victim.stalled = false;
  });
  return `the disk of ${idsOf(victims)} hangs for ${ms.toFixed(0)} ms`;
};

function faultAt(stage: Stage, fault: DiskFault): string | null {
  const victim = pickRunning(stage);
  if (victim?.storage == null) return null;
  const n = 1 + stage.chance.below(OPERATIONS);
  stage.expectFailure(victim, fault);
  victim.storage.failOperation(n, fault);
  return `operation ${n} of the disk of ${victim.id}: ${fault}`;
}

export const failedWrite: Fault = (stage) => faultAt(stage, 'error');
export const shortWrite: Fault = (stage) => faultAt(stage, 'short');

/** No file grows any more; or one operation finds no space. */
export const fullDisk: Fault = (stage) => {
  const victim = pickImportant(stage);
  if (victim === null) return null;
  if (stage.chance.chance(0.2)) return faultAt(stage, 'full');
  const ms = FULL_TIMES * span(stage);
  stage.expectFailure(victim, 'full');
  victim.limit(1);
  stage.later(ms, () => victim.limit(-1));
  return `the disk of ${victim.id} is full for ${ms.toFixed(0)} ms`;
};

export const powerLoss: Fault = (stage) => faultAt(stage, 'power-loss');

function pickToLose(stage: Stage): Replica | null {
  const sound = stage.replicas.filter((replica) => stage.atlas.mayLose(replica));
  if (sound.length === 0 || stage.chance.chance(0.7)) return null;
  const victim = stage.chance.pick(sound);
  stage.atlas.lose(victim);
  return victim;
}

/** Its disk comes back with other bits in what it had acknowledged: it must notice. */
export const bitRot: Fault = (stage) => {
  const victim = pickToLose(stage);
  if (victim === null) return null;
  const seed = stage.chance.seed();
  stage.fell(victim, 'power', span(stage));
  stage.task(async () => {
    if (victim.rot(seed) === '') stage.atlas.regain(victim);
  });
  return `the log of ${victim.id} rots`;
};

/** Its machine comes back with another disk: it has forgotten what it promised, and must never promise anything again. */
export const emptiedDisk: Fault = (stage) => {
  const victim = pickToLose(stage);
  if (victim === null) return null;
  stage.fell(victim, 'power', span(stage));
  victim.wipe();
  return `the disk of ${victim.id} is another one, and empty`;
};
