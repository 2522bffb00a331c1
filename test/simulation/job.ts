// A process that runs one seed after the other, as another process tells it to.
import { drawOptions, override } from './options.js';
import { runSeed } from './run-seed.js';

export interface Job {
  readonly seed: number;
  readonly settings: readonly string[];
}

process.on('message', ({ seed, settings }: Job) => {
  void runSeed(override(drawOptions(seed), settings)).then((result) => process.send?.(result));
});
