// MIT 6.824, part 3A: clients of the key-value service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clerk } from './clerk.js';
import { type GenericOptions, generic } from './generic.js';
import { Lab } from './lab.js';
import { randomKeys } from './random-keys.js';
import { seededTest, seeds } from './seeds.js';
import { appendOneByOne } from './speed.js';

const EXACT = 'each append is there once and in order, each read exact';
const CASES: readonly (Omit<GenericOptions, 'seed'> & { readonly name: string })[] = [
  { name: 'Basic3A: one client', clients: 1, replicas: 5 },
  { name: 'Concurrent3A: five clients', clients: 5, replicas: 5 },
  { name: 'Unreliable3A: five clients, messages lost', clients: 5, replicas: 5, unreliable: true },
  { name: 'ManyPartitionsOneClient3A: one client, splits', clients: 1, replicas: 5, partitions: true },
  { name: 'ManyPartitionsManyClients3A: five clients, splits', clients: 5, replicas: 5, partitions: true },
  { name: 'PersistOneClient3A: one client, power failures of all', clients: 1, replicas: 5, crash: true },
  { name: 'PersistConcurrent3A: five clients, power failures of all', clients: 5, replicas: 5, crash: true },
  {
    name: 'PersistConcurrentUnreliable3A: five clients, messages lost, power failures of all',
    ...{ clients: 5, replicas: 5, unreliable: true, crash: true },
  },
  {
    name: 'PersistPartition3A: five clients, splits, power failures of all',
    ...{ clients: 5, replicas: 5, partitions: true, crash: true },
  },
  {
    name: 'PersistPartitionUnreliable3A: five clients, messages lost, splits, power failures of all',
    ...{ clients: 5, replicas: 5, unreliable: true, partitions: true, crash: true },
  },
];

for (const [i, { name, ...options }] of CASES.entries()) {
  for (const seed of seeds(3101 + i)) {
    seededTest(`${name}: ${EXACT}`, seed, import.meta.url, () => generic({ seed, ...options }));
  }
}

for (const seed of seeds(3201)) {
  const title =
    'PersistPartitionUnreliableLinearizable3A: fifteen clients, random keys, seven replicas, every fault: linearizable';
  seededTest(title, seed, import.meta.url, () =>
    randomKeys({ seed, clients: 15, replicas: 7, unreliable: true, crash: true, partitions: true }),
  );
}

test('Speed3A: 1000 appends, one after the other, take less than 5 ms each: none waits for a tick', async () => {
  await appendOneByOne(3001);
});

for (const seed of seeds(3011, 3012, 3013)) {
  seededTest(
    `UnreliableOneKey3A: five clients append to one key, messages lost: all there, once, each client's in order`,
    seed,
    import.meta.url,
    async () => {
      await using lab = await Lab.open({ seed, replicas: 3 });
      lab.unreliable = true;
      new Clerk(lab).call({ op: 'put', key: 'k', value: '' });
      let working = 5;
      for (let client = 0; client < 5; client++) {
        const clerk = new Clerk(lab);
        const turn = (n: number): void => {
          if (n === 10) working--;
          else clerk.begin({ op: 'append', key: 'k', value: `x ${client} ${n} y` }, () => turn(n + 1));
        };
        turn(0);
      }
      lab.until(() => working === 0, 'all to be done', 60_000);
      const marks = new Clerk(lab).call({ op: 'get', key: 'k' }).match(/x \d+ \d+ y/g) ?? [];
      for (let client = 0; client < 5; client++) {
        const own = marks.filter((mark) => mark.startsWith(`x ${client} `));
        assert.deepEqual(own, Array.from({ length: 10 }, (_, n) => `x ${client} ${n} y`)); // biome-ignore format: one line
      }
      assert.equal(marks.length, 50);
    },
  );
}

