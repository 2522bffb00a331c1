// A Redis server that syncs its log before it answers, and its own load tool.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { choosePorts } from '../../ts/cli/cluster/ports.js';
import type { BenchContext } from '../lib/command.js';
import type { LoadFigures } from '../lib/eraft-load.js';
import { BenchError } from '../lib/errors.js';
import { CpuMeter } from '../lib/processes.js';
import type { Workplace } from '../lib/workplace.js';
import type { RedisPrograms } from './redis-programs.js';
import { parseRedisBenchmark } from './redis-tool.js';
import { CONNECTIONS, type RedisBenchSystem, type Row, VALUE_BYTES, WARMUP_SECONDS } from './systems.js';

/** Keys as redis-benchmark has them: `key:` and twelve digits. */
const FILL = `for i = 0, ARGV[1] - 1 do redis.call('SET', string.format('key:%012d', i), ARGV[2]) end
return redis.call('DBSIZE')`;
/** Of the first, short run that tells how many operations a second are. */
const PROBE_OPERATIONS = 20_000;

interface Running {
  readonly place: Workplace;
  readonly programs: RedisPrograms;
  readonly port: string;
  readonly pid: number;
}

/**
 * `appendfsync always`: one write and one fdatasync for all commands of a turn of its event loop, before any is answered.
 * Its log is not rewritten while it is measured, which by default would begin whenever the log has doubled: this is Redis
 * at its best.
 */
export async function startRedis({ place, note }: BenchContext, programs: RedisPrograms): Promise<RedisBenchSystem> {
  const dir = join(place.folder, 'redis');
  mkdirSync(dir);
  const port = String((await choosePorts(0, 1))[0]);
  const settings = {
    bind: '127.0.0.1',
    port,
    dir,
    daemonize: 'no',
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    'auto-aof-rewrite-percentage': '0',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = place.start(programs.server, flags);
  const running: Running = { place, programs, port, pid: server.pid };
  await server.ready(async () => (await askCli(running, ['PING'])) === 'PONG');
  const kept = await askCli(running, ['CONFIG', 'GET', 'appendfsync']);
  if (!kept.endsWith('always')) throw new BenchError(`redis-server does not sync always, but: ${kept}`);
  return {
    name: 'redis',
    pids: [server.pid],
    fill: async (keys) => {
      note(`filling redis with ${keys} keys`);
      const held = await askCli(running, ['EVAL', FILL, '0', String(keys), 'x'.repeat(VALUE_BYTES)]);
      if (Number(held) < keys) throw new BenchError(`redis-server was not filled: ${held}`);
    },
    load: (row, seconds) => loadRedis(running, row, seconds),
  };
}

/** @returns what it printed; '' when there is no server yet */
async function askCli({ place, programs, port }: Running, command: readonly string[]): Promise<string> {
  const ran = await place.run(programs.cli, ['-p', port, ...command]).catch(() => undefined);
  return ran?.stdout.trim() ?? '';
}

async function loadRedis(running: Running, row: Row, seconds: number): Promise<LoadFigures> {
  const probe = await runTool(running, row, PROBE_OPERATIONS * row.pipeline);
  await runTool(running, row, probe.opsPerSecond * WARMUP_SECONDS);
  return runTool(running, row, probe.opsPerSecond * seconds);
}

/** The tool counts operations, not seconds. */
async function runTool({ place, programs, port, pid }: Running, row: Row, operations: number): Promise<LoadFigures> {
  const count = Math.max(CONNECTIONS * row.pipeline, Math.round(operations));
  const options = { p: port, t: row.work === 'put' ? 'set' : 'get', c: CONNECTIONS, P: row.pipeline };
  const more = { n: count, r: row.keys, d: VALUE_BYTES };
  const args = Object.entries({ ...options, ...more }).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const servers = CpuMeter.of([pid]);
  const ran = await place.run(programs.benchmark, [...args, '--csv']).finally(() => servers.stop());
  const serverMicros = servers.between(ran.startedMs, ran.endedMs);
  return { ...parseRedisBenchmark(ran.stdout), cpuMicrosPerOp: (serverMicros + ran.cpuMicros) / count };
}
