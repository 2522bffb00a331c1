// The Raft core alone: no disk, no network, no bytes. Every write is durable as soon as it is asked for.

import { type Append, type AppendReply, type Message, RaftNode, type Ready } from '../../ts/raft/index.js';
import { BenchError } from '../lib/errors.js';
import { pureSubject } from './work.js';

const ENTRY_BYTES = 344; // of one put of 256 bytes
const VOTERS = [1, 2, 3] as const;
const COMPACT_EVERY = 4_096;

function newNode(id: number): RaftNode {
  const config = {
    id,
    voters: VOTERS,
    electionTicks: 20,
    heartbeatTicks: 2,
    electionJitter: () => 0,
    inflightMessagesMax: 256,
    inflightBytesMax: 32 << 20,
    appendBytesMax: 1 << 20,
    uncommittedBytesMax: 64 << 20,
    catchUpBytesPerTick: 1 << 20,
    catchUpBytesMax: 1 << 30,
    blankBytes: 56,
    preVote: false,
  };
  const hardState = { term: 0, vote: 0, commit: 0 };
  return new RaftNode(config, {
    hardState,
    compactedIndex: 0,
    compactedTerm: 0,
    termRuns: [],
    sizes: [],
    appliedIndex: 0,
  });
}

/** Works off what the core asks for. @param onReads - hears how many reads may be answered. @returns the messages that leave */
function workOff(node: RaftNode, onReads: (count: number) => void = () => undefined): Message[] {
  const sent: Message[] = [];
  while (node.hasReady()) {
    const ready: Ready = node.ready();
    if (ready.persist !== null) node.onDurable(ready.persist);
    sent.push(...ready.sendNow, ...ready.sendWhenDurable);
    node.onApplied(ready.applyUpTo);
    if (ready.reads.length > 0) onReads(ready.reads.length);
  }
  return sent;
}

function acknowledge(m: Append): AppendReply {
  return {
    type: 'appendReply',
    from: m.to,
    to: m.from,
    term: m.term,
    session: m.session,
    granted: true,
    index: m.last,
    hintIndex: 0,
    hintTerm: 0,
    round: m.round,
  };
}

/** Steps acknowledgements until the leader has nothing more to say. */
function acknowledgeAll(node: RaftNode): void {
  for (let sent = workOff(node); sent.length > 0; sent = workOff(node)) {
    for (const m of sent) if (m.type === 'append') node.step(acknowledge(m));
  }
}

function newLeader(): RaftNode {
  const node = newNode(1);
  node.campaign();
  for (const m of workOff(node)) {
    if (m.type === 'vote') node.step({ type: 'voteReply', from: m.to, to: 1, term: m.term, granted: true });
  }
  acknowledgeAll(node);
  if (node.role !== 'leader') throw new BenchError('the core was not elected');
  return node;
}

/** One entry: proposed, durable here, sent to two, acknowledged by both, committed and applied. */
function leaderStep(node: RaftNode): () => number {
  return () => {
    node.propose(ENTRY_BYTES);
    acknowledgeAll(node);
    if (node.commit % COMPACT_EVERY === 0) node.onCompacted(node.commit);
    return node.commit;
  };
}

/** One entry: appended, durable here, acknowledged; with the news that the one before is committed. */
function followerStep(node: RaftNode): () => number {
  let index = 0;
  return () => {
    const entry = { index: index + 1, term: 1, bytes: ENTRY_BYTES };
    const logTerm = index === 0 ? 0 : 1;
    const place = { index, logTerm, entries: [entry], last: index + 1 };
    const leader = { from: 1, to: 2, term: 1, session: 1, commit: index, truncatable: 0, round: 0 };
    node.step({ type: 'append', ...leader, ...place });
    const sent = workOff(node).length;
    index += 1;
    if (index % COMPACT_EVERY === 0) node.onCompacted(index - 1);
    return sent;
  };
}

/** One round for a linearizable read: asked, confirmed by a heartbeat's answers. */
function readStep(node: RaftNode): () => number {
  let context = 0;
  let answered = 0;
  return () => {
    if (context !== answered) throw new BenchError('a round of reads was not confirmed');
    context += 1;
    node.readIndex(context);
    const asked = workOff(node);
    for (const m of asked) {
      if (m.type !== 'heartbeat') continue;
      const { to: from, from: to, term, session, round } = m;
      node.step({ type: 'heartbeatReply', from, to, term, session, index: node.lastIndex, round });
    }
    workOff(node, (count) => {
      answered += count;
    });
    return answered;
  };
}

export const raft = pureSubject('raft', () => [
  { name: 'leader: an entry to two and committed', unit: 'entry', perCall: 1, call: leaderStep(newLeader()) },
  { name: 'follower: an entry acknowledged', unit: 'entry', perCall: 1, call: followerStep(newNode(2)) },
  { name: 'leader: a round of reads confirmed', unit: 'round', perCall: 1, call: readStep(newLeader()) },
]);
