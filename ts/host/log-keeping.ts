import type { RaftNode } from '../raft/raft-node.js';
import type { ReplicaLimits } from './options.js';

/** What is known where it is decided how much of the log stays. */
export interface LogKept {
  readonly node: Pick<RaftNode, 'truncatable' | 'firstIndex' | 'lastIndex' | 'logBytes' | 'startOfLast'>;
  readonly limits: Pick<ReplicaLimits, 'maxLogBytes' | 'maxLogEntries' | 'trailingLogBytes'>;
  /** The last applied index that the store has on disk. */
  readonly flushed: number;
  /** The log behind here is needed by followers that get a snapshot now; Infinity: by none. */
  readonly keepsLogFrom: number;
  /** Somebody has asked for it to be cut. */
  readonly requested: boolean;
}

/**
 * Up to where the log is no longer needed.
 *
 * SAFETY: what is cut is gone.
 * Claim:   a replica can always rebuild its state from its own disk, and no follower is left without help.
 * Why:     never past what the own store has flushed (rule 5): what is behind it is replayed from the log. Past what a
 *          member still needs only when the log has grown over its limit, and then that member gets a snapshot, which is
 *          of an index at or behind the cut. The log behind a snapshot that is on its way stays until its follower goes
 *          on from there, up to twice the limit: beyond it, that follower begins again with a newer one.
 * Rests:   `node.truncatable`; the engine refuses to pass the flushed index, too.
 * Checked: test/host/log-keeping.test.ts; test/kv/snapshots.test.ts, the data folder stays bounded.
 */
export function cutTo({ node, limits, flushed, keepsLogFrom, requested }: LogKept): number {
  const { truncatable, lastIndex, logBytes } = node;
  const { maxLogBytes, maxLogEntries, trailingLogBytes } = limits;
  const entries = lastIndex - node.firstIndex + 1;
  const long = isOver(logBytes, maxLogBytes) || isOver(entries, maxLogEntries);
  let to = truncatable;
  if (requested || long) {
    // Half of the limit at most, so that the next cut is not due at once.
    const bytes = maxLogBytes < 0 ? trailingLogBytes : Math.min(trailingLogBytes, Math.floor(maxLogBytes / 2));
    const byEntries = maxLogEntries < 0 ? 0 : lastIndex - Math.floor(maxLogEntries / 2);
    to = Math.max(to, node.startOfLast(bytes), byEntries);
  }
  const farTooLong = isOver(logBytes, 2 * maxLogBytes) || isOver(entries, 2 * maxLogEntries);
  if (!farTooLong) to = Math.min(to, keepsLogFrom);
  return Math.min(to, flushed);
}

/** Is the log so long that only the store's flush stands in the way of cutting it? */
export function wantsFlush(logBytes: number, entries: number, limits: LogKept['limits']): boolean {
  return isOver(logBytes, limits.maxLogBytes) || isOver(entries, limits.maxLogEntries);
}

function isOver(value: number, limit: number): boolean {
  return limit >= 0 && value > limit;
}
