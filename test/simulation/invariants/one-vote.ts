import type { Message } from '../../../ts/raft/messages.js';
import type { Submission } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/**
 * One vote in a term, given or asked for with one's own, over every restart and every disk under the same id. And it is on
 * disk when it leaves, with its term: so is all that a leader says.
 *
 * Source: Ongaro & Ousterhout 2014, §5.2 and figure 2; camunda/zeebe#5356, openraft `ee460f37`; rule 1 of docs/design.md.
 */
export class OneVote implements Invariant {
  readonly #world: World;
  readonly #votes = new Map<string, number>(); // `voter/term` to candidate

  constructor(world: World) {
    this.#world = world;
  }

  submitted(replica: Replica, { hard }: Submission): void {
    const before = replica.image.durableHard;
    if (hard === null || hard.term >= before.term) return;
    this.#world.fail('OneVote', `${replica.id} goes back from term ${before.term} to ${hard.term}`);
  }

  sent(from: Replica, m: Message): void {
    if (m.type === 'preVote' || (m.type === 'preVoteReply' && m.granted)) return;
    const { term, vote } = from.image.durableHard;
    if (term < m.term)
      this.#world.fail('OneVote', `${m.type} of ${from.id} in term ${m.term}, its disk in term ${term}`);
    const grants = m.type === 'voteReply' && m.granted;
    if (!grants && m.type !== 'vote' && m.type !== 'append' && m.type !== 'heartbeat') return;
    const candidate = grants ? m.to : from.id;
    if (term === m.term && vote !== candidate)
      this.#world.fail('OneVote', `${m.type} of ${from.id} in term ${m.term}, with a vote for ${vote} on its disk`);
    const key = `${from.id}/${m.term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, candidate);
    else if (known !== candidate)
      this.#world.fail('OneVote', `${from.id} votes for ${known} and ${candidate} in term ${m.term}`);
  }
}
