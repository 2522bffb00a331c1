// The systems that are compared, behind one face.
import type { BenchContext } from '../lib/command.js';
import { EraftCluster } from '../lib/eraft-cluster.js';
import { fillEraft, type LoadFigures, loadEraft } from '../lib/eraft-load.js';
import { EtcdCluster } from './etcd-cluster.js';
import type { EtcdPrograms } from './etcd-programs.js';
import { EtcdTool } from './etcd-tool.js';
import { GrpcLoad } from './grpc-load.js';
import { KEY_BYTES, type Row, VALUE_BYTES, WARMUP_SECONDS } from './works.js';

export type SystemName = 'eraft' | 'eraftOnUws' | 'etcd';
export type FrontName = 'uws' | 'ws';

export interface StoreSystem {
  readonly name: SystemName;
  readonly pids: readonly number[];
  /** Sees to it that it holds so many keys. */
  fill(keys: number): Promise<void>;
  load(row: Row, seconds: number): Promise<LoadFigures>;
}

export async function startEraft(
  { place, note }: BenchContext,
  name: SystemName,
  front: FrontName,
): Promise<StoreSystem> {
  const cluster = await EraftCluster.start(place, { replicas: 3, name, flags: ['--server', front] });
  const sizes = { keyBytes: KEY_BYTES, valueBytes: VALUE_BYTES, warmupSeconds: WARMUP_SECONDS };
  return {
    name,
    pids: cluster.pids,
    fill: fillOnce(name, (keys) => fillEraft(place, cluster, keys, sizes), note),
    load: ({ work, inFlight, connections, keys }, seconds) =>
      loadEraft(place, cluster, {
        ...sizes,
        workload: work === 'put' ? 'put' : 'get',
        connections,
        inFlight: inFlight / connections,
        seconds,
        keys,
        consistency: work === 'get-stale' ? 'stale' : 'linearizable',
      }),
  };
}

export async function startEtcd({ place, note }: BenchContext, programs: EtcdPrograms): Promise<StoreSystem> {
  const cluster = await EtcdCluster.start(place, programs.server);
  const { loadTool } = programs;
  const load = loadTool === undefined ? new GrpcLoad(place, cluster) : new EtcdTool(place, cluster, loadTool);
  return {
    name: 'etcd',
    pids: cluster.pids,
    fill: fillOnce('etcd', (keys) => load.fill(keys), note),
    load: (row, seconds) => load.load(row, seconds),
  };
}

/** Every system is filled from its first key on, so what it holds is told by a number. */
function fillOnce(name: SystemName, fill: (keys: number) => Promise<void>, note: BenchContext['note']) {
  let held = 0;
  return async (keys: number): Promise<void> => {
    if (keys <= held) return;
    note(`filling ${name} with ${keys} keys`);
    await fill(keys);
    held = keys;
  };
}
