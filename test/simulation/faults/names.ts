/** Everything that may go wrong in a run. Weather (loss, copies, another order, slow clocks) is an option of the run besides. */
export const FAULTS = [
  'crash', // one replica, or several, or all: the power fails
  'ambush', // one replica, in the middle of something
  'outrun', // one is away, while the others cut their logs
  'cut', // one way between two replicas
  'isolate', // the leader, or another one, from everybody
  'halves', // the replicas fall into two groups
  'clog', // one way takes much longer
  'overthrow', // one leader after the other is isolated, just elected or a while later, and comes back for the next one
  'strand', // the leader hears everything late, and nobody hears it
  'reset', // a connection between two replicas breaks
  'client-cut', // clients do not reach a replica
  'client-reset', // the connections of a client break
  'pause', // a process stands still, longer than an election takes
  'jump', // a clock jumps ahead
  'slow-disk',
  'hung-disk',
  'failed-write', // an operation of the disk fails, and with it the replica, which is started anew
  'short-write',
  'full-disk',
  'store-write', // a write into the store is refused, a few times or until the replica gives up
  'store-flush',
  'bit-rot', // in what one replica has acknowledged: it is lost until the others have given it everything back
  'power-loss', // in the middle of an operation of the disk
  'emptied-disk', // another disk in its place: this replica is lost
] as const;

export type FaultName = (typeof FAULTS)[number];
