// What may go wrong. Each fault in a function of its own, by what it is done to.
import { bitRot, emptiedDisk, failedWrite, fullDisk, hungDisk, powerLoss, shortWrite, slowDisk } from './disk.js';
import { overthrow, strand } from './leaders.js';
import type { FaultName } from './names.js';
import { clientCut, clientReset, clog, cut, halves, isolate, reset } from './network.js';
import { ambush, crash, jump, outrun, pause } from './process.js';
import type { Fault } from './stage.js';
import { failedFlush, failedStoreWrite } from './store.js';

export const FAULT: Readonly<Record<FaultName, Fault>> = {
  crash,
  ambush,
  outrun,
  cut,
  isolate,
  halves,
  clog,
  overthrow,
  strand,
  reset,
  'client-cut': clientCut,
  'client-reset': clientReset,
  pause,
  jump,
  'slow-disk': slowDisk,
  'hung-disk': hungDisk,
  'failed-write': failedWrite,
  'short-write': shortWrite,
  'full-disk': fullDisk,
  'store-write': failedStoreWrite,
  'store-flush': failedFlush,
  'power-loss': powerLoss,
  'emptied-disk': emptiedDisk,
  'bit-rot': bitRot,
};