test('OnePartition3A: the majority goes on, neither write nor read is answered in the minority, both are after the split', async () => {
  await using lab = await Lab.open({ seed: 3021, replicas: 5 });
  new Clerk(lab).call({ op: 'put', key: '1', value: '13' });
  const leader = lab.leader();
  const minority = [lab.next(leader), leader];
  const majority = lab.ids.filter((id) => !minority.includes(id));
  lab.partition(majority, minority);
  const [inside, outside, reader] = [majority, minority, minority].map((servers) => new Clerk(lab, servers)) as [
    Clerk,
    Clerk,
    Clerk,
  ];
  inside.call({ op: 'put', key: '1', value: '14' });
  assert.equal(inside.call({ op: 'get', key: '1' }), '14');

  let [written, read]: [boolean, string | null] = [false, null];
  outside.begin({ op: 'put', key: '1', value: '15' }, () => {
    written = true;
  });
  reader.begin({ op: 'get', key: '1' }, (value) => {
    read = value;
  });
  lab.run(1_000);
  assert.deepEqual([written, read], [false, null], 'answered in the minority');
  inside.call({ op: 'put', key: '1', value: '16' });
  assert.equal(inside.call({ op: 'get', key: '1' }), '16');
  assert.deepEqual([written, read], [false, null], 'answered in the minority');

  lab.connect(...lab.ids);
  lab.run(1_000);
  lab.until(() => written && read !== null, 'both to be answered', 3_000);
  assert.ok(read === '15' || read === '16', `${read}`);
  assert.equal(inside.call({ op: 'get', key: '1' }), '15');
  lab.verify();
});

test('a leader that stood still while another was elected answers no read with what it held before', async () => {
  await using lab = await Lab.open({ seed: 3031, replicas: 3 });
  const clerk = new Clerk(lab);
  clerk.call({ op: 'put', key: '1', value: 'before' });
  const old = lab.leader();
  const rest = lab.ids.filter((id) => id !== old);
  const { clock } = lab.sim.process(old);
  lab.partition([old], rest); // what comes in the meantime is lost
  clock?.pause();
  lab.until(() => rest.some((id) => lab.leads(id)), 'another leader');
  new Clerk(lab, rest).call({ op: 'put', key: '1', value: 'after' });
  let answer: string | null = null;
  new Clerk(lab, [old]).begin({ op: 'get', key: '1' }, (value) => {
    answer = value;
  });
  lab.run(0.2); // it has arrived
  assert.ok(lab.leads(old), 'it has heard of nothing');
  lab.connect(old);
  clock?.resume();
  lab.until(() => answer !== null, 'an answer');
  assert.equal(answer, 'after');
});

test('a read that a follower forwards to a leader which was deposed without knowing is not answered with what was before', async () => {
  await using lab = await Lab.open({ seed: 3032, replicas: 5 });
  new Clerk(lab).call({ op: 'put', key: '1', value: 'before' });
  const old = lab.leader();
  const follower = lab.next(old);
  const rest = lab.ids.filter((id) => id !== old && id !== follower);
  lab.run(500); // the follower has heard of the write
  lab.partition([old, follower], rest);
  for (const id of [old, follower]) lab.sim.process(id).clock?.pause();
  lab.until(() => rest.some((id) => lab.leads(id)), 'another leader');
  new Clerk(lab, rest).call({ op: 'put', key: '1', value: 'after' });
  for (const id of [old, follower]) lab.sim.process(id).clock?.resume();
  const before = lab.sim.node(follower).metrics().forwarded;
  let answer: string | null = null;
  new Clerk(lab, [follower]).begin({ op: 'get', key: '1' }, (value) => {
    answer = value;
  });
  lab.until(() => lab.sim.node(follower).metrics().forwarded > before, 'the read to be forwarded');
  assert.ok(lab.leads(old), 'it takes itself for the leader');
  lab.run(400);
  assert.equal(answer, null);
  lab.connect(...lab.ids);
  lab.until(() => answer !== null, 'an answer');
  assert.equal(answer, 'after');
});
