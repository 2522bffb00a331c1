// Who looks whether all is well, after every step, and what they are told.
import { decodeRaftFrame, PEER_PREFIX_BYTES } from '../../ts/proto/peer-frames.js';
import type { Message } from '../../ts/raft/messages.js';
import { isRaftFrame } from '../../ts/transport/memory-network.js';
import type { Head, Recovered, Submission } from './disk-image.js';
import { INVARIANTS } from './invariants/index.js';
import type { Replica } from './replica.js';

/** What went wrong, in one line that begins with the invariant's name. */
export class Finding extends Error {
  readonly invariant: string;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** An entry that was committed, by its index. */
export interface Committed {
  readonly term: number;
  readonly crc: number;
}

/** What invariants may look at, and whom they tell. */
export interface World {
  readonly replicas: readonly Replica[];
  readonly majority: number;
  /** Everything that any replica held to be committed, entry `index` at `index - 1`. */
  readonly committed: Committed[];
  fail(invariant: string, what: string): void;
}

/**
 * One invariant. Its methods are called as things happen; none throws, none changes anything. What it keeps, it keeps over
 * restarts: promises outlive processes.
 */
export interface Invariant {
  /** A disk was opened; null: an empty one. */
  started?(replica: Replica, recovered: Recovered | null): void;
  submitted?(replica: Replica, submission: Submission): void;
  /** A message leaves. */
  sent?(from: Replica, message: Message): void;
  /** A client sends this frame on a connection of its own. */
  asked?(connection: object, frame: Uint8Array): void;
  /** A replica answers on it, whether the answer arrives or not. */
  answered?(connection: object, frame: Uint8Array): void;
  /** Something happened at this replica, which is up. */
  stepped?(replica: Replica): void;
  /** The same, now and then, while its storage is well: for what costs more. */
  looked?(replica: Replica): void;
}

const LOOK_EVERY = 64;

type Question = Exclude<keyof Invariant, 'started'>;
type Asked<Q extends Question> = Invariant & Required<Pick<Invariant, Q>>;

function asks<Q extends Question>(invariant: Invariant, question: Q): invariant is Asked<Q> {
  return invariant[question] !== undefined;
}

export class Watch implements World {
  readonly replicas: Replica[] = [];
  readonly committed: Committed[] = [];
  /** The first one. */
  finding: Finding | null = null;
  readonly #invariants: readonly Invariant[];
  // Those that have something to say to it: the same four questions are put after every event.
  readonly #submitted: readonly Asked<'submitted'>[];
  readonly #sent: readonly Asked<'sent'>[];
  readonly #stepped: readonly Asked<'stepped'>[];
  readonly #looked: readonly Asked<'looked'>[];
  /** Each once; nearly always one. */
  readonly #touched: Replica[] = [];
  /** Behind the invariants, for each replica to which something has happened. */
  onChecked: ((replica: Replica) => void) | null = null;
  #steps = 0;

  constructor() {
    const all = INVARIANTS.map((make) => make(this));
    this.#invariants = all;
    this.#submitted = all.filter((each) => asks(each, 'submitted'));
    this.#sent = all.filter((each) => asks(each, 'sent'));
    this.#stepped = all.filter((each) => asks(each, 'stepped'));
    this.#looked = all.filter((each) => asks(each, 'looked'));
  }

  get majority(): number {
    return Math.floor(this.replicas.length / 2) + 1;
  }

  fail(invariant: string, what: string): void {
    this.finding ??= new Finding(invariant, what);
  }

  touched(replica: Replica): void {
    if (!this.#touched.includes(replica)) this.#touched.push(replica);
  }

  started(replica: Replica, recovered: Recovered | null): void {
    for (const invariant of this.#invariants) invariant.started?.(replica, recovered);
  }

  /** The entries up to this one, as some disk has had them: what a snapshot that ends with it stands for. */
  history(index: number, term: number): readonly Head[] {
    for (const { image, lost } of this.replicas) {
      for (const known of [image, lost]) if (known?.log[index - 1]?.term === term) return known.log.slice(0, index);
    }
    this.fail('StateMachineSafety', `a snapshot of ${term}/${index} is installed, an entry that nobody had`);
    return [];
  }

  submitted(replica: Replica, submission: Submission): void {
    for (const invariant of this.#submitted) invariant.submitted(replica, submission);
  }

  asked(connection: object, frame: Uint8Array): void {
    for (const invariant of this.#invariants) invariant.asked?.(connection, frame);
  }

  answered(connection: object, frame: Uint8Array): void {
    for (const invariant of this.#invariants) invariant.answered?.(connection, frame);
  }

  /** A frame leaves. */
  sent(from: Replica, frame: Uint8Array): void {
    if (!isRaftFrame(frame)) return;
    for (const message of messagesOf(frame)) {
      for (const invariant of this.#sent) invariant.sent(from, message);
    }
  }

  /** After every event. @throws Finding */
  check(): void {
    if (this.#touched.length > 0) {
      for (const replica of this.#touched) {
        this.#checkOne(replica);
        this.onChecked?.(replica);
      }
      this.#touched.length = 0;
    }
    if (this.finding !== null) throw this.finding;
  }

  /** All that costs more, now. @throws Finding */
  look(replicas: readonly Replica[]): void {
    for (const replica of replicas) this.#look(replica);
    if (this.finding !== null) throw this.finding;
  }

  #checkOne(replica: Replica): void {
    if (replica.raft === null || replica.node === null) return;
    for (const invariant of this.#stepped) invariant.stepped(replica);
    if (++this.#steps % LOOK_EVERY === 0) this.#look(replica);
  }

  /** The storage may have failed, or finished something, since the replica asked it last: the image knows as much afterwards. */
  #look(replica: Replica): void {
    if (replica.failed !== null || replica.storage === null || replica.storage.poll().failed !== 0) return;
    for (const invariant of this.#looked) invariant.looked(replica);
  }
}

export function messagesOf(frame: Uint8Array): Message[] {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const headEnd = PEER_PREFIX_BYTES + view.getUint32(4, true);
  const decoded = decodeRaftFrame(frame.subarray(PEER_PREFIX_BYTES, headEnd), frame.length - headEnd);
  return decoded.map(({ message }) => message);
}
