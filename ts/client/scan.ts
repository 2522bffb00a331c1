// A scan: pages of an ordered range, one after the other, each asked for when the one before was taken.
import type { Clock } from '../base/clock.js';
import { LIMITS } from '../base/limits.js';
import { encodeCloseView } from '../proto/control-frames.js';
import { DEFAULT_GROUP, FRAME } from '../proto/frame.js';
import { CONSISTENCY } from '../proto/read-batch.js';
import { decodeScanPage, encodeScanRequest, SNAPSHOT } from '../proto/scan-frames.js';
import { malformed } from '../proto/table.js';
import type { Awaiting, Channel } from './channel.js';
import type { Codec } from './codec.js';
import type { Entry, ScanOptions } from './key-value.js';
import { demandInteger, demandOptions, flagOf, readModeOf, signalOf, timeoutOf } from './options.js';
import { EMPTY_RANGE, type Range, rangeBeyond, rangeOf } from './range.js';
import type { SingleRequests } from './single-request.js';

const PAGE_BYTES_DEFAULT = 256 * 1024;

export interface ScanParts {
  readonly channel: Channel;
  readonly singles: SingleRequests;
  /** The one that deadlines are on. */
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** @throws EraftError once the store is closed */
  demandOpen(): void;
}

interface Plan {
  readonly range: Range;
  readonly linearizable: boolean;
  readonly minRevision: number;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  readonly snapshot: boolean;
  /** Infinity: no limit. */
  readonly limit: number;
  readonly pageBytes: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

interface Page<K, V> {
  readonly entries: readonly Entry<K, V>[];
  readonly revision: number;
  readonly more: boolean;
  readonly snapshot: number;
  readonly lastKey: Uint8Array | undefined;
}

function planOf(o: ScanOptions | undefined, timeoutMs: number): Plan {
  demandOptions(o);
  if (o?.limit !== undefined) demandInteger(o.limit, 'limit', 0);
  const pageBytes = o?.pageBytes ?? PAGE_BYTES_DEFAULT;
  demandInteger(pageBytes, 'pageBytes', 1, LIMITS.scanPageBytesMax);
  const mode = readModeOf(o);
  return {
    range: rangeOf(o ?? {}),
    linearizable: mode.consistency === CONSISTENCY.linearizable,
    minRevision: mode.minRevision,
    reverse: flagOf(o?.reverse, 'reverse'),
    keysOnly: flagOf(o?.keysOnly, 'keysOnly'),
    snapshot: flagOf(o?.snapshot, 'snapshot'),
    limit: o?.limit ?? Number.POSITIVE_INFINITY,
    pageBytes,
    timeoutMs: timeoutOf(o?.timeoutMs, timeoutMs),
    signal: signalOf(o),
  };
}

/** The pages of a scan, none of them empty. Options are checked when the first one is asked for. */
export async function* scanPages<K, V>(
  parts: ScanParts,
  codec: Codec<K, V>,
  o: ScanOptions | undefined,
): AsyncGenerator<readonly Entry<K, V>[], void, undefined> {
  const plan = planOf(o, parts.timeoutMs);
  let { range, minRevision, limit } = plan;
  let snapshot: number = plan.snapshot ? SNAPSHOT.open : SNAPSHOT.none;
  let generation: number | undefined;
  try {
    while (limit > 0 && range !== EMPTY_RANGE) {
      const page = await askPage(parts, codec, plan, { range, minRevision, limit, snapshot, generation });
      if (plan.snapshot && page.value.more) {
        snapshot = page.value.snapshot;
        generation = page.generation;
      } else {
        generation = undefined; // released with its last page
      }
      const { entries, lastKey, more, revision } = page.value;
      limit -= entries.length;
      minRevision = Math.max(minRevision, revision); // pages of several replicas never go back in time
      if (entries.length > 0) yield entries;
      if (!more || lastKey === undefined) return;
      range = rangeBeyond(range, lastKey, plan.reverse);
    }
  } finally {
    if (generation !== undefined) releaseView(parts.channel, snapshot, generation);
  }
}

interface Place {
  readonly range: Range;
  readonly minRevision: number;
  readonly limit: number;
  readonly snapshot: number;
  readonly generation: number | undefined;
}

async function askPage<K, V>(
  parts: ScanParts,
  codec: Codec<K, V>,
  plan: Plan,
  place: Place,
): Promise<{ value: Page<K, V>; generation: number }> {
  parts.demandOpen();
  const limit = Math.min(place.limit, LIMITS.scanPageEntriesMax);
  const { first, end } = place.range;
  const { linearizable, reverse, keysOnly, pageBytes } = plan;
  let generation = 0;
  const raw = await parts.singles.ask({
    frame: encodeScanRequest({
      linearizable,
      minRevision: place.minRevision,
      first,
      end,
      reverse,
      keysOnly,
      limit,
      pageBytes,
      snapshot: place.snapshot,
    }),
    kind: FRAME.scan,
    answerKind: FRAME.page,
    what: 'the page of a scan',
    deadline: parts.clock.now() + plan.timeoutMs,
    signal: plan.signal,
    generation: place.generation,
    decode: (body) => {
      generation = parts.channel.generation;
      return copyPage(body, limit, place.snapshot);
    },
  });
  const entries = raw.entries.map((e) => ({
    key: codec.key(e.key),
    value: codec.value(e.value),
    revision: e.revision,
  }));
  return { value: { ...raw, entries, lastKey: raw.lastKey }, generation };
}

type RawEntry = Entry<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>;

/** Takes everything out of the frame, which is gone after this. */
function copyPage(
  body: Uint8Array,
  limit: number,
  snapshot: number,
): Page<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const page = decodeScanPage(body);
  if (page.entries.count > limit) throw malformed(`${page.entries.count} entries in a page of at most ${limit}`);
  if (snapshot !== SNAPSHOT.none && page.more && page.snapshot <= SNAPSHOT.open)
    throw malformed('a view without an id');
  const entries: RawEntry[] = [];
  let lastKey: Uint8Array | undefined;
  while (page.entries.next()) {
    const key = page.entries.copyKey();
    entries.push({ key, value: page.entries.copyValue(), revision: page.entries.revision });
    lastKey = key;
  }
  // The caller owns the keys that it is given and may write to them.
  if (lastKey !== undefined) lastKey = new Uint8Array(lastKey);
  return { entries, revision: page.revision, more: page.more, snapshot: page.snapshot, lastKey };
}

