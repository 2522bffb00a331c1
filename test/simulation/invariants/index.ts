// What must always be true of a cluster, each in a file of its own that names its source.
//
// They believe disks (DiskImage) and messages, not what a replica says of itself.
import type { Invariant, World } from '../watch.js';
import { AppliedAlike } from './applied-alike.js';
import { CommittedOnQuorum } from './committed-on-quorum.js';
import { DurableAsTold } from './durable-as-told.js';
import { ElectionSafety } from './election-safety.js';
import { EmptiedStaysOut } from './emptied-stays-out.js';
import { GivenBack } from './given-back.js';
import { LeaderCompleteness } from './leader-completeness.js';
import { LogMatching } from './log-matching.js';
import { Monotone } from './monotone.js';
import { NoTruncationOfCommitted } from './no-truncation-of-committed.js';
import { OneVote } from './one-vote.js';
import { OrderOfMarks } from './order-of-marks.js';
import { OwnTermCounting } from './own-term-counting.js';
import { PromisesKept } from './promises-kept.js';
import { QueuesBounded } from './queues-bounded.js';
import { ReadsCurrent } from './reads-current.js';
import { RecoveredAsWritten } from './recovered-as-written.js';
import { RefusalsKept } from './refusals-kept.js';
import { StateMachineSafety } from './state-machine-safety.js';

/** In the order in which they are asked: what is known to be committed is noted by CommittedOnQuorum, which is first. */
export const INVARIANTS: readonly ((world: World) => Invariant)[] = [
  (world) => new RecoveredAsWritten(world),
  (world) => new CommittedOnQuorum(world),
  (world) => new GivenBack(world),
  (world) => new DurableAsTold(world),
  (world) => new ElectionSafety(world),
  (world) => new LeaderCompleteness(world),
  (world) => new OneVote(world),
  (world) => new EmptiedStaysOut(world),
  (world) => new LogMatching(world),
  (world) => new NoTruncationOfCommitted(world),
  (world) => new OwnTermCounting(world),
  (world) => new StateMachineSafety(world),
  (world) => new AppliedAlike(world),
  (world) => new Monotone(world),
  (world) => new OrderOfMarks(world),
  (world) => new PromisesKept(world),
  (world) => new ReadsCurrent(world),
  (world) => new RefusalsKept(world),
  (world) => new QueuesBounded(world),
];
