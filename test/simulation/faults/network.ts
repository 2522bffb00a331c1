import { type Fault, pickImportant, pickRunning, type Stage, span } from './stage.js';

/** A cut that lasts so long breaks the connection, as its silence would. */
const SILENCE_MS = 2_000;

/** From one replica to another. */
export type Way = readonly [number, number];

export function cutWays(stage: Stage, ways: readonly Way[]): void {
  for (const [from, to] of ways) stage.cluster.hub.cut(from, to);
}

export function mendWays(stage: Stage, ways: readonly Way[]): void {
  for (const [from, to] of ways) stage.cluster.hub.mend(from, to);
}

function cutFor(stage: Stage, ways: readonly Way[], ms: number): void {
  const { hub } = stage.cluster;
  cutWays(stage, ways);
  if (ms > SILENCE_MS)
    stage.later(SILENCE_MS, () => {
      for (const [from, to] of ways) hub.sever(from, to);
    });
  stage.later(ms, () => mendWays(stage, ways));
}

export function others(stage: Stage, id: number): number[] {
  return stage.cluster.ids.filter((other) => other !== id);
}

/**
 * The network falls apart for clients as well: each finds itself on the side of these replicas, or on the other one. Or for none
 * of them, every other time.
 *
 * @returns what puts them together again
 */
export function splitClients(stage: Stage, here: readonly number[]): () => void {
  if (stage.chance.chance(0.5)) return () => undefined;
  const clientsHere = stage.chance.subset(stage.clientIds, 0.5);
  const clientsThere = stage.clientIds.filter((client) => !clientsHere.includes(client));
  for (const id of stage.cluster.ids) stage.clients.cut(id, here.includes(id) ? clientsThere : clientsHere);
  return () => {
    for (const id of stage.cluster.ids) stage.clients.mend(id);
  };
}

export const cut: Fault = (stage) => {
  const from = stage.chance.pick(stage.cluster.ids);
  const rest = others(stage, from);
  if (rest.length === 0) return null;
  const to = stage.chance.pick(rest);
  cutFor(stage, [[from, to]], span(stage));
  return `${from} does not reach ${to}`;
};

/** Both ways; or nothing reaches it; or it reaches nobody. */
export const isolate: Fault = (stage) => {
  const victim = pickImportant(stage);
  const rest = victim === null ? [] : others(stage, victim.id);
  if (victim === null || rest.length === 0) return null;
  const how = stage.chance.pick(['both', 'out', 'in']);
  const out = rest.map((id) => [victim.id, id] as const);
  const back = rest.map((id) => [id, victim.id] as const);
  cutFor(stage, how === 'both' ? [...out, ...back] : how === 'out' ? out : back, span(stage));
  return `${victim.id} is isolated, ${how}`;
};

export const halves: Fault = (stage) => {
  const ids = stage.chance.shuffled(stage.cluster.ids);
  if (ids.length < 2) return null;
  const here = ids.splice(0, 1 + stage.chance.below(ids.length - 1));
  const oneWay = stage.chance.chance(0.3);
  const ways = here.flatMap((a) =>
    ids.flatMap((b) => (oneWay ? [[a, b] as const] : [[a, b] as const, [b, a] as const])),
  );
  const ms = span(stage);
  cutFor(stage, ways, ms);
  stage.later(ms, splitClients(stage, here));
  return `${here} are cut off from ${ids}${oneWay ? ', one way' : ''}`;
};

export const clog: Fault = (stage) => {
  const from = stage.chance.pick(stage.cluster.ids);
  const rest = others(stage, from);
  if (rest.length === 0) return null;
  const to = stage.chance.pick(rest);
  const ms = stage.chance.exponential(stage.options.electionTimeoutMs);
  stage.weather.clog(from, to, ms);
  stage.later(span(stage), () => stage.weather.unclog(from, to));
  return `${from} to ${to} takes ${ms.toFixed(0)} ms more`;
};

export const reset: Fault = (stage) => {
  const victim = pickRunning(stage);
  const rest = victim === null ? [] : others(stage, victim.id);
  if (victim === null || rest.length === 0) return null;
  const other = stage.chance.pick(rest);
  victim.endpoint?.disconnect(other);
  return `the connection of ${victim.id} and ${other} breaks`;
};

export const clientCut: Fault = (stage) => {
  const victim = stage.chance.pick(stage.replicas);
  const clients = stage.chance.chance(0.5) ? stage.clientIds : stage.chance.subset(stage.clientIds, 0.5);
  stage.clients.cut(victim.id, clients);
  stage.later(span(stage), () => stage.clients.mend(victim.id));
  return `clients ${clients} do not reach ${victim.id}`;
};

export const clientReset: Fault = (stage) => {
  const client = stage.chance.pick(stage.clientIds);
  stage.clients.reset(client);
  return `the connections of client ${client} break`;
};
