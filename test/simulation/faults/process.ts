import { type Fault, pickImportant, pickRunning, span } from './stage.js';

/** One; now and then several at once, or all. */
export const crash: Fault = (stage) => {
  const first = pickImportant(stage);
  if (first === null) return null;
  const c = stage.chance;
  const all = stage.replicas.filter((replica) => replica.running);
  const more = c.chance(0.8) ? [] : c.chance(0.5) ? all : c.subset(all, 0.5);
  const victims = [...new Set([first, ...more])];
  const how = c.chance(0.8) ? 'power' : 'process';
  for (const victim of victims) stage.fell(victim, how, span(stage));
  return `${victims.map(({ id }) => id)} crash, ${how}`;
};

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
