// What replicas of one group say to each other, and what the core hands to its host.

/** A replica's id within its cluster, 1 to 2^32 - 1. 0 stands for nobody. */
export type ReplicaId = number;

/** Promises that outlive a crash: the latest term seen, and the vote given in it. `commit` is a hint, not a promise. */
export interface HardState {
  readonly term: number;
  readonly vote: ReplicaId;
  readonly commit: number;
}

/** A log entry as the core knows it: its place and its size on disk, never its bytes. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly bytes: number;
}

interface Envelope {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  /** The sender's term; in preVote and a granted preVoteReply, the term that the candidate would have. */
  readonly term: number;
}

/** Would you (preVote), do you (vote) elect me? `index` and `logTerm` are of the candidate's last entry. */
export interface VoteRequest extends Envelope {
  readonly type: 'preVote' | 'vote';
  readonly index: number;
  readonly logTerm: number;
}

export interface VoteReply extends Envelope {
  readonly type: 'preVoteReply' | 'voteReply';
  readonly granted: boolean;
}

/** What a leader says in every message. */
interface LeaderEnvelope extends Envelope {
  /** Names the leader's current relation to this follower; replies repeat it, and others are ignored. */
  readonly session: number;
  readonly commit: number;
  /** No member needs the log up to here from anybody else. */
  readonly truncatable: number;
  /** The newest read round: a reply that repeats it confirms the leader for every read asked before it was sent. */
  readonly round: number;
}

/** Entries `index + 1` to `last`, which follow the entry (`index`, `logTerm`). `last` = `index`: a probe. */
export interface Append extends LeaderEnvelope {
  readonly type: 'append';
  readonly index: number;
  readonly logTerm: number;
  /** What the follower steps; the sending side leaves the bytes to the host, which reads [index + 1, last] of the log. */
  readonly entries: readonly Entry[];
  readonly last: number;
}

export interface Heartbeat extends LeaderEnvelope {
  readonly type: 'heartbeat';
}

/**
 * The state after the entry (`index`, `logTerm`), which is committed, lies with you. The bytes travel beside the core: the
 * follower's host steps this when it holds all of them, verified.
 */
export interface SnapshotMessage extends LeaderEnvelope {
  readonly type: 'snapshot';
  readonly index: number;
  readonly logTerm: number;
}

/** What only a leader sends. */
export type LeaderMessage = Append | Heartbeat | SnapshotMessage;

/**
 * Answer to an append, a heartbeat or a snapshot.
 *
 * `appendReply` granted: everything up to `index` matches the leader of this term and is on this disk. Refused: the log does not
 * hold (`index`, term of the append); the best guess for where it matches is (`hintIndex`, `hintTerm`).
 */
export interface AppendReply extends Envelope {
  readonly type: 'appendReply';
  readonly session: number;
  readonly granted: boolean;
  readonly index: number;
  readonly hintIndex: number;
  readonly hintTerm: number;
  readonly round: number;
}

/** `index`: durable and matching, as in a granted appendReply (0 when nothing is proven in this term). */
export interface HeartbeatReply extends Envelope {
  readonly type: 'heartbeatReply';
  readonly session: number;
  readonly index: number;
  readonly round: number;
}

export type Message = VoteRequest | VoteReply | LeaderMessage | AppendReply | HeartbeatReply;
