// A store and the process that it lives in: when it ends, how it may end, and what is left.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Store } from '../../ts/index.js';
import { Child, TEST_MS, withFolder } from './folder.js';

describe('a store in a process', { timeout: TEST_MS }, () => {
  test('idle, it lets the process end', () =>
    withFolder(async (dir) => {
      const child = new Child('idle', dir);
      assert.equal(await child.firstLine(), 'written');
      assert.deepEqual(await child.exit(), { code: 0, signal: null });
      await using store = await Store.open({ dir });
      assert.equal(await store.as('utf8', 'utf8').get('idle'), '1');
    }));

  test('what is awaited keeps it alive: open, ready, a write, close', () =>
    withFolder(async (dir) => {
      const child = new Child('waits', dir);
      const lines: string[] = [];
      for await (const line of child.lines()) lines.push(line);
      assert.deepEqual(lines, ['true', 'closed']);
      assert.deepEqual(await child.exit(), { code: 0, signal: null });
    }));

  test('process.exit() with an open store and calls under way is clean, and loses nothing acknowledged', () =>
    withFolder(async (dir) => {
      const child = new Child('exits', dir);
      assert.deepEqual(await child.exit(), { code: 7, signal: null });
      await using store = await Store.open({ dir });
      assert.ok(await store.has('last'));
      assert.equal((await store.getEntry('exit99'))?.value.length, 1000);
    }));

  test('killed under load, it has every acknowledged write, each once', () =>
    withFolder(async (dir) => {
      let acknowledged = 0;
      for (let round = 1; round <= 3; round += 1) {
        const child = new Child('writes', dir);
        let seen = 0;
        for await (const line of child.lines()) {
          seen = Number(line);
          if (seen === 200) child.kill();
        }
        assert.equal((await child.exit()).signal, 'SIGKILL');
        assert.ok(seen >= 200);
        acknowledged += seen;
        await using store = await Store.open({ dir });
        const kv = store.as('utf8', 'utf8');
        for (let n = 1; n <= seen; n += 1) assert.equal(await kv.get(`k${n}`), `v${n}`);
        // The one that was under way at each kill may or may not have happened.
        const count = Number(await kv.get('count'));
        assert.ok(count >= acknowledged && count <= acknowledged + round, `${count} of ${acknowledged}`);
        const log = (await kv.get('log'))?.length ?? 0;
        assert.ok(log >= acknowledged && log <= acknowledged + round, `${log} of ${acknowledged}`);
      }
    }));

  test('the folder has one opener: not a second process, thread or store', () =>
    withFolder(async (dir) => {
      const holder = new Child('holds', dir);
      await holder.firstLine();
      await assert.rejects(Store.open({ dir }), (error: { code?: string; message?: string }) => {
        assert.equal(error.code, 'ERAFT_DATA_LOCKED');
        assert.match(error.message ?? '', new RegExp(`${holder.process.pid}`));
        return true;
      });
      holder.kill();
      await holder.exit();
      const store = await Store.open({ dir });
      await assert.rejects(Store.open({ dir }), { code: 'ERAFT_DATA_LOCKED' });
      assert.equal(await new Child('tries', dir).firstLine(), 'ERAFT_DATA_LOCKED');
      await store.close();
      const threads = new Child('threads', dir);
      assert.equal(await threads.firstLine(), 'ERAFT_DATA_LOCKED');
      assert.deepEqual(await threads.exit(), { code: 0, signal: null });
      await (await Store.open({ dir })).close();
    }));
});
