import assert from 'node:assert/strict';
import type { HardState, ReplicaId } from '../../ts/raft/index.js';
import type { Cluster, Event, Member, Record, WireMessage } from './harness.js';

/**
 * Watches a cluster and fails as soon as one of Raft's properties does (the paper's figure 3, and what eraft adds to it).
 *
 * It believes only disks: what a replica says of itself is compared with what its disk would say after a crash now.
 */
export class Checker {
  readonly #cluster: Cluster;
  readonly #leaders = new Map<number, ReplicaId>(); // by term
  readonly #entries = new Map<string, { readonly before: number; readonly text: string }>(); // by term/index
  readonly #committed: Record[] = []; // index - 1
  readonly #votes = new Map<string, ReplicaId>(); // durable ones, by replica/term
  readonly #commits = new Map<ReplicaId, { readonly node: object; readonly commit: number }>();
  readonly #reads = new Map<number, number>(); // by context: what was committed when it was asked
  reads = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** The highest index that anybody knows to be committed. */
  get committed(): number {
    return this.#committed.length;
  }

  observe(e: Event): void {
    if (e.kind === 'send') {
      this.#checkSend(this.#cluster.member(e.message.from), e.message);
      return;
    }
    const member = this.#cluster.member(e.id);
    this.#checkLog(member, e.records);
    this.#checkCommit(member);
    this.#checkHint(member, e.ready.hardState);
    for (const { context, index } of e.ready.reads) this.#checkRead(context, index);
  }

  asked(context: number): void {
    this.#reads.set(context, this.#committed.length);
  }

  /** After every step. */
  check(): void {
    for (const member of this.#cluster.members.values()) {
      this.#checkVote(member);
      if (!member.alive) continue;
      if (member.node.role === 'leader') this.#checkLeader(member);
      this.#checkCommit(member);
      this.#checkApplied(member);
    }
  }

