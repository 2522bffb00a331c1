// A client of another process, over the wire, on both fronts: the interface that a store in one's own process has.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client } from '../../ts/client.js';
import { Server } from '../../ts/server/server.js';
import { TEST_MS, withFolder } from '../embed/folder.js';
import { FRONTS, http } from './fronts.js';
import { serve, stop, withServed } from './served.js';

for (const kind of FRONTS) {
  describe(`client over ${kind}`, { timeout: TEST_MS }, () => {
    test('reads and writes, thousands in one turn, and what HTTP sees is the same', () =>
      withServed(kind, async ({ server }) => {
        await using client = await Client.connect(server.address);
        const kv = client.as('utf8', 'utf8');
        await Promise.all(Array.from({ length: 5_000 }, (_, i) => kv.put(`k${i}`, `${i}`)));
        const values = await Promise.all(Array.from({ length: 5_000 }, (_, i) => kv.get(`k${i}`)));
        assert.ok(values.every((value, i) => value === `${i}`));
        let scanned = 0;
        for await (const _ of kv.scan({ prefix: 'k' })) scanned += 1;
        assert.equal(scanned, 5_000);
        assert.equal((await http(server.port, '/v1/kv/k42')).body.toString(), '42');
        const { leader, replicas } = await client.status();
        assert.deepEqual([leader, replicas.length], [1, 1]);
      }));

    test('large values in many calls arrive whole', () =>
      withServed(kind, async ({ server }) => {
        await using client = await Client.connect(server.address);
        const value = Buffer.alloc(900_000, 'eraft');
        await Promise.all(Array.from({ length: 24 }, (_, i) => client.put(`big${i}`, value, { timeoutMs: 30_000 })));
        const values = await Promise.all(
          Array.from({ length: 24 }, (_, i) => client.get(`big${i}`, { timeoutMs: 30_000 })),
        );
        for (const got of values) assert.ok(got !== undefined && Buffer.compare(got, value) === 0);
      }));

    test('goes on when its server comes back, each write once', () =>
      withFolder(async (dir) => {
        let served = await serve(kind, dir);
        const { port, address } = served.server;
        try {
          await using client = await Client.connect(address, { timeoutMs: 30_000 });
          for (let n = 1; n <= 20; n += 1) await client.increment('n');
          await stop(served);
          const waiting = Promise.all(Array.from({ length: 20 }, () => client.increment('n')));
          served = await serve(kind, dir, {}, port);
          await waiting;
          assert.equal(await client.as('utf8', 'utf8').get('n'), '40');
        } finally {
          await stop(served);
        }
      }));

    test('a port in use is told before anything is opened', () =>
      withServed(kind, async ({ server }) => {
        for (const other of FRONTS) {
          await assert.rejects(Server.listen({ server: other, port: server.port }), { code: 'ERAFT_PORT_IN_USE' });
        }
      }));
  });
}
