import { type Fault, pickImportant, type Stage, span } from './stage.js';

/** A write into the store is tried again some times: fewer refusals than that pass unseen, more end the replica. */
const REFUSALS = [1, 3, 1_000] as const;

function refuse(stage: Stage, writes: number, flushes: number): string | null {
  const victim = pickImportant(stage);
  if (victim === null) return null;
  const { memory } = victim;
  stage.expectFailure(victim, 'store');
  victim.failStore(writes, flushes);
  stage.later(span(stage), () => {
    if (victim.memory === memory) victim.failStore(0, 0);
  });
  return `the store of ${victim.id} refuses ${writes} writes and ${flushes} flushes`;
}

export const failedStoreWrite: Fault = (stage) => refuse(stage, stage.chance.pick(REFUSALS), 0);
export const failedFlush: Fault = (stage) => refuse(stage, 0, 1);
