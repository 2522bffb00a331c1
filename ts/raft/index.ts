// ts/raft: the protocol of one Raft group as a pure state machine.
//
// In:   step(message), tick(), propose(bytes), readIndex(context), onDurable(report), onApplied(index), onInstalled(index), …
// Out:  one Ready per turn. The same inputs in the same order give the same Ready, byte for byte.
// Not:  clock, randomness (election jitter is an input), promises, logging, the bytes of any entry or any wire.
// May import: ./* alone. If you need a timer here, the decision belongs in ts/host.
//
// raft-node.ts holds the roles and decides who handles what; the work is done by
//   ballot.ts      term and vote, and when they may be spoken of   leadership.ts  a leader's view: replication, commit, reads
//   following.ts   a follower's view: what matches, what it owes   progress.ts    one follower, as its leader sees it
//   raft-log.ts    entries as (index, term, bytes)                 read-only.ts   rounds that make reads linearizable
//   followership.ts  following.ts over all terms                   installation.ts  a snapshot in place of log and state
// Start at raft-node.ts, then read test/raft/transcripts/election.txt.

export type { InitialState, RaftConfig } from './config.js';
export { InvariantError } from './invariant.js';
export type {
  Append,
  AppendReply,
  Entry,
  HardState,
  Heartbeat,
  HeartbeatReply,
  LeaderMessage,
  Message,
  ReplicaId,
  SnapshotMessage,
  VoteReply,
  VoteRequest,
} from './messages.js';
export type { ProgressState, ProgressStatus } from './progress.js';
export { RaftNode } from './raft-node.js';
export type { Persist, Proposed, ReadState, Ready, Role, SnapshotPoint } from './ready.js';
