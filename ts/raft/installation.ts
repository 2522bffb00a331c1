import { invariant } from './invariant.js';
import type { SnapshotPoint } from './ready.js';

// SAFETY: a state that is being replaced from outside, while messages go on arriving.
// Claim:   whatever a crash leaves, old state or new, no promise is broken and nothing committed here is lost.
// Why:     until `end`, log and marks stay as they are: votes are judged by the old log, and acknowledgements name what
//          the old log holds, as if the snapshot had not come yet. Nobody has counted it here, so that is always true.
//          Every acknowledgement of this term lies below the snapshot (Following.onSnapshot), hence within it; one of an
//          earlier term above it is of an entry that can no longer be committed. The snapshot itself is committed
//          whatever becomes of the leader that sent it, so a new term does not stop it.
// And:     what would need the log to hold still does not happen: appends count as heartbeats, nothing more is handed out
//          to be applied, and this replica does not campaign (else it could lead with a log that is being dropped).
// Rests:   handed out only when our term is durable: a log that ends in a term above the one on disk would be the work of a
//          term never entered, after a crash.
// Checked: transcripts/snapshot-*.txt; snapshots.test.ts; random.test.ts after every step.
/** The snapshot that this replica is replacing its log and state machine by, if it is. */
export class Installation {
  #point: SnapshotPoint | null = null;
  #handed = false;

  get underWay(): boolean {
    return this.#point !== null;
  }

  /** Is there something for the host to do? */
  isDue(termDurable: boolean): boolean {
    return this.#point !== null && !this.#handed && termDurable;
  }

  begin(index: number, term: number): void {
    invariant(this.#point === null, 'one installation at a time: index', index);
    this.#point = Object.freeze({ index, term });
    this.#handed = false;
  }

  /** What to hand out now, once. */
  take(termDurable: boolean): SnapshotPoint | null {
    if (!this.isDue(termDurable)) return null;
    this.#handed = true;
    return this.#point;
  }

  /** The host is done with it, or has given it up. */
  end(index: number): SnapshotPoint {
    const point = this.#point;
    invariant(point !== null && this.#handed, 'what is reported was asked for: index', index);
    invariant(point.index === index, 'the snapshot that was asked for: index, asked', index, point.index);
    this.#point = null;
    return point;
  }
}
