// A client's connection, from hello to goodbye, on both fronts: what is refused, what waits, what is closed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { KiB, LIMITS, MiB } from '../../ts/base/limits.js';
import { SILENT } from '../../ts/base/logger.js';
import { decodeError, decodeLeader, decodeWelcome, encodeHello, type Hello } from '../../ts/proto/control-frames.js';
import { FRAME, frameBody, frameOf, readFrameHeader } from '../../ts/proto/frame.js';
import { ConnectionHub } from '../../ts/server/connection-hub.js';
import type { FrontConnection } from '../../ts/server/front.js';
import { SERVER_LIMITS, Server, type ServerLimits } from '../../ts/server/server.js';
import { TEST_MS } from '../embed/folder.js';
import { CLUSTER, FakeReplica } from './fake-replica.js';
import { FRONTS, http, Messages, raw } from './fronts.js';

const HELLO: Hello = { versionMin: 1, versionMax: 1, features: 0n, cluster: CLUSTER, client: 'test' };

function work(request: number, bytes = 8): Uint8Array {
  return frameOf(FRAME.write, 1, request, 0, new Uint8Array(bytes));
}

async function nextError(client: Messages): Promise<[string, number]> {
  const frame = await client.next();
  const header = readFrameHeader(frame);
  assert.equal(header.kind, FRAME.error);
  return [decodeError(frameBody(frame)).code, header.request];
}

async function nextAnswer(client: Messages): Promise<number> {
  const header = readFrameHeader(await client.next());
  assert.equal(header.kind, FRAME.written);
  return header.request;
}

