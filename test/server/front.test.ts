// Both fronts keep the same promises: one suite, two implementations.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { describe, test } from 'node:test';
import { EraftError } from '../../ts/base/errors.js';
import { SILENT } from '../../ts/base/logger.js';
import type {
  ConnectionEvents,
  Front,
  FrontConnection,
  FrontHandlers,
  FrontOptions,
  FrontRequest,
  FrontResponse,
} from '../../ts/server/front.js';
import { openFront } from '../../ts/server/fronts.js';
import { TEST_MS } from '../embed/folder.js';
import { FRONT_OPTIONS, FRONTS, http, Messages, raw, signal } from './fronts.js';

const NO_EVENTS: ConnectionEvents = { frame: () => undefined, drained: () => undefined, closed: () => undefined };

test('auto chooses uWebSockets.js: it loads here', async () => {
  const handlers = { request: () => undefined, refusal: () => undefined, open: () => NO_EVENTS };
  const front = await openFront('auto', FRONT_OPTIONS, handlers, SILENT);
  assert.equal(front.kind, 'uws');
  await front.close();
});

for (const kind of FRONTS) {
  /** A front with these handlers, closed when the body has run. */
  const withFront = async (
    handlers: Partial<FrontHandlers>,
    body: (front: Front) => Promise<void>,
    options: Partial<FrontOptions> = {},
  ): Promise<void> => {
    const refusal = (): undefined => undefined;
    const request = (_: FrontRequest, response: FrontResponse): void => response.send(404, {}, '');
    const all = { request, refusal, open: () => NO_EVENTS, ...handlers };
    const front = await openFront(kind, { ...FRONT_OPTIONS, ...options }, all, SILENT);
    try {
      await body(front);
    } finally {
      await front.close();
    }
  };

  describe(`front ${kind}: HTTP`, { timeout: TEST_MS }, () => {
    test('hands over method, path, query and headers as they were sent', async () => {
      const request = (r: FrontRequest, response: FrontResponse): void => {
        const seen = [r.method, r.path, r.query, r.header('if-match'), r.header('if-none-match')];
        response.send(201, { 'X-Test': 'a' }, JSON.stringify(seen));
      };
      await withFront({ request }, async (front) => {
        const answer = await http(front.port, '/v1/kv/a%2Fb//c%20%00?x=1&y', {
          method: 'DELETE',
          headers: { 'If-Match': '"7"' },
        });
        assert.equal(answer.status, 201);
        assert.equal(answer.headers['x-test'], 'a');
        assert.deepEqual(JSON.parse(answer.body.toString()), ['DELETE', '/v1/kv/a%2Fb//c%20%00', 'x=1&y', '"7"', '']);
        const bare = await http(front.port, '/v1/scan');
        assert.deepEqual(JSON.parse(bare.body.toString()), ['GET', '/v1/scan', '', '', '']);
      });
    });

    test('a path of the longest legal key, percent-encoded, passes', async () => {
      await withFront({ request: (r, response) => response.send(200, {}, String(r.path.length)) }, async (front) => {
        const path = `/${'%41'.repeat(4_096)}`;
        assert.equal((await http(front.port, path)).body.toString(), String(path.length));
      });
    });

    test('collects a body, and answers after the handler has returned', async () => {
      const request = (r: FrontRequest, response: FrontResponse): void => {
        void r.body(1_000_000).then((body) => response.send(200, {}, body));
      };
      await withFront({ request }, async (front) => {
        const body = Buffer.alloc(700_000, 'eraft');
        const answer = await http(front.port, '/', { method: 'PUT', body });
        assert.equal(Buffer.compare(answer.body, body), 0);
        const empty = await http(front.port, '/', { method: 'POST' });
        assert.equal(empty.body.length, 0);
      });
    });

    test('refuses a body over the limit, announced or not', async () => {
      const errors: unknown[] = [];
      const request = (r: FrontRequest, response: FrontResponse): void => {
        r.body(1_000).catch((error: unknown) => {
          errors.push(error);
          response.send(413, {}, '');
        });
      };
      await withFront({ request }, async (front) => {
        const announced = await http(front.port, '/', { method: 'PUT', body: Buffer.alloc(1_001) });
        assert.equal(announced.status, 413);
        const large = await http(front.port, '/', { method: 'PUT', body: Buffer.alloc(20_000_000) });
        assert.equal(large.status, 413);
        const chunked = httpRequest({ host: '127.0.0.1', port: front.port, method: 'PUT', agent: false });
        chunked.on('error', () => undefined);
        chunked.write(Buffer.alloc(800));
        chunked.write(Buffer.alloc(800));
        const [response] = await once(chunked, 'response');
        assert.equal(response.statusCode, 413);
        chunked.destroy();
        assert.deepEqual(
          errors.map((error) => EraftError.is(error) && [error.code, error.bytesMax]),
          [
            ['ERAFT_FRAME_TOO_LARGE', 1_000],
            ['ERAFT_FRAME_TOO_LARGE', 1_000],
            ['ERAFT_FRAME_TOO_LARGE', 1_000],
          ],
        );
      });
    });

    test('a peer that leaves in the middle of its body ends the wait for it', async () => {
      const started = signal();
      const failed = signal<unknown>();
      const request = (r: FrontRequest, response: FrontResponse): void => {
        r.body(1_000).catch((error: unknown) => {
          response.send(200, {}, 'nobody hears this');
          failed.fire(error);
        });
        started.fire();
      };
      await withFront({ request }, async (front) => {
        const socket = await raw(front.port);
        socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhalf');
        await started.promise;
        socket.destroy();
        const error = await failed.promise;
        assert.ok(EraftError.is(error) && error.code === 'ERAFT_ABORTED');
      });
    });

    test('a peer that leaves before the answer is told, and the late answer does no harm', async () => {
      const arrived = signal<FrontResponse>();
      const aborted = signal();
      const request = (_: FrontRequest, response: FrontResponse): void => {
        response.onAborted = () => aborted.fire();
        arrived.fire(response);
      };
      await withFront({ request }, async (front) => {
        const socket = await raw(front.port);
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        const response = await arrived.promise;
        assert.equal(response.aborted, false);
        socket.destroy();
        await aborted.promise;
        assert.equal(response.aborted, true);
        response.send(200, {}, 'x');
        response.start(200, {});
        assert.equal(response.write('x'), true);
        await response.drained();
        response.end();
        response.destroy();
      });
    });

    test('a streamed response waits for its reader, and arrives whole', async () => {
      const blocked = signal();
      const chunk = Buffer.alloc(256 * 1024, 'abcdefgh');
      let chunks = 0;
      const request = async (_: FrontRequest, response: FrontResponse): Promise<void> => {
        response.start(200, { 'Content-Type': 'text/plain' });
        let wasBlocked = false;
        while (chunks < 64 || !wasBlocked) {
          chunks += 1;
          if (response.write(chunk)) continue;
          wasBlocked = true;
          blocked.fire();
          await response.drained();
        }
        response.end();
      };
      await withFront({ request: (r, response) => void request(r, response) }, async (front) => {
        const call = httpRequest({ host: '127.0.0.1', port: front.port, agent: false }).end();
        const [response] = await once(call, 'response');
        await blocked.promise; // nothing is read until the writer has noticed
        let bytes = 0;
        for await (const part of response) bytes += part.length;
        assert.equal(bytes, chunks * chunk.length);
      });
    });

    test('a response that is broken off cannot be taken for a whole one', async () => {
      const request = (_: FrontRequest, response: FrontResponse): void => {
        response.start(200, {});
        response.write('part');
        response.destroy();
      };
      await withFront({ request }, async (front) => {
        await assert.rejects(http(front.port, '/'));
      });
    });

    test('bytes that are not HTTP end their connection alone', async () => {
      await withFront({ request: (_, response) => response.send(200, {}, 'ok') }, async (front) => {
        const socket = await raw(front.port);
        socket.resume();
        socket.write('\x00\x01\x02\xff garbage\r\n\r\n');
        await once(socket, 'close');
        assert.equal((await http(front.port, '/')).body.toString(), 'ok');
      });
    });

    test('a port in use is an error that says what to do', async () => {
      await withFront({}, async (front) => {
        for (const other of FRONTS) {
          const handlers = { request: () => undefined, refusal: () => undefined, open: () => NO_EVENTS };
          await assert.rejects(openFront(other, { ...FRONT_OPTIONS, port: front.port }, handlers, SILENT), (error) => {
            assert.ok(EraftError.is(error));
            assert.equal(error.code, 'ERAFT_PORT_IN_USE');
            assert.match(error.message, /why:.*\n.*do:/);
            return true;
          });
        }
      });
    });

    test('an address of another machine is refused', async () => {
      const handlers = { request: () => undefined, refusal: () => undefined, open: () => NO_EVENTS };
      const options = { ...FRONT_OPTIONS, host: '192.0.2.1' };
      await assert.rejects(openFront(kind, options, handlers, SILENT), { code: 'ERAFT_IO' });
    });
  });

  describe(`front ${kind}: WebSocket`, { timeout: TEST_MS }, () => {
    test('echoes frames in order, many in one write', async () => {
      const open = (connection: FrontConnection): ConnectionEvents => ({
        ...NO_EVENTS,
        frame: (bytes, binary) => {
          assert.equal(binary, true);
          const copies = [0, 1, 2].map((i) => Buffer.concat([Buffer.from([i]), bytes]));
          assert.equal(connection.send(copies), true);
        },
      });
      await withFront({ open }, async (front) => {
        const client = await Messages.open(front.port);
        for (let n = 0; n < 100; n += 1) client.send(Buffer.from([n]));
        for (let n = 0; n < 100; n += 1) {
          for (let i = 0; i < 3; i += 1) assert.deepEqual([...(await client.next())], [i, n]);
        }
        client.ws.close();
        await client.closed();
      });
    });

    test('delivers nothing while paused, and everything after', async () => {
      const paused = signal<FrontConnection>();
      const all = signal();
      const seen: number[] = [];
      let isPaused = false;
      const open = (connection: FrontConnection): ConnectionEvents => ({
        ...NO_EVENTS,
        frame: (bytes) => {
          assert.equal(isPaused, false);
          seen.push(bytes[0] ?? -1);
          if (seen.length === 1 || seen.length === 5) {
            isPaused = true;
            connection.pause();
            paused.fire(connection);
            if (seen.length === 5) setImmediate(resume, connection);
          }
          if (seen.length === 10) all.fire();
        },
      });
      const resume = (connection: FrontConnection): void => {
        isPaused = false;
        connection.resume();
      };
      await withFront({ open }, async (front) => {
        const client = await Messages.open(front.port);
        for (let n = 0; n < 10; n += 1) client.send(Buffer.from([n]));
        const connection = await paused.promise;
        for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
        assert.deepEqual(seen, [0]);
        resume(connection);
        await all.promise;
        assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      });
    });

    test('closes a connection whose frame is over the limit', async () => {
      const closed = signal<number>();
      const open = (): ConnectionEvents => ({
        frame: () => assert.fail('an oversized frame arrived'),
        drained: () => undefined,
        closed: closed.fire,
      });
      const body = async (front: Front): Promise<void> => {
        const client = await Messages.open(front.port);
        client.send(Buffer.alloc(10_001));
        const { code } = await client.closed();
        assert.equal(code, kind === 'ws' ? 1009 : 1006);
        await closed.promise;
      };
      await withFront({ open }, body, { frameBytesMax: 10_000 });
    });

    test('says when a peer does not read, and never drops a frame in silence', async () => {
      const closed = signal<number>();
      const refused = signal();
      let taken = 0;
      const open = (connection: FrontConnection): ConnectionEvents => ({
        frame: () => {
          const frame = Buffer.alloc(1024 * 1024);
          while (connection.send([frame])) taken += 1;
          refused.fire();
          assert.equal(connection.send([frame]), false);
        },
        drained: () => undefined,
        closed: closed.fire,
      });
      const body = async (front: Front): Promise<void> => {
        const client = await Messages.open(front.port);
        client.ws.pause();
        client.send('go');
        await refused.promise;
        await closed.promise;
        client.ws.resume();
        await client.closed();
        assert.ok(client.kept <= taken);
      };
      await withFront({ open }, body, { bufferedBytesMax: 4 * 1024 * 1024 });
    });

    test('reports what is buffered, and when it drains', async () => {
      const buffered = signal<FrontConnection>();
      const drained = signal();
      const open = (connection: FrontConnection): ConnectionEvents => ({
        frame: () => {
          while (connection.bufferedBytes === 0) connection.send([Buffer.alloc(1024 * 1024)]);
          buffered.fire(connection);
        },
        drained: () => {
          if (connection.bufferedBytes === 0) drained.fire();
        },
        closed: () => undefined,
      });
      await withFront({ open }, async (front) => {
        const client = await Messages.open(front.port);
        client.ws.pause();
        client.send('go');
        assert.ok((await buffered.promise).bufferedBytes > 0);
        client.ws.resume();
        await drained.promise;
        client.ws.terminate();
      });
    });

    test('refuses an upgrade with a status, at another path with 404', async () => {
      await withFront({ refusal: () => ({ status: 503, body: 'full\n' }) }, async (front) => {
        assert.equal(await Messages.refused(front.port), 503);
        assert.equal(await Messages.refused(front.port, '/other'), 404);
      });
    });

    test('says goodbye with code and reason, and everything is a no-op afterwards', async () => {
      const closed = signal<FrontConnection>();
      const open = (connection: FrontConnection): ConnectionEvents => ({
        frame: (_, binary) => {
          assert.equal(binary, false);
          connection.send([Buffer.from('last words')]);
          connection.close(1008, 'because');
        },
        drained: () => undefined,
        closed: () => closed.fire(connection),
      });
      await withFront({ open }, async (front) => {
        const client = await Messages.open(front.port);
        client.send('text');
        assert.equal((await client.next()).toString(), 'last words');
        assert.deepEqual(await client.closed(), { code: 1008, reason: 'because' });
        const connection = await closed.promise;
        assert.equal(connection.send([Buffer.alloc(1)]), false);
        assert.equal(connection.bufferedBytes, 0);
        connection.pause();
        connection.resume();
        connection.close(1000, '');
        connection.terminate();
      });
    });

    test('closing ends every connection, twice is once, and the port is free again', async () => {
      const handlers = { request: () => undefined, refusal: () => undefined, open: () => NO_EVENTS };
      const front = await openFront(kind, FRONT_OPTIONS, handlers, SILENT);
      const client = await Messages.open(front.port);
      const { port } = front;
      front.stopListening();
      await front.close();
      await front.close();
      await client.closed();
      const again = await openFront(kind, { ...FRONT_OPTIONS, port }, handlers, SILENT);
      await again.close();
    });
  });
}
