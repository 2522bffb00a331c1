// Each invariant is told something that it must not accept, and something like it that it must.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EraftError, type ErrorCode } from '../../ts/base/errors.js';
import { emptyWriteFrame, stampRequest, stampSession } from '../../ts/proto/command-batch.js';
import { encodeError } from '../../ts/proto/control-frames.js';
import { FRAME } from '../../ts/proto/frame.js';
import { encodeRaftFrame } from '../../ts/proto/peer-frames.js';
import type { Message } from '../../ts/raft/messages.js';
import { DiskImage, type Hard, type Head, type Recovered } from './disk-image.js';
import type { Replica } from './replica.js';
import { Watch } from './watch.js';

interface Raft {
  role: string;
  term: number;
  commit: number;
  firstIndex: number;
  lastIndex: number;
}

interface Answers {
  progress(): [];
  termAt(index: number): number;
  readIndex(context: number): boolean;
  ready(): object;
}

/** A replica that is what it is told to be. */
class Fake {
  readonly id: number;
  image = new DiskImage();
  lost: DiskImage | null = null;
  repairing = false;
  disk = 0;
  /** What its core has to say of reads. */
  reads: { readonly context: number; readonly index: number }[] = [];
  readonly raft: Raft & Answers = {
    role: 'follower',
    term: 1,
    commit: 0,
    firstIndex: 1,
    lastIndex: 0,
    progress: () => [],
    termAt: (index) => this.image.log[index - 1]?.term ?? 0,
    readIndex: () => true,
    ready: () => ({ reads: this.reads }),
  };
  readonly applier = { applied: 0, target: 0 };
  readonly host = { group: { applier: this.applier }, logDamaged: false };
  readonly node = {};
  readonly storage = null;
  readonly failed = null;

  constructor(id: number) {
    this.id = id;
  }

  get replica(): Replica {
    return this as unknown as Replica;
  }
}

class Stage {
  readonly watch = new Watch();
  readonly fakes = [1, 2, 3].map((id) => new Fake(id));
  #ticket = 0;

  constructor() {
    this.watch.replicas.push(...this.fakes.map(({ replica }) => replica));
  }

  fake(id: number): Fake {
    const found = this.fakes[id - 1];
    if (found === undefined) throw new Error(`no fake ${id}`);
    return found;
  }