for (const kind of FRONTS) {
  describe(`client connection on ${kind}`, { timeout: TEST_MS }, () => {
    const withServer = async (
      limits: Partial<ServerLimits>,
      body: (server: Server, replica: FakeReplica) => Promise<void>,
    ): Promise<void> => {
      const replica = new FakeReplica();
      const server = await Server.listen({ server: kind, limits: { drainMs: 50, ...limits } });
      try {
        server.serve(replica);
        await body(server, replica);
      } finally {
        await server.close();
      }
    };

    const greeted = async (server: Server): Promise<Messages> => {
      const client = await Messages.open(server.port);
      client.send(encodeHello(HELLO));
      assert.equal(readFrameHeader(await client.next()).kind, FRAME.welcome);
      assert.equal(readFrameHeader(await client.next()).kind, FRAME.leader);
      return client;
    };

    test('answers hello with welcome and the leader, and tells each change of leader', async () => {
      await withServer({}, async (server, replica) => {
        const client = await Messages.open(server.port);
        client.send(encodeHello({ ...HELLO, cluster: '' }));
        assert.equal(decodeWelcome(frameBody(await client.next())).cluster, CLUSTER);
        assert.deepEqual(decodeLeader(frameBody(await client.next())), replica.leader);
        replica.setLeader({ id: 2, address: 'other:1' });
        const frame = await client.next();
        assert.deepEqual([readFrameHeader(frame).kind, readFrameHeader(frame).request], [FRAME.leader, 0]);
        assert.deepEqual(decodeLeader(frameBody(frame)), { id: 2, address: 'other:1' });
        client.ws.close();
        await client.closed();
      });
    });

    test('refuses another version and another cluster with an error, then closes', async () => {
      await withServer({}, async (server) => {
        for (const [hello, code] of [
          [{ ...HELLO, versionMin: 2, versionMax: 9 }, 'ERAFT_VERSION'],
          [{ ...HELLO, cluster: 'f'.repeat(32) }, 'ERAFT_WRONG_CLUSTER'],
        ] as const) {
          const client = await Messages.open(server.port);
          client.send(encodeHello(hello));
          assert.deepEqual(await nextError(client), [code, 0]);
          assert.equal((await client.closed()).code, 1008);
        }
      });
    });

    test('refuses work before hello, a second hello, text, garbage and short frames', async () => {
      await withServer({}, async (server, replica) => {
        const early = await Messages.open(server.port);
        early.send(work(1));
        assert.deepEqual(await nextError(early), ['ERAFT_BAD_REQUEST', 0]);
        assert.equal((await early.closed()).code, 1002);
        const bad: readonly (readonly [Uint8Array | string, number])[] = [
          [encodeHello(HELLO), 1002],
          [new Uint8Array(15), 1002],
          [Buffer.from('\x02\xff\xff\xff garbage that is long enough for a header', 'latin1'), 1002],
          [work(0), 1002],
          ['text', 1003],
        ];
        for (const [frame, code] of bad) {
          const client = await greeted(server);
          client.send(frame);
          if (typeof frame !== 'string') assert.deepEqual(await nextError(client), ['ERAFT_BAD_REQUEST', 0]);
          assert.equal((await client.closed()).code, code);
        }
        assert.equal(replica.held.length, 0);
      });
    });

    test('an unknown kind is answered with an error, and the connection goes on', async () => {
      await withServer({}, async (server, replica) => {
        replica.answerNow = () => 0;
        const client = await greeted(server);
        client.send(frameOf(77, 1, 5, 0, new Uint8Array(3)));
        assert.deepEqual(await nextError(client), ['ERAFT_BAD_REQUEST', 5]);
        client.send(work(6));
        assert.equal(await nextAnswer(client), 6);
        client.ws.terminate();
      });
    });

    test('closes a connection that says nothing', async () => {
      await withServer({ handshakeMs: 20 }, async (server) => {
        const client = await Messages.open(server.port);
        assert.deepEqual(await nextError(client), ['ERAFT_BAD_REQUEST', 0]);
        assert.equal((await client.closed()).code, 1008);
      });
    });

    test('answers in the order that the replica chose, each request once', async () => {
      await withServer({}, async (server, replica) => {
        const client = await greeted(server);
        for (let n = 1; n <= 50; n += 1) client.send(work(n));
        await replica.holds(50);
        for (const held of [...replica.held].reverse()) held.answer();
        for (let n = 50; n >= 1; n -= 1) assert.equal(await nextAnswer(client), n);
        await metric(server, 'eraft_client_frames_in_flight', 0);
        await metric(server, 'eraft_client_bytes_in_flight', 0);
        client.ws.terminate();
      });
    });

    test('a request number in use ends the connection: answers could not be told apart', async () => {
      await withServer({}, async (server, replica) => {
        const client = await greeted(server);
        client.send(work(9));
        client.send(work(9));
        assert.deepEqual(await nextError(client), ['ERAFT_BAD_REQUEST', 0]);
        await client.closed();
        assert.equal(replica.held[0]?.from.alive, false);
        replica.held[0]?.answer(); // to nobody
      });
    });

    test('refuses more frames and more bytes than may be in flight, not applied', async () => {
      await withServer({ framesInFlightMax: 2 }, async (server, replica) => {
        const client = await greeted(server);
        for (const n of [1, 2, 3]) client.send(work(n));
        assert.deepEqual(await nextError(client), ['ERAFT_OVERLOADED', 3]);
        replica.held[0]?.answer();
        assert.equal(await nextAnswer(client), 1);
        client.send(work(3));
        await replica.holds(3);
        client.ws.terminate();
      });
      const total = { bytesInFlightMax: 8 * MiB, bytesInFlightTotalMax: LIMITS.clientFrameBytesMax + 100 };
      await withServer(total, async (server, replica) => {
        const one = await greeted(server);
        const other = await greeted(server);
        one.send(work(1, LIMITS.clientFrameBytesMax - 16));
        await replica.holds(1);
        other.send(work(1, 200));
        assert.deepEqual(await nextError(other), ['ERAFT_OVERLOADED', 1]);
        one.ws.terminate();
        await one.closed();
        await metric(server, 'eraft_client_bytes_in_flight', 0);
        other.send(work(2, 200));
        await replica.holds(2);
        other.ws.terminate();
      });
    });

    test('refuses a connection over the limit, before serving and while closing', async () => {
      const server = await Server.listen({ server: kind, limits: { connectionsMax: 1 } });
      assert.equal(await Messages.refused(server.port), 503);
      assert.equal((await http(server.port, '/health')).status, 200);
      assert.equal((await http(server.port, '/ready')).status, 503);
      server.serve(new FakeReplica());
      await greeted(server);
      assert.equal(await Messages.refused(server.port), 503);
      await server.close();
      await server.close();
    });

    test('a web page does not get through', async () => {
      await withServer({}, async (server) => {
        assert.equal(await Messages.refused(server.port, '/v1/ws', { Origin: 'http://evil.example' }), 403);
        assert.equal(await Messages.refused(server.port, '/v1/ws', { Host: 'rebound.example' }), 403);
        assert.equal((await http(server.port, '/v1/kv/a', { headers: { Origin: 'null' } })).status, 403);
      });
    });

    test('a frame over the limit closes its connection alone', async () => {
      await withServer({}, async (server, replica) => {
        replica.answerNow = () => 0;
        const big = await greeted(server);
        const other = await greeted(server);
        big.send(new Uint8Array(LIMITS.clientFrameBytesMax + 1));
        assert.equal((await big.closed()).code, kind === 'ws' ? 1009 : 1006);
        other.send(work(1));
        assert.equal(await nextAnswer(other), 1);
        other.ws.terminate();
      });
    });

    test('a client that reads late is paused, and then gets every answer', async () => {
      const limits = { pauseBytes: 256 * KiB, pausedBytesMax: 8 * MiB };
      await withServer(limits, async (server, replica) => {
        replica.answerNow = () => MiB;
        const client = await greeted(server);
        client.ws.pause();
        for (let n = 1; n <= 64; n += 1) client.send(work(n));
        await paused(server);
        client.ws.resume();
        for (let n = 1; n <= 64; n += 1) assert.equal(await nextAnswer(client), n);
        client.ws.terminate();
      });
    });

    test('a client that never reads is paused, then closed', async () => {
      const limits = { pauseBytes: 256 * KiB, slowReaderMs: 20 };
      await withServer(limits, async (server, replica) => {
        replica.answerNow = () => MiB;
        const client = await greeted(server);
        client.ws.pause();
        for (let n = 1; n <= 64; n += 1) client.send(work(n));
        await metric(server, 'eraft_connections_closed_slow_total', 1);
        await metric(server, 'eraft_connections', 0);
        client.ws.terminate();
      });
    });

    // ws stops reading from the socket, so there the sender's own system makes it wait; uWebSockets.js cannot.
    if (kind === 'uws') {
      test('a client that sends and never reads is closed when too much waits', async () => {
        const limits = { pauseBytes: 64 * KiB, pausedBytesMax: LIMITS.clientFrameBytesMax, slowReaderMs: 60_000 };
        await withServer(limits, async (server, replica) => {
          replica.answerNow = () => 4 * MiB - 16;
          const client = await greeted(server);
          client.ws.pause();
          for (let n = 1; n <= 64; n += 1) client.send(work(n, MiB));
          await metric(server, 'eraft_connections', 0);
          client.ws.terminate();
        });
      });
    }

    test('closing answers what is in flight, and says goodbye', async () => {
      await withServer({ drainMs: 60_000 }, async (server, replica) => {
        const client = await greeted(server);
        client.send(work(1));
        await replica.holds(1);
        const closing = server.close();
        client.send(work(2));
        assert.deepEqual(await nextError(client), ['ERAFT_UNAVAILABLE', 2]);
        replica.held[0]?.answer();
        assert.equal(await nextAnswer(client), 1);
        assert.deepEqual(await client.closed(), { code: 1001, reason: 'this server is closing' });
        await closing;
      });
    });

    test('a connection that is cut gives everything back', async () => {
      await withServer({}, async (server, replica) => {
        const client = await greeted(server);
        client.send(work(1));
        await replica.holds(1);
        client.ws.terminate();
        await metric(server, 'eraft_client_frames_in_flight', 0);
        await metric(server, 'eraft_client_bytes_in_flight', 0);
        await metric(server, 'eraft_connections', 0);
        replica.held[0]?.answer();
      });
    });

    test('half a handshake and noise on the port do no harm', async () => {
      await withServer({}, async (server) => {
        const socket = await raw(server.port);
        socket.write('GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
        const noise = await raw(server.port);
        noise.end(Buffer.alloc(1_000, 0xee));
        const client = await greeted(server);
        client.ws.terminate();
        socket.destroy();
      });
    });
  });
}

test('the answers of one turn leave in one write, and those of the next in another', async () => {
  const writes: number[][] = [];
  const front: FrontConnection = {
    remote: '',
    bufferedBytes: 0,
    send: (frames) => writes.push(frames.map((frame) => readFrameHeader(frame).request)) > 0,
    pause: () => undefined,
    resume: () => undefined,
    close: () => undefined,
    terminate: () => undefined,
  };
  const hub = new ConnectionHub(SERVER_LIMITS, SILENT);
  const replica = new FakeReplica();
  hub.serve(replica);
  const connection = hub.open(front);
  connection.frame(encodeHello(HELLO), true);
  for (const n of [1, 2, 3, 4]) connection.frame(work(n), true);
  await new Promise(setImmediate);
  for (const held of replica.held.slice(0, 3)) held.answer();
  await new Promise(setImmediate);
  replica.held[3]?.answer();
  await new Promise(setImmediate);
  assert.deepEqual(writes, [[0, 0], [1, 2, 3], [4]]);
  connection.closed(1000);
});

test('limits that contradict each other are refused, by name', async () => {
  for (const limits of [{ pauseBytes: 64 * MiB }, { idleSeconds: 9 }, { connectionsMax: 0 }, { bytesInFlightMax: 1 }]) {
    await assert.rejects(Server.listen({ limits }), (error) => {
      assert.ok(EraftError.is(error) && error.code === 'ERAFT_CONFIG');
      assert.match(error.message, new RegExp(`${Object.keys(limits)[0]}`));
      return true;
    });
  }
});

/** Waits until /metrics shows this value. */
async function metric(server: Server, name: string, value: number): Promise<void> {
  const line = new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm');
  for (;;) {
    const text = (await http(server.port, '/metrics')).body.toString();
    if (Number(line.exec(text)?.[1]) === value) return;
  }
}

async function paused(server: Server): Promise<void> {
  return metric(server, 'eraft_connections_paused_total', 1);
}
