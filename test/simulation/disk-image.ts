// What the disk of one replica holds of its group, from what was submitted to it and what it confirmed: the image that a crash
// now would leave at least, and what it may leave at most.
import { RECORD_HEADER_BYTES } from '../../ts/storage/index.js';

/** What an entry is known by: two records with the same head hold the same bytes. */
export interface Head {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly firstRevision: number;
  readonly count: number;
  readonly crc: number;
}

export interface Hard {
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
}

export interface Submission {
  readonly ticket: number;
  readonly hard: Hard | null;
  readonly heads: readonly Head[];
  /** The batches of sessions in it: session/sequence. */
  readonly batches: readonly string[];
}

/** What recovery found. */
export interface Recovered extends Hard {
  readonly lastIndex: number;
  /** Pairs of first index and term. */
  readonly termRuns: Float64Array;
  readonly compactedIndex: number;
  readonly compactedTerm: number;
}

const NOTHING: Hard = { term: 0, vote: 0, commit: 0 };

/** Record headers of docs/log-format.md, as they lie in `slab[start..end)`. */
export function headsOf(slab: Uint8Array, start: number, end: number): Head[] {
  const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
  const u64 = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
  const heads: Head[] = [];
  for (let at = start; at < end; ) {
    heads.push({
      crc: view.getUint32(at, true),
      kind: view.getUint8(at + 9),
      index: u64(at + 16),
      term: u64(at + 24),
      firstRevision: u64(at + 40),
      count: view.getUint32(at + 48, true),
    });
    at += RECORD_HEADER_BYTES + Math.ceil(view.getUint32(at + 4, true) / 8) * 8;
  }
  return heads;
}

const COMMANDS = 2;
const SESSION_AT = 24;
const SEQUENCE_AT = 32;

/** The batches of sessions in these records, as their clients know them: of each the head of its fixed shape is read. */
export function batchesOf(slab: Uint8Array, start: number, end: number): string[] {
  const view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
  const u64 = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
  const batches: string[] = [];
  for (let at = start; at < end; ) {
    const next = at + RECORD_HEADER_BYTES + Math.ceil(view.getUint32(at + 4, true) / 8) * 8;
    const isCommands = view.getUint8(at + 9) === COMMANDS;
    for (let batch = at + RECORD_HEADER_BYTES; isCommands && batch < next; ) {
      const body = batch + 8;
      const session = u64(body + SESSION_AT);
      if (session !== 0) batches.push(batchName(session, u64(body + SEQUENCE_AT)));
      batch = body + Math.ceil(view.getUint32(batch, true) / 8) * 8;
    }
    at = next;
  }
  return batches;
}

/** What a batch is called by its session and its sequence there. */
export function batchName(session: number, sequence: number): string {
  return `${session}/${sequence}`;
}

export class DiskImage {
  /** All that was submitted, durable or not; entry `index` at `index - 1`. What was cut off in front stays known. */
  log: Head[] = [];
  hard: Hard = NOTHING;
  /** The same, of what is durable. */
  durable: Head[] = [];
  durableHard: Hard = NOTHING;
  /** All that was ever submitted, by index and term: a log that is cut short may end with what was replaced behind the cut. */
  #ever = new Map<string, Head>();
  #queue: Submission[] = [];
  #installing: Head[] | null = null;

  submit(submission: Submission): void {
    for (const head of submission.heads) {
      put(this.log, head);
      this.#ever.set(`${head.index}/${head.term}`, head);
    }
    if (submission.hard !== null) this.hard = submission.hard;
    this.#queue.push(submission);
  }

  /** Everything up to `ticket` is on disk; terms and votes up to `votes`, which may be ahead. */
  confirm(ticket: number, votes: number): void {
    while (this.#queue.length > 0 && (this.#queue[0] as Submission).ticket <= ticket) {
      const { heads, hard } = this.#queue.shift() as Submission;
      for (const head of heads) put(this.durable, head);
      if (hard !== null) this.durableHard = hard;
    }
    const { commit } = this.durableHard;
    for (const { ticket: at, hard } of this.#queue) {
      if (at > votes) break;
      if (hard !== null) this.durableHard = { ...hard, commit };
    }
  }

  /** A snapshot begins to take the place of the log, which is what led up to it from now on, or still what it was. */
  install(prefix: readonly Head[]): void {
    this.#installing = [...prefix];
  }