  /** Entries `index/term` reach the disks of `ids`; durable unless told otherwise. */
  write(
    ids: readonly number[],
    entries: readonly string[],
    durable = true,
    hard: Hard | null = null,
    batches: readonly string[] = [],
  ): void {
    for (const id of ids) {
      const { image, raft, replica } = this.fake(id);
      const submission = { ticket: ++this.#ticket, hard, heads: entries.map(headOf), batches };
      image.submit(submission);
      this.watch.submitted(replica, submission);
      if (durable) image.confirm(this.#ticket, this.#ticket);
      raft.lastIndex = image.log.length;
    }
  }

  set(id: number, raft: Partial<Raft>, applied?: number): void {
    const fake = this.fake(id);
    Object.assign(fake.raft, raft);
    if (applied !== undefined) Object.assign(fake.applier, { applied, target: applied });
    this.watch.touched(fake.replica);
    this.watch.check();
  }

  /** Batch 7/1 is sent as this request of a connection. */
  ask(connection: object, request: number): void {
    const frame = emptyWriteFrame(0, 0);
    stampSession(frame, 7, 1, 0);
    stampRequest(frame, FRAME.write, request, 1_000);
    this.watch.asked(connection, frame);
  }

  refuse(connection: object, request: number, code: ErrorCode): void {
    this.watch.answered(connection, encodeError(new EraftError(code, 'no'), 1, request));
    this.watch.check();
  }

  send(message: Message): void {
    const frame = encodeRaftFrame([{ group: 1, message, recordBytes: 0 }]);
    this.watch.sent(this.fake(message.from).replica, frame);
    this.watch.check();
  }
}

/** What recovery found on a disk that ends with entry `lastIndex` of term 1. */
function recoveredUpTo(lastIndex: number): Recovered {
  const termRuns = Float64Array.of(1, 1);
  return { term: 0, vote: 0, commit: 0, lastIndex, termRuns, compactedIndex: 0, compactedTerm: 0 };
}

function headOf(text: string): Head {
  const [index = 0, term = 0, crc = 7] = text.split('/').map(Number);
  return { index, term, kind: 2, firstRevision: 0, count: 1, crc };
}

const reply = { session: 1, round: 0, hintIndex: 0, hintTerm: 0, granted: true, type: 'appendReply' } as const;

const CASES: Readonly<Record<string, (s: Stage) => void>> = {
  ElectionSafety: (s) => {
    s.set(1, { role: 'leader', term: 2 });
    s.set(2, { role: 'leader', term: 3 });
    s.set(3, { role: 'leader', term: 2 });
  },
  GivenBack: (s) => {
    s.write([1, 2], ['1/1', '2/1']);
    s.set(1, { commit: 2 });
    const fake = s.fake(2);
    for (const given of [['2/1'], []]) {
      fake.lost = fake.image;
      fake.image = fake.lost.beginning(recoveredUpTo(1));
      fake.host.logDamaged = true;
      fake.repairing = true;
      s.watch.started(fake.replica, recoveredUpTo(1));
      s.set(2, {});
      s.write([2], given);
      fake.host.logDamaged = false;
      s.set(2, {});
    }
  },
  CommittedOnQuorum: (s) => {
    s.write([1, 2], ['1/1']);
    s.set(1, { commit: 1 });
    s.write([1], ['2/1']);
    s.write([2], ['2/1'], false);
    s.set(1, { commit: 2 });
  },
  CommittedImmutable: (s) => {
    s.write([1, 2], ['1/1']);
    s.set(1, { commit: 1 });
    s.write([3], ['1/2']);
    s.set(3, { commit: 1 });
  },
  LeaderCompleteness: (s) => {
    s.write([1, 2], ['1/1', '2/1']);
    s.set(1, { commit: 2 });
    s.write([3], ['1/1']);
    s.set(2, { role: 'leader', term: 2 });
    s.set(3, { role: 'leader', term: 3 });
  },
  'LogMatching: 2 writes another': (s) => {
    s.write([1], ['1/1', '2/1']);
    s.write([2], ['1/1', '2/1/8']);
    s.watch.check();
  },
  'LogMatching: 1 writes 1/2': (s) => {
    s.write([1], ['1/2', '2/1']);
    s.watch.check();
  },
  'NoTruncationOfCommitted: 3 writes': (s) => {
    s.write([1, 2, 3], ['1/1']);
    s.set(1, { commit: 1 });
    s.write([3], ['1/2']);
    s.watch.check();
  },
  'NoTruncationOfCommitted: 1 cuts off': (s) => {
    s.write([1, 2, 3], ['1/1', '2/1']);
    s.set(1, { commit: 2 });
    s.write([1], ['1/1']);
    s.watch.check();
  },
  OwnTermCounting: (s) => {
    s.write([1, 2], ['1/1', '2/2']);
    s.set(1, { role: 'leader', term: 2 });
    s.set(1, { commit: 2 });
    s.set(1, { role: 'leader', term: 3 });
    s.write([1, 2], ['3/2']);
    s.set(1, { commit: 3 });
  },
  'StateMachineSafety: 1 applies 3, which is not committed': (s) => {
    s.write([1, 2], ['1/1', '2/1']);
    s.set(1, { commit: 1 }, 1);
    s.set(1, { commit: 2, lastIndex: 2 }, 2);
    s.write([3], ['1/1']);
    s.fake(3).raft.commit = 1;
    s.set(3, {}, 1);
    s.write([1, 2], ['3/1'], false);
    s.fake(1).applier.target = 3;
    s.set(1, {});
  },
  'Monotone: the commit index': (s) => {
    s.write([1, 2], ['1/1']);
    s.set(1, { commit: 1 });
    s.set(1, { commit: 0 });
  },
  'Monotone: the term': (s) => {
    s.set(1, { term: 3 });
    s.set(1, { term: 2 });
  },
  OrderOfMarks: (s) => {
    s.write([1, 2], ['1/1', '2/1']);
    s.set(1, { commit: 2, firstIndex: 2 }, 1);
    s.set(1, { firstIndex: 3 }, 1);
  },
  'OneVote: vote of 1': (s) => {
    s.write([1], [], false, { term: 2, vote: 1, commit: 0 });
    s.send({ type: 'preVote', from: 1, to: 2, term: 2, index: 0, logTerm: 0 });
    s.send({ type: 'vote', from: 1, to: 2, term: 2, index: 0, logTerm: 0 });
  },
  'OneVote: 1 votes for 2 and 3': (s) => {
    s.write([1], [], true, { term: 2, vote: 2, commit: 0 });
    s.send({ type: 'voteReply', from: 1, to: 2, term: 2, granted: true });
    s.fake(1).image.durableHard = { term: 2, vote: 3, commit: 0 };
    s.send({ type: 'voteReply', from: 1, to: 3, term: 2, granted: true });
  },
  'PromisesKept: appendReply of 2': (s) => {
    s.write([2], ['1/1'], true, { term: 1, vote: 1, commit: 0 });
    s.send({ ...reply, from: 2, to: 1, term: 1, index: 1 });
    s.write([2], ['2/1'], false);
    s.send({ ...reply, from: 2, to: 1, term: 1, index: 2 });
  },
  'PromisesKept: appendReply of 3 to 1 in term 2 promises 1, of term 1': (s) => {
    s.write([1], ['1/2'], true, { term: 2, vote: 1, commit: 0 });
    s.write([3], ['1/1'], true, { term: 2, vote: 1, commit: 0 });
    s.set(1, { role: 'leader', term: 2 });
    s.send({ ...reply, from: 3, to: 1, term: 2, index: 1 });
  },
  'EmptiedStaysOut: vote of 1': (s) => {
    s.write([1], [], true, { term: 2, vote: 1, commit: 0 });
    s.send({ type: 'vote', from: 1, to: 2, term: 2, index: 0, logTerm: 0 });
    s.fake(1).disk = 1;
    s.send({ type: 'vote', from: 1, to: 2, term: 2, index: 0, logTerm: 0 });
  },
  'ReadsCurrent: 1 answers a read from 1, and 2 was committed': (s) => {
    const { raft } = s.fake(1);
    s.write([1, 2], ['1/1', '2/1']);
    s.set(1, { commit: 1 });
    raft.readIndex(1);
    s.fake(1).reads = [{ context: 1, index: 1 }];
    s.set(2, { commit: 2 });
    raft.ready();
    s.watch.check();
    raft.readIndex(2);
    s.fake(1).reads = [{ context: 2, index: 1 }];
    raft.ready();
    s.watch.check();
  },
  'RefusalsKept: batch 7/1 was refused with ERAFT_UNAVAILABLE': (s) => {
    const connections = [{}, {}] as const;
    s.ask(connections[0], 1);
    s.write([1], ['1/1'], true, null, ['7/1']);
    s.refuse(connections[0], 1, 'ERAFT_OUTCOME_UNKNOWN');
    s.refuse(connections[1], 1, 'ERAFT_UNAVAILABLE');
    s.ask(connections[0], 1);
    s.refuse(connections[0], 1, 'ERAFT_UNAVAILABLE'); // one of two copies
    const other = new Stage();
    other.ask(connections[0], 1);
    other.refuse(connections[0], 1, 'ERAFT_UNAVAILABLE');
    other.write([1], ['1/1'], true, null, ['7/1']);
    other.watch.check();
  },
  RecoveredAsWritten: (s) => {
    s.write([1], ['1/1']);
    s.watch.started(s.fake(1).replica, null);
    s.watch.check();
  },
};

for (const [name, play] of Object.entries(CASES)) {
  test(`${name} is found`, () => {
    const stage = new Stage();
    assert.throws(() => play(stage), new RegExp(name));
  });
}
