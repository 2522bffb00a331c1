import { decodeBatchHead } from '../../../ts/proto/command-batch.js';
import { decodeError } from '../../../ts/proto/control-frames.js';
import { FRAME, frameBody, readFrameHeader } from '../../../ts/proto/frame.js';
import { batchName, type Submission } from '../disk-image.js';
import type { Replica } from '../replica.js';
import type { Invariant, World } from '../watch.js';

/** All that is known of one batch of a session. */
interface Batch {
  copies: number;
  /** How the only copy was refused for certain; '' = it was not. */
  refused: string;
  logged: boolean;
}

/**
 * A write that was refused as not applied is in no log, and will be in none: its client takes that for a promise.
 *
 * Judges batches of which one copy was sent alone: of several, nobody could say which one is in the log.
 *
 * Source: docs/protocol.md, "Errors"; rule 29 of Raft's known bugs, an outcome that is promised wrongly.
 */
export class RefusalsKept implements Invariant {
  readonly #world: World;
  readonly #batches = new Map<string, Batch>(); // by session and sequence
  readonly #requests = new WeakMap<object, Map<number, string>>(); // by connection and number

  constructor(world: World) {
    this.#world = world;
  }

  asked(connection: object, frame: Uint8Array): void {
    if (frame[0] !== FRAME.write) return;
    const { session, sequence } = decodeBatchHead(frameBody(frame));
    if (session === 0) return;
    const name = batchName(session, sequence);
    const batch = this.#batch(name);
    batch.copies++;
    batch.refused = '';
    let requests = this.#requests.get(connection);
    if (requests === undefined) {
      requests = new Map();
      this.#requests.set(connection, requests);
    }
    requests.set(readFrameHeader(frame).request, name);
  }

  answered(connection: object, frame: Uint8Array): void {
    const { kind, request } = readFrameHeader(frame);
    const requests = this.#requests.get(connection);
    const name = requests?.get(request);
    if (requests === undefined || name === undefined) return;
    requests.delete(request);
    if (kind !== FRAME.error) return;
    const { code, outcome } = decodeError(frameBody(frame));
    const batch = this.#batch(name);
    // A gap is found when the batch is applied: it changes nothing, and lies in the log.
    if (outcome !== 'not-applied' || code === 'ERAFT_SEQUENCE_GAP' || batch.copies > 1) return;
    batch.refused = code;
    this.#judge(name, batch);
  }

  submitted(_: Replica, { batches }: Submission): void {
    for (const name of batches) {
      const batch = this.#batch(name);
      if (batch.logged) continue;
      batch.logged = true;
      this.#judge(name, batch);
    }
  }

  #judge(name: string, { refused, logged }: Batch): void {
    if (refused === '' || !logged) return;
    this.#world.fail('RefusalsKept', `batch ${name} was refused with ${refused}, and is in a log`);
  }

  #batch(name: string): Batch {
    let batch = this.#batches.get(name);
    if (batch === undefined) {
      batch = { copies: 0, refused: '', logged: false };
      this.#batches.set(name, batch);
    }
    return batch;
  }
}