  /** Log Matching: an entry is always the same, and so is what comes before it. */
  #checkLog(member: Member, records: readonly Record[]): void {
    for (const r of records) {
      const before = this.#termAt(member.records, r.index - 1) ?? member.disk.compacted.term;
      const known = this.#entries.get(`${r.term}/${r.index}`);
      if (known === undefined) this.#entries.set(`${r.term}/${r.index}`, { before, text: r.text });
      else assert.deepEqual({ before, text: r.text }, known, `LogMatching: entry ${r.term}/${r.index} at ${member.id}`);
    }
  }

  /** Election Safety and Leader Completeness. */
  #checkLeader(member: Member): void {
    const { term } = member.node;
    const known = this.#leaders.get(term);
    assert.ok(
      known === undefined || known === member.id,
      `ElectionSafety: ${known} and ${member.id} lead term ${term}`,
    );
    if (known !== undefined) return;
    this.#leaders.set(term, member.id);
    for (const r of this.#committed) {
      if (r.index <= member.disk.compacted.index || r.term >= term) continue;
      const held = this.#termAt(member.records, r.index);
      assert.equal(held, r.term, `LeaderCompleteness: ${member.id} leads term ${term} without ${r.term}/${r.index}`);
    }
  }

  /** Committed entries never change, anywhere; and when first committed, a majority of disks holds them. */
  #checkCommit(member: Member): void {
    const { commit } = member.node;
    const last = this.#commits.get(member.id);
    if (last?.node === member.node) assert.ok(commit >= last.commit, `commit of ${member.id} went back to ${commit}`);
    const from = last?.node === member.node ? last.commit : member.disk.compacted.index;
    this.#commits.set(member.id, { node: member.node, commit });
    for (let index = from + 1; index <= commit; index++) {
      const record = this.#at(member.records, index);
      if (record === undefined) continue; // compacted meanwhile, and checked when it was committed
      const known = this.#committed[index - 1];
      if (known === undefined) this.#checkNewlyCommitted(member, record);
      else assert.equal(record.term, known.term, `CommittedImmutable: ${index} at ${member.id}`);
    }
  }

  #checkNewlyCommitted(member: Member, record: Record): void {
    assert.equal(record.index, this.#committed.length + 1, 'commits are in order');
    const { last, holders } = { last: record.index, holders: this.#holdersOf(record) };
    const majority = Math.floor(this.#cluster.members.size / 2) + 1;
    assert.ok(
      holders.length >= majority,
      `CommittedOnQuorum: ${member.id} commits ${record.term}/${last}, on the disks of ${holders.join(', ') || 'nobody'}`,
    );
    this.#committed.push(record);
  }

  #holdersOf(record: Record): ReplicaId[] {
    const holds = (m: Member) =>
      m.disk.compacted.index >= record.index || this.#termAt(m.disk.records, record.index) === record.term;
    return [...this.#cluster.members.values()].filter(holds).map((m) => m.id);
  }

  /** Rule 4: what is applied is on this disk, as it was committed. */
  #checkApplied(member: Member): void {
    const { applied, disk } = member;
    const { index, term: base } = disk.compacted;
    if (index > 0)
      assert.equal(base, this.#committed[index - 1]?.term, `the log of ${member.id} begins behind ${base}/${index}`);
    assert.ok(member.node.firstIndex - 1 <= applied && applied <= member.node.commit, `marks of ${member.id}`);
    if (applied <= index) return;
    const term = this.#termAt(disk.records, applied);
    assert.equal(term, this.#committed[applied - 1]?.term, `rule 4: ${member.id} applied ${applied} beyond its disk`);
  }

  /** One vote per term that survives crashes. */
  #checkVote(member: Member): void {
    const { term, vote } = member.disk.hardState;
    if (vote === 0) return;
    const key = `${member.id}/${term}`;
    const known = this.#votes.get(key) ?? vote;
    assert.equal(vote, known, `two votes of ${member.id} in term ${term}`);
    this.#votes.set(key, vote);
  }

  /** Rules 1 and 2: what leaves is backed by the disk that it leaves from. */
  #checkSend(member: Member, m: WireMessage): void {
    const { hardState } = member.disk;
    const told = `${m.type} of ${m.from} to ${m.to} in term ${m.term}`;
    if (m.type === 'preVote' || (m.type === 'preVoteReply' && m.granted)) return;
    assert.ok(hardState.term >= m.term, `rule 1: ${told}, its disk in term ${hardState.term}`);
    const promised = m.type === 'voteReply' ? m.to : m.from;
    const votes =
      m.type === 'vote' || m.type === 'append' || m.type === 'heartbeat' || (m.type === 'voteReply' && m.granted);
    if (votes && hardState.term === m.term)
      assert.equal(hardState.vote, promised, `rule 1: ${told}, without that vote`);
    if (m.type === 'heartbeatReply' || (m.type === 'appendReply' && m.granted)) this.#checkPromise(member, m, told);
  }

  #checkPromise(member: Member, m: WireMessage & { index: number }, told: string): void {
    if (m.index <= member.disk.compacted.index) return;
    const held = this.#termAt(member.disk.records, m.index);
    assert.ok(held !== undefined, `rule 2: ${told} promises ${m.index}, beyond its disk`);
    const leader = this.#cluster.member(m.to);
    if (!leader.alive || leader.node.role !== 'leader' || leader.node.term !== m.term) return;
    assert.equal(
      held,
      leader.node.termAt(m.index) || held,
      `rule 2: ${told} promises ${m.index}, which is another entry`,
    );
  }

  /** The commit index that a crash would bring back is true of the log that it would bring back. */
  #checkHint(member: Member, hardState: HardState | null): void {
    if (hardState === null || hardState.commit <= member.disk.compacted.index) return;
    const term = this.#termAt(member.disk.records, hardState.commit);
    assert.equal(
      term,
      this.#committed[hardState.commit - 1]?.term,
      `the hint ${hardState.commit} of ${member.id} is untrue`,
    );
  }

  #checkRead(context: number, index: number): void {
    const asked = this.#reads.get(context) ?? 0;
    assert.ok(index >= asked, `read ${context} at ${index}, when ${asked} was committed before it was asked`);
    this.reads += 1;
  }

  #at(records: readonly Record[], index: number): Record | undefined {
    const first = records[0]?.index ?? 0;
    return records[index - first];
  }

  #termAt(records: readonly Record[], index: number): number | undefined {
    return this.#at(records, index)?.term;
  }
}
