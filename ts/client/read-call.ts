// A point read from the caller's side.
import { EraftError } from '../base/errors.js';
import type { EntryReader } from '../proto/entries.js';
import { Call } from './call.js';
import { isAboutReplica } from './channel.js';
import type { Codec } from './codec.js';

/** Where a read waits. */
export interface ReadPlace {
  readonly lastRefusal: EraftError | undefined;
}

export type ReadWant = 'value' | 'entry' | 'entries' | 'existence';

/** One get, getEntry, has or getMany: a run of keys within one ReadBatch. */
export class ReadCall extends Call {
  readonly want: ReadWant;
  readonly codec: Codec<unknown, unknown>;
  /** As they are handed out; empty where no entry is. */
  readonly keys: readonly unknown[];
  /** How many keys it takes in its batch. */
  readonly count: number;
  readonly #resolve: (value: never) => void;
  place: ReadPlace | undefined;

  constructor(
    deadline: number,
    resolve: (value: never) => void,
    reject: (error: unknown) => void,
    want: ReadWant,
    codec: Codec<unknown, unknown>,
    keys: readonly unknown[],
    count: number,
  ) {
    super(deadline, reject);
    this.#resolve = resolve;
    this.want = want;
    this.codec = codec;
    this.keys = keys;
    this.count = count;
  }

  withdraw(): undefined {
    return undefined; // its keys stay in the batch, and nobody hears the answer
  }

  expired(): EraftError {
    return readExpired('the read', this.place?.lastRefusal);
  }

  /** Reads its entries, the next of `entries`. @throws TypeError for bytes that are not the text that they should be */
  take(entries: EntryReader): unknown {
    if (this.want === 'entries') return this.keys.map((key) => this.#entry(entries, key));
    if (this.want === 'entry') return this.#entry(entries, this.keys[0]);
    entries.next();
    if (this.want === 'existence') return entries.present;
    return entries.present ? this.codec.value(entries.copyValue()) : undefined;
  }

  #entry(entries: EntryReader, key: unknown): unknown {
    entries.next();
    if (!entries.present) return undefined;
    return { key, value: this.codec.value(entries.copyValue()), revision: entries.revision };
  }

  /** After PendingCalls.settle. */
  resolve(value: unknown): void {
    this.#resolve(value as never);
  }
}

/** What a read is told when its time is up. */
export function readExpired(what: string, cause: EraftError | undefined): EraftError {
  if (cause?.code === 'ERAFT_UNAVAILABLE' || cause?.code === 'ERAFT_OVERLOADED') {
    return new EraftError(cause.code, `${what} could not be answered in time: ${cause.message}`, { cause });
  }
  return new EraftError('ERAFT_READ_TIMEOUT', `${what} was not answered in time`, { cause });
}

/** A read changes nothing, so whatever is about the replica or the moment is tried again, elsewhere or later. */
export function mayRead(error: EraftError): boolean {
  if (error.code === 'ERAFT_SNAPSHOT_LOST') return false;
  return error.retryable || error.outcome === 'unknown' || isAboutReplica(error);
}
