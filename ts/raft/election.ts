import type { Message, ReplicaId, VoteReply, VoteRequest } from './messages.js';
import type { Majority, Verdict } from './quorum.js';
import type { RaftLog } from './raft-log.js';

/** The answers to one round of vote requests. A voter's first answer counts. */
export class Tally {
  readonly #majority: Majority;
  readonly #votes = new Map<ReplicaId, boolean>();

  constructor(majority: Majority) {
    this.#majority = majority;
  }

  record(voter: ReplicaId, granted: boolean): void {
    if (!this.#votes.has(voter)) this.#votes.set(voter, granted);
  }

  get verdict(): Verdict {
    return this.#majority.verdict((id) => this.#votes.get(id));
  }
}

/** Asks every voter but `from`, in ascending order, to elect it with this log in `term`. */
export function voteRequests(
  type: VoteRequest['type'],
  majority: Majority,
  log: RaftLog,
  from: ReplicaId,
  term: number,
): VoteRequest[] {
  const others = majority.voters.filter((id) => id !== from);
  return others.map((to) => ({ type, from, to, term, index: log.last, logTerm: log.lastTerm }));
}

export function voteReply(m: VoteRequest, term: number, granted: boolean): VoteReply {
  return { type: m.type === 'vote' ? 'voteReply' : 'preVoteReply', from: m.to, to: m.from, term, granted };
}

/**
 * Pre-votes speak of a term that nobody has entered, so nobody enters it on hearing of it. A refusal is different: it
 * names the term that the voter really is in.
 */
export function speaksOfFutureTerm(m: Message): boolean {
  return m.type === 'preVote' || (m.type === 'preVoteReply' && m.granted);
}

/** Who leads the term that the message is of, as far as it tells; 0 if it does not. */
export function leaderNamedBy(m: Message): ReplicaId {
  return m.type === 'append' || m.type === 'heartbeat' || m.type === 'snapshot' ? m.from : 0;
}

/**
 * What a sender of an earlier term is told, so that it learns of `term`: a leader steps down, a candidate stops asking in
 * vain. null: an answer to a question of an earlier term, which needs none.
 */
export function answerToStale(m: Message, term: number): Message | null {
  switch (m.type) {
    case 'preVote':
    case 'vote':
      return voteReply(m, term, false);
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      return {
        type: 'appendReply',
        from: m.to,
        to: m.from,
        term,
        session: m.session,
        granted: false,
        index: 0,
        hintIndex: 0,
        hintTerm: 0,
        round: 0,
      };
    default:
      return null;
  }
}
