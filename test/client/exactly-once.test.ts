// Exactly once, whatever the network does: random faults between the pipeline and a model of the log.
//
// Copies are lost, answered and the answer lost, kept back and delivered long after, even after the link they were sent on is
// gone; refused for certain, refused in doubt; sessions are forgotten; calls time out and are aborted. In the end every copy
// that was not delivered yet is. Then: fulfilled means applied once, with that revision; `not-applied` means never;
// `unknown` means at most once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import type { Written } from '../../ts/client/key-value.js';
import { bench, type Watched, watch } from './fake-link.js';

const SEEDS =
  process.env.ERAFT_SEED === undefined ? Array.from({ length: 60 }, (_, i) => i + 1) : [Number(process.env.ERAFT_SEED)];

const CERTAIN = [
  'ERAFT_NOT_LEADER',
  'ERAFT_UNAVAILABLE',
  'ERAFT_OVERLOADED',
  'ERAFT_DISK_FULL',
  'ERAFT_BAD_REQUEST',
] as const;
const DOUBTFUL = ['ERAFT_OUTCOME_UNKNOWN', 'ERAFT_TIMEOUT'] as const;

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Made {
  readonly key: string;
  readonly call: Watched<Written<unknown>>;
}

async function run(seed: number): Promise<void> {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const { kv, model, link, clock } = bench({ random });
  const forgetful = random() < 0.3;
  const trouble = random() * 0.5;
  const late: Buffer[] = [];
  const made: Made[] = [];
  link.fate = (frame) => {
    if (random() >= trouble) return 'answer';
    switch (below(6)) {
      case 0:
        return 'lose answer';
      case 1:
      case 2:
        late.push(frame);
        return 'lose';
      case 3:
        late.push(frame);
        return new EraftError(pick(DOUBTFUL), 'in doubt');
      default:
        return new EraftError(pick(CERTAIN), 'certainly not');
    }
  };
  for (let step = 0; step < 150; step++) {
    for (let n = below(4); n > 0; n--) {
      const key = `k${made.length}`;
      const controller = random() < 0.1 ? new AbortController() : undefined;
      const o = { timeoutMs: 1 + below(400), signal: controller?.signal, previous: random() < 0.3 };
      made.push({ key, call: watch(kv.put(key, 'v', o)) });
      if (controller !== undefined) clock.after(below(200), () => controller.abort());
    }
    if (random() < 0.3 && late.length > 0) model.handle(late.splice(below(late.length), 1)[0] ?? Buffer.alloc(0));
    if (random() < 0.05 && link.isUp) link.down(new EraftError('ERAFT_UNAVAILABLE', 'cut'));
    if (random() < 0.3 && !link.isUp) link.up();
    if (forgetful && random() < 0.03) model.sessions.delete(pick([...model.sessions.keys()]) ?? 0);
    await (random() < 0.5 ? clock.endTurn() : clock.pass(below(30)));
  }
  link.fate = () => 'answer';
  if (link.isUp) link.down(new EraftError('ERAFT_UNAVAILABLE', 'cut'));
  link.up();
  const last = watch(kv.put('last', ''));
  await clock.pass(10_000);
  for (const copy of late) model.handle(copy);
  assert.equal(last.state, 'fulfilled', 'a healed network serves again');
  check(made, model.applied);
  assert.equal(clock.alarms, 0);
}

function check(made: readonly Made[], applied: readonly { readonly key: string; readonly revision: number }[]): void {
  const times = new Map<string, number[]>();
  for (const { key, revision } of applied) times.set(key, [...(times.get(key) ?? []), revision]);
  for (const { key, call } of made) {
    const revisions = times.get(key) ?? [];
    assert.ok(revisions.length <= 1, `${key} was applied ${revisions.length} times`);
    if (call.state === 'fulfilled') assert.deepEqual([call.value?.revision], revisions, `${key} was acknowledged`);
    else {
      assert.equal(call.state, 'rejected', `${key} is pending for ever`);
      assert.ok(EraftError.is(call.error), String(call.error));
      if (call.error.outcome === 'not-applied') assert.deepEqual(revisions, [], `${key}: ${call.error.message}`);
      else assert.equal(call.error.outcome, 'unknown');
    }
  }
}

for (const seed of SEEDS) {
  test(`every write is applied as its caller was told, seed ${seed}`, async () => {
    try {
      await run(seed);
    } catch (cause) {
      throw new Error(`replay: ERAFT_SEED=${seed} node --test build/test/client/exactly-once.test.js`, { cause });
    }
  });
}
