// What it costs that the log is cut and snapshots are made beside the work, and how much disk that bounds.
import { join } from 'node:path';
import type { BenchContext } from '../lib/command.js';
import { EraftCluster } from '../lib/eraft-cluster.js';
import { type EraftLoad, type LoadFigures, loadEraft } from '../lib/eraft-load.js';
import { BenchError } from '../lib/errors.js';
import { type Measured, measureInTurns, type System } from '../lib/rounds.js';
import { diskBytesOf } from '../soak/watch.js';

export interface CompactionPlan {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
}

/** `never`: the log grows and no snapshot is made. `always`: it is cut all the time, and one is made every few seconds. */
export type Compaction = 'never' | 'always';

export interface CompactionFigures {
  readonly never: Measured<LoadFigures>;
  readonly always: Measured<LoadFigures>;
  readonly maxLogBytes: number;
  /** The most that the folder of the leader, which compacts, held beside its store. */
  readonly besideStoreBytes: number;
  /** That the leader was made to make. */
  readonly snapshots: number;
}

const MIB = 1024 * 1024;
const MAX_LOG_BYTES = 256 * MIB; // four segments: the least there can be
const SNAPSHOT_EVERY_MS = 4_000;
const LOOK_EVERY_MS = 250;
const FLAGS: { readonly [C in Compaction]: string } = { never: '-1', always: String(MAX_LOG_BYTES) };

/** Nobody's default: 1000 callers that overwrite 100,000 keys. */
const LOAD: Omit<EraftLoad, 'seconds'> = {
  workload: 'put',
  connections: 100,
  inFlight: 10,
  warmupSeconds: 2,
  keys: 100_000,
  keyBytes: 8,
  valueBytes: 256,
};

/**
 * Two clusters in turns. One member of each is absent, so that the log would be kept for it, and only `maxLogBytes` has it
 * cut. The cluster that is not measured is idle.
 */
export async function compaction(plan: CompactionPlan, { place, note }: BenchContext): Promise<CompactionFigures> {
  const load = { ...LOAD, seconds: plan.seconds };
  const clusters: EraftCluster[] = [];
  const start = async (name: Compaction): Promise<EraftCluster> => {
    const cluster = await EraftCluster.start(place, { replicas: 3, name, flags: ['--max-log-bytes', FLAGS[name]] });
    clusters.push(cluster);
    await cluster.killReplica((await cluster.leaderId()) === 3 ? 2 : 3);
    return cluster;
  };
  try {
    const never = await start('never');
    const always = await start('always');
    const watch = new FolderWatch(join(place.folder, 'always', `replica-${await always.leaderId()}`));
    const systems: System<LoadFigures>[] = [
      { name: 'never', measure: () => loadEraft(place, never, load) },
      { name: 'always', measure: () => watch.during(always, () => loadEraft(place, always, load)) },
    ];
    const measured = await measureInTurns(systems, plan.rounds, (name, round, { opsPerSecond }) =>
      note(`compaction ${name}, round ${round}: ${Math.round(opsPerSecond)} puts/s`),
    );
    if (measured.never === undefined || measured.always === undefined) throw new BenchError('nothing was measured');
    const { besideStoreBytes, snapshots } = watch;
    return { never: measured.never, always: measured.always, maxLogBytes: MAX_LOG_BYTES, besideStoreBytes, snapshots };
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  }
}

/** Has snapshots made of a leader while it is measured, and looks at its folder. */
class FolderWatch {
  readonly #folder: string;
  besideStoreBytes = 0;
  snapshots = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async during<T>(cluster: EraftCluster, work: () => Promise<T>): Promise<T> {
    const look = setInterval(() => this.#look(), LOOK_EVERY_MS);
    const endpoint = await cluster.leader();
    let last: Promise<void> = Promise.resolve();
    const make = setInterval(() => {
      last = this.#make(endpoint);
    }, SNAPSHOT_EVERY_MS);
    try {
      return await work();
    } finally {
      clearInterval(look);
      clearInterval(make);
      await last;
    }
  }

  #look(): void {
    const beside = diskBytesOf(this.#folder) - diskBytesOf(join(this.#folder, 'store'));
    this.besideStoreBytes = Math.max(this.besideStoreBytes, beside);
  }

  async #make(endpoint: string): Promise<void> {
    const { ok } = await fetch(`http://${endpoint}/v1/snapshot`, { method: 'POST' });
    if (ok) this.snapshots += 1;
  }
}
