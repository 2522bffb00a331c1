import type { ProgressStatus } from '../../ts/raft/index.js';
import type { Cluster, Member, Record, WireMessage } from './harness.js';

/** `2/5 "x"`: term, index, and what it says. */
export function entryText(r: Record): string {
  return r.text === ''
    ? `${r.term}/${r.index}`
    : `${r.term}/${r.index} ${r.text === 'blank' ? 'blank' : `"${r.text}"`}`;
}

/** One line for a message, as it would be told. What is zero, or as always, is left out. */
export function messageText(m: WireMessage): string {
  return `${m.from}->${m.to} ${body(m)}`;
}

function body(m: WireMessage): string {
  const round = 'round' in m && m.round > 0 ? ` round=${m.round}` : '';
  switch (m.type) {
    case 'preVote':
    case 'vote':
      return `${m.type} term=${m.term} log=${m.logTerm}/${m.index}`;
    case 'preVoteReply':
    case 'voteReply':
      return `${m.type} term=${m.term} ${m.granted ? 'granted' : 'refused'}`;
    case 'append': {
      const entries = (m.records ?? []).map(entryText).join(', ');
      return `append term=${m.term} prev=${m.logTerm}/${m.index} [${entries}] commit=${m.commit}${round}`;
    }
    case 'snapshot':
      return `snapshot term=${m.term} state=${m.logTerm}/${m.index} commit=${m.commit}${round}`;
    case 'heartbeat':
      return `heartbeat term=${m.term} commit=${m.commit}${round}`;
    case 'appendReply':
      if (m.granted) return `ack term=${m.term} durable=${m.index}${round}`;
      return `refuse term=${m.term} prev=${m.index} hint=${m.hintTerm}/${m.hintIndex}${round}`;
    case 'heartbeatReply':
      return `alive term=${m.term} durable=${m.index}${round}`;
  }
}

export function stateText(member: Member): string {
  if (!member.alive) return `${member.id}: crashed`;
  const { id, role, term, leader, commit, lastIndex, epoch } = member.node;
  const following = role === 'follower' ? ` of ${leader === 0 ? 'nobody' : leader}` : '';
  const disk = member.disk.records.at(-1)?.index ?? member.disk.compacted.index;
  return `${id}: ${role}${following} term=${term} last=${lastIndex} disk=${disk} commit=${commit} applied=${member.applied} epoch=${epoch}`;
}

export function progressText(p: ProgressStatus): string {
  const offered = p.offered === 0 ? '' : ` offered=${p.offered}`;
  const marks = [offered, p.active ? '' : ' silent', p.outrun ? ' outrun' : ''].join('');
  const inflight = p.inflightMessages > 0 ? ` inflight=${p.inflightMessages} (${p.inflightBytes} B)` : '';
  return `${p.id}: ${p.state} match=${p.match} next=${p.next}${inflight}${marks}`;
}

/** The terms of a log, as the paper draws them. */
export function logText(member: Member): string {
  const gone = member.disk.compacted.index > 0 ? `(${member.disk.compacted.index} gone) ` : '';
  return `${member.id}: ${gone}${member.records.map((r) => r.term).join(' ')}`;
}

export function linksText(cluster: Cluster): string[] {
  return [...cluster.links.values()].flat().map(messageText);
}
