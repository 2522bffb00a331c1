// The types are part of the interface: this file has to compile, and its @ts-expect-error lines must be errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client, Condition, Decision, Entry, KeyValue, Operation, Written } from '../../ts/client.js';

type Raw = Uint8Array<ArrayBuffer>;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

function same<A, B>(_: Same<A, B>): void {}

/** Never called. */
export async function uses(kv: KeyValue, client: Client): Promise<void> {
  const bytes = await kv.get('k');
  same<typeof bytes, Raw | undefined>(true);
  const text = kv.as('utf8', 'utf8');
  const value = await text.get(new Uint8Array(1));
  same<typeof value, string | undefined>(true);
  const mixed = kv.as('utf8', 'bytes');
  const entry = await mixed.getEntry('k');
  same<typeof entry, Entry<string, Raw> | undefined>(true);
  const many = await text.getMany(['a', new Uint8Array(1)]);
  same<typeof many, (Entry<string, string> | undefined)[]>(true);
  const written = await text.put('k', 'v', { previous: true, timeoutMs: 5, signal: undefined });
  same<typeof written, Written<Entry<string, string>>>(true);
  const decision: Decision<Entry<string, string>> = await text.compareAndSwap({ key: 'k', revision: 0 }, 'v');
  if (decision.ok) same<typeof decision.revision, number>(true);
  else same<(typeof decision.failed)[number]['current'], Entry<string, string> | undefined>(true);
  for await (const e of text.scan({ prefix: 'a', snapshot: true })) same<typeof e, Entry<string, string>>(true);
  for await (const page of text.scan().pages()) same<typeof page, readonly Entry<string, string>[]>(true);
  const ops: Operation[] = [
    { put: 'k', value: 'v' },
    { append: 'k', value: 'v' },
    { delete: 'k' },
    { increment: 'k', by: 1 },
  ];
  const when: Condition[] = [
    { key: 'k', exists: true },
    { key: 'k', value: 'v' },
    { key: 'k', revision: 1 },
  ];
  await kv.transact(ops, { when });
  const count: number = (await kv.deleteRange({ gte: 'a', lt: 'b', limit: 5, reverse: true })).count;
  client
    .on('leader', (leader) => same<typeof leader, { readonly id: number; readonly address: string }>(true))
    .off('state', () => count);
  const anywhere: KeyValue = client;
  await using _closed: KeyValue<string, string> = anywhere.as('utf8', 'utf8');

  // @ts-expect-error keys are text or bytes
  await kv.get(5);
  // @ts-expect-error a value is needed
  await kv.put('k');
  // @ts-expect-error there is no such consistency
  await kv.get('k', { consistency: 'eventual' });
  // @ts-expect-error a condition tests something
  await kv.compareAndSwap({ key: 'k' }, 'v');
  // @ts-expect-error an increment says by how much
  await kv.transact([{ increment: 'k' }]);
  // @ts-expect-error deleteRange has no pages
  await kv.deleteRange({ pageBytes: 1 });
  // @ts-expect-error there is no such encoding
  kv.as('latin1', 'utf8');
  // @ts-expect-error there is no event 'error'
  client.on('error', () => undefined);
  // @ts-expect-error entries are for reading
  if (entry) entry.revision = 5;
}

test('the types compile', () => {
  assert.equal(typeof uses, 'function');
});
