// What is done to leaders as such: most of what a protocol can get wrong, it gets wrong when one follows another.
import type { Replica } from '../replica.js';
import { cutWays, mendWays, others, splitClients, type Way } from './network.js';
import { type Fault, type Stage, span } from './stage.js';

/** Election timeouts without a leader after which the one that was to be overthrown next is not waited for any more. */
const ELECTIONS_AWAITED = 10;
const LOOK_MS = 1;
const ROUNDS_MAX = 5;

function bothWays(stage: Stage, id: number): Way[] {
  return others(stage, id).flatMap((other) => [[id, other] as const, [other, id] as const]);
}

/** Who leads the newest term, followed by others or not. */
function newestLeader(stage: Stage): Replica | null {
  let newest: Replica | null = null;
  for (const replica of stage.replicas) {
    if (!replica.running || replica.raft?.role !== 'leader') continue;
    if ((newest?.raft?.term ?? 0) < replica.raft.term) newest = replica;
  }
  return newest;
}

/**
 * One leader after the other is cut off with some of the clients, at once or soon after it was elected, and comes back when the
 * next one goes: each has entries that nobody else has, and logs part and meet again (Raft's figure 8).
 */
export const overthrow: Fault = (stage) => {
  const first = newestLeader(stage);
  if (first === null || stage.replicas.length < 2) return null;
  const { chance, options } = stage;
  const rounds = 2 + chance.below(ROUNDS_MAX - 1);
  next(stage, { rounds, until: deadline(stage), after: 0, mend: () => undefined });
  return `${rounds} leaders are overthrown, ${first.id} first (elections take ${options.electionTimeoutMs} ms)`;
};

interface Revolution {
  readonly rounds: number;
  /** How long the next leader is waited for; ms of virtual time. */
  readonly until: number;
  /** The term of the last one. */
  readonly after: number;
  /** Lets the last one come back. */
  readonly mend: () => void;
}

function next(stage: Stage, revolution: Revolution): void {
  const { chance, options } = stage;
  const { rounds, until, after, mend } = revolution;
  const leader = newestLeader(stage);
  const term = leader?.raft?.term ?? 0;
  if (rounds === 0 || stage.now() > until) mend();
  else if (leader === null || term <= after) {
    // Looked for so often that one can be met before anybody has heard of it.
    stage.later(LOOK_MS + options.latencyMs, () => next(stage, revolution));
  } else {
    const reign = options.electionTimeoutMs * chance.pick([0, 0, 0.1, 0.5, 1.5]) * chance.next();
    stage.later(reign, () => depose(stage, leader, term, revolution));
  }
}

function depose(stage: Stage, leader: Replica, term: number, { rounds, mend }: Revolution): void {
  const { chance } = stage;
  const ways = bothWays(stage, leader.id);
  mend();
  cutWays(stage, ways);
  const clients = splitClients(stage, [leader.id]);
  if (chance.chance(0.2)) stage.fell(leader, 'power', span(stage));
  const back = (): void => {
    mendWays(stage, ways);
    clients();
    if (chance.chance(0.5)) slow(stage, leader);
  };
  next(stage, { rounds: rounds - 1, until: deadline(stage), after: term, mend: back });
}

function deadline(stage: Stage): number {
  return stage.now() + ELECTIONS_AWAITED * stage.options.electionTimeoutMs;
}

/** Comes back with much to do. */
function slow(stage: Stage, replica: Replica): void {
  replica.slowness = stage.chance.pick([5, 20, 100]);
  stage.later(span(stage), () => {
    replica.slowness = 1;
  });
}

/** What is told to the leader arrives late, perhaps after others have elected another one; then nobody hears it any more. */
export const strand: Fault = (stage) => {
  const leader = newestLeader(stage);
  if (leader === null || stage.replicas.length < 2) return null;
  const { chance, options } = stage;
  const rest = others(stage, leader.id);
  const late = options.electionTimeoutMs * chance.between(0.5, 2.5);
  const away = options.electionTimeoutMs * chance.between(1, 4);
  for (const other of rest) stage.weather.clog(other, leader.id, late);
  const ways = rest.map((other) => [leader.id, other] as const);
  const clients = splitClients(stage, [leader.id]);
  stage.later(options.heartbeatIntervalMs * chance.next(), () => cutWays(stage, ways));
  stage.later(away, () => {
    for (const other of rest) stage.weather.unclog(other, leader.id);
    mendWays(stage, ways);
    clients();
  });
  return `${leader.id} hears all ${late.toFixed(0)} ms late, and is not heard`;
};