const DEAF: Awaiting = {
  answerKind: FRAME.viewClosed,
  onAnswer: () => undefined,
  onRefused: () => undefined,
  onLost: () => undefined,
};

/** Says that a view is not needed any more. If that gets lost, the view ends by itself a little later. */
function releaseView(channel: Channel, snapshot: number, generation: number): void {
  if (!channel.isUp || channel.generation !== generation) return;
  channel.send(encodeCloseView(snapshot, DEFAULT_GROUP, 0), FRAME.closeView, 1, DEAF);
}

/** The entries of a scan, and its pages. */
export function scanOf<K, V>(
  parts: ScanParts,
  codec: Codec<K, V>,
  o: ScanOptions | undefined,
): AsyncIterable<Entry<K, V>> & { pages(): AsyncIterable<readonly Entry<K, V>[]> } {
  const kept = keptOptions(o);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const page of scanPages(parts, codec, kept)) yield* page;
    },
    pages: () => ({ [Symbol.asyncIterator]: () => scanPages(parts, codec, kept) }),
  };
}

/** Bounds are copied before the call returns; what is wrong with them is told when the scan begins. */
function keptOptions(o: ScanOptions | undefined): ScanOptions | undefined {
  if (typeof o !== 'object' || o === null) return o;
  const kept = { ...o };
  for (const name of ['prefix', 'gte', 'gt', 'lt', 'lte'] as const) {
    const bound = kept[name];
    if (bound instanceof Uint8Array) kept[name] = new Uint8Array(bound);
  }
  return kept;
}
