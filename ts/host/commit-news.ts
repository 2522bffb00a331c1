import type { Clock, Timer } from '../base/clock.js';
import type { Heartbeat, Message, ReplicaId } from '../raft/messages.js';

const PATIENCE_MS = 5;

interface Lane {
  /** Of the last message that left. */
  term: number;
  round: number;
  waiting: Heartbeat | null;
}

/**
 * Holds back heartbeats that say nothing but how far the commit index is, until something else goes to that follower and
 * says it too, or a moment has passed. Under load each append carries the commit index of the one before it, so half of
 * all messages and their answers need not exist.
 *
 * SAFETY: a held heartbeat is a message that the network delivers a little later, or loses.
 * Claim:   nothing waits for it longer than PATIENCE_MS, but for what the network may delay as well.
 * Why:     a heartbeat that opens a read round, the first of a term, and every other message leave at once. A follower
 *          needs the commit index to apply, which it does late anyhow; and no election timeout is near PATIENCE_MS.
 * Rests:   every append and heartbeat carries the newest commit index (Leadership.#heartbeat), so whichever replaces the
 *          held one says no less.
 * Checked: test/host/commit-news.test.ts.
 */
export class CommitNews {
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #lanes = new Map<ReplicaId, Lane>();
  #timer: Timer | null = null;
  #due = false;

  /** @param wake - `takeDue` has something */
  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Of these messages, those that leave now. */
  pass(messages: readonly Message[]): readonly Message[] {
    if (!messages.some((m) => m.type === 'heartbeat')) {
      for (const m of messages) this.#left(m);
      return messages;
    }
    return messages.filter((m) => {
      if (m.type === 'heartbeat' && this.#holds(m)) return false;
      this.#left(m);
      return true;
    });
  }

  /** What has waited long enough. */
  takeDue(): readonly Message[] {
    if (!this.#due) return [];
    this.#due = false;
    const due: Message[] = [];
    for (const lane of this.#lanes.values()) {
      if (lane.waiting !== null) due.push(lane.waiting);
      lane.waiting = null;
    }
    return due;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #holds(m: Heartbeat): boolean {
    const lane = this.#lanes.get(m.to);
    if (lane === undefined || lane.term !== m.term || lane.round !== m.round) return false;
    lane.waiting = m;
    this.#timer ??= this.#clock.after(PATIENCE_MS, () => {
      this.#timer = null;
      this.#due = true;
      this.#wake();
    });
    return true;
  }

  #left(m: Message): void {
    if (m.type !== 'append' && m.type !== 'heartbeat') return;
    const lane = this.#lanes.get(m.to);
    if (lane === undefined) this.#lanes.set(m.to, { term: m.term, round: m.round, waiting: null });
    else {
      lane.term = m.term;
      lane.round = m.round;
      lane.waiting = null;
    }
  }
}