  /** It has taken its place. */
  installed(): void {
    if (this.#installing === null) return;
    this.log = [...this.#installing];
    this.durable = this.#installing;
    this.#installing = null;
    this.#queue = this.#queue.map((submission) => ({ ...submission, heads: [] }));
  }

  /** The beginning of it that a repair of the log has left, as it was then, and the vote that came with it. */
  beginning(found: Recovered): DiskImage {
    const { lastIndex, compactedIndex, term, vote, commit } = found;
    const image = new DiskImage();
    image.#ever = this.#ever;
    // Opening completes an installation that was interrupted, whatever has become of the log.
    const isReplaced = this.#installing?.[compactedIndex - 1]?.term === found.compactedTerm;
    const before = isReplaced ? (this.#installing ?? []) : this.log;
    image.log = before.slice(0, Math.min(compactedIndex, lastIndex));
    for (let index = image.log.length + 1; index <= lastIndex; index++) {
      const head = this.#ever.get(`${index}/${termOf(found, index)}`);
      if (head === undefined) break; // nobody wrote it: the one who compares finds it missing
      image.log.push(head);
    }
    image.durable = [...image.log];
    image.hard = { term, vote, commit };
    image.durableHard = image.hard;
    return image;
  }

  holds(index: number, term: number): boolean {
    return this.durable[index - 1]?.term === term;
  }

  /**
   * The replica was started again. What it recovered must be what was durable, or that and some of what was submitted after it,
   * in order.
   *
   * @returns what is wrong with it; '' when nothing is
   */
  restart(found: Recovered): string {
    const wrong = this.differs(found.term, found.vote, found.lastIndex, termOf(found, found.lastIndex));
    this.durableHard = { term: found.term, vote: found.vote, commit: found.commit };
    this.durable = this.#moment(found.lastIndex, termOf(found, found.lastIndex)) ?? this.durable;
    this.#queue.length = 0;
    this.#installing = null;
    this.log = [...this.durable];
    this.hard = this.durableHard;
    if (wrong !== '') return wrong;
    const other = this.log.find(({ index, term }) => index > found.compactedIndex && termOf(found, index) !== term);
    if (other === undefined) return '';
    return `entry ${other.index} is of term ${termOf(found, other.index)}, and ${other.term} was written`;
  }

  /** What is wrong with a disk that holds this vote, and this entry as its last; '' when nothing is. */
  differs(term: number, vote: number, lastIndex: number, lastTerm: number): string {
    const votes = [this.durableHard, ...this.#queue.flatMap(({ hard }) => hard ?? [])];
    if (!votes.some((known) => known.term === term && known.vote === vote)) {
      const known = `a vote for ${this.durableHard.vote} in term ${this.durableHard.term} was durable`;
      return `${known}, and there is one for ${vote} in term ${term}`;
    }
    if (this.#moment(lastIndex, lastTerm) !== null) return '';
    const last = this.durable.at(-1);
    return `${last?.term ?? 0}/${last?.index ?? 0} was durable, and ${lastTerm}/${lastIndex} is its last entry`;
  }

  /** The log between two writes, at a moment when this was its last entry; null: there was none since what is durable. */
  #moment(lastIndex: number, lastTerm: number): Head[] | null {
    const log = [...this.durable];
    const isIt = (): boolean => log.length === lastIndex && (log.at(-1)?.term ?? 0) === lastTerm;
    if (isIt()) return log;
    const replaced = this.#installing;
    if (replaced?.length === lastIndex && replaced.at(-1)?.term === lastTerm) return [...replaced];
    for (const { heads } of this.#queue) {
      for (const head of heads) {
        put(log, head);
        if (isIt()) return log;
      }
    }
    return null;
  }
}

/** Puts a record where it belongs; what was there and behind it is gone. */
function put(log: Head[], head: Head): void {
  log.length = Math.min(log.length, head.index - 1);
  log.push(head);
}

function termOf({ termRuns, compactedIndex, compactedTerm }: Recovered, index: number): number {
  if (index === compactedIndex) return compactedTerm;
  let term = 0;
  for (let i = 0; i + 1 < termRuns.length && (termRuns[i] ?? 0) <= index; i += 2) term = termRuns[i + 1] ?? 0;
  return term;
}
