// The thread of pacer.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { CELL, type PacerData } from './pacer.js';

const { cells, everyMs } = workerData as PacerData;

function run(): void {
  for (let next = performance.now() + everyMs; ; next += everyMs) {
    const left = next - performance.now();
    if (left > 0) Atomics.wait(cells, CELL.stopped, 0, left);
    if (Atomics.load(cells, CELL.stopped) !== 0) return;
    if (Atomics.exchange(cells, CELL.ringing, 1) === 0) parentPort?.postMessage(0);
  }
}

parentPort?.once('message', run);
parentPort?.postMessage(0);
