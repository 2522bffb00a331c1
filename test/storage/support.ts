// A storage, and what a host does with it: records in order, waiting by onProgress alone.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MiB } from '../../ts/base/limits.js';
import {
  COMMAND,
  CommandScratch,
  emptyWriteFrame,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../../ts/proto/command-batch.js';
import { FRAME_HEADER_BYTES as CLIENT_HEADER_BYTES } from '../../ts/proto/frame.js';
import {
  ANSWER_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  openStorage,
  RECORD_HEADER_BYTES,
  RECORD_KINDS,
  RESULT_RECORD_HEADER_BYTES,
  type Storage,
  type StorageOptions,
} from '../../ts/storage/index.js';

export const GROUP = 1;
const NO_STATES = new Float64Array(0);

/** Small, so that tests are quick; the sizes of the log hold every legal record. */
export const SMALL = {
  segmentBytes: 16 * MiB,
  tailBytes: 1 * MiB,
  cacheBytes: 1 * MiB,
  memtableBytes: 4 * MiB,
  readThreads: 1,
} as const;

/** A new folder, removed when the test ends. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'eraft-storage-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A CommandBatch of puts. */
export function puts(entries: Readonly<Record<string, string>>): Uint8Array {
  const scratch = new CommandScratch();
  for (const [key, value] of Object.entries(entries)) scratch.add(COMMAND.put, 0, 0, key, value);
  const frame = emptyWriteFrame(scratch.headers, scratch.dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, scratch.headers);
  scratch.copyData(frame, writeFrameDataAt(scratch.headers), 0, scratch.dataBytes);
  return frame.subarray(CLIENT_HEADER_BYTES);
}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** { length, tag, bytes, padding }. */
export function framed(tag: number, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(padded(FRAME_HEADER_BYTES + bytes.length));
  const view = new DataView(out.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, tag, true);
  out.set(bytes, FRAME_HEADER_BYTES);
  return out;
}

export interface Answer {
  readonly tag: number;
  readonly status: number;
  readonly bytes: Uint8Array;
}

export interface Result {
  readonly index: number;
  readonly term: number;
  readonly group: number;
  readonly batches: readonly Uint8Array[];
}

/** One thread's storage with the bookkeeping of a host that is alone: its own log positions, and waiting. */
export class Held {
  readonly storage: Storage;
  index = 0;
  revision = 1;
  #wake: () => void = () => undefined;

  private constructor(storage: Storage) {
    this.storage = storage;
  }

  static async open(
    options: Omit<StorageOptions, 'onProgress' | 'replica' | 'cluster'> & Partial<StorageOptions>,
  ): Promise<Held> {
    let held: Held | undefined;
    const storage = await openStorage({
      replica: 1,
      cluster: '',
      ...SMALL,
      ...options,
      onProgress: () => held?.progress(),
    });
    held = new Held(storage);
    held.#recover();
    return held;
  }

  /** As `attachStorage` gives it. */
  static of(open: (onProgress: () => void) => Storage): Held {
    let held: Held | undefined;
    held = new Held(open(() => held?.progress()));
    return held;
  }

  /** What onProgress calls. */
  progress(): void {
    this.#wake();
  }

  #recover(): void {
    const group = this.storage.groups().find((each) => each.group === GROUP);
    if (group === undefined) return;
    this.index = group.lastIndex;
    this.revision = Math.max(group.nextRevision, 1);
  }

  /** The next record with these batches, sealed. */
  record(...batches: readonly Uint8Array[]): Uint8Array {
    const payload = batches.reduce((sum, batch) => sum + FRAME_HEADER_BYTES + padded(batch.length), 0);
    const slab = new Uint8Array(RECORD_HEADER_BYTES + payload);
    let at = RECORD_HEADER_BYTES;
    let count = 0;
    for (const batch of batches) {
      slab.set(framed(0, batch), at);
      at += FRAME_HEADER_BYTES + padded(batch.length);
      const commands = this.storage.log.verifyBatch(batch, 0, batch.length);
      assert.ok(commands > 0, `refused: ${commands}`);
      count += commands;
    }
    this.index++;
    const kind = batches.length === 0 ? RECORD_KINDS.blank : RECORD_KINDS.commands;
    const end = this.storage.log.seal(slab, 0, at, kind, GROUP, this.index, 1, 0, this.revision, count);
    assert.equal(end, slab.length);
    this.revision += count;
    return slab;
  }

  /** Submits the next record. @returns its ticket */
  submit(...batches: readonly Uint8Array[]): number {
    const record = this.record(...batches);
    return this.storage.log.submit(record, 0, record.length, NO_STATES, 0);
  }

  /** Waits by onProgress until `done`; `poll` has been called right before it. */
  async until(done: () => boolean): Promise<void> {
    for (;;) {
      const called = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.storage.poll();
      if (done()) return;
      await this.#alive(called);
    }
  }

  /** onProgress does not keep the process alive; a timer does while a test waits for it. */
  async #alive(called: Promise<void>): Promise<void> {
    const timer = setInterval(() => undefined, 60_000);
    try {
      await called;
    } finally {
      clearInterval(timer);
    }
  }

  /** Submits, waits for the disk, applies, waits for that. */
  async write(...batches: readonly Uint8Array[]): Promise<void> {
    const ticket = this.submit(...batches);
    const { index } = this;
    await this.until(() => this.storage.poll().durable >= ticket);
    this.storage.machine.apply(GROUP, index, true);
    await this.until(() => this.storage.machine.applied(GROUP) >= index);
  }

  peek(key: string): string | undefined | null {
    const out = new Uint8Array(1 * MiB);
    const bytes = this.storage.machine.peek(GROUP, Buffer.from(key), out);
    if (bytes === -1) return undefined;
    return bytes === -2 ? null : Buffer.from(out.subarray(0, bytes)).toString();
  }

  results(): Result[] {
    const out = new Uint8Array(4 * MiB);
    const bytes = this.storage.machine.results(out, 0);
    assert.ok(bytes >= 0);
    const view = new DataView(out.buffer);
    const found: Result[] = [];
    for (let at = 0; at < bytes; ) {
      const end = at + RESULT_RECORD_HEADER_BYTES + view.getUint32(at + 20, true);
      const batches: Uint8Array[] = [];
      for (let from = at + RESULT_RECORD_HEADER_BYTES; from < end; ) {
        const length = view.getUint32(from, true);
        batches.push(out.slice(from + FRAME_HEADER_BYTES, from + FRAME_HEADER_BYTES + length));
        from += FRAME_HEADER_BYTES + padded(length);
      }
      assert.equal(batches.length, view.getUint32(at + 16, true));
      const u64 = (offset: number): number => Number(view.getBigUint64(at + offset, true));
      found.push({ index: u64(0), term: u64(8), group: view.getUint32(at + 24, true), batches });
      at = end;
    }
    return found;
  }

  answers(): Answer[] {
    const out = new Uint8Array(8 * MiB);
    const bytes = this.storage.answers(out, 0);
    assert.ok(bytes >= 0);
    const view = new DataView(out.buffer);
    const found: Answer[] = [];
    for (let at = 0; at < bytes; ) {
      const length = view.getUint32(at, true);
      found.push({
        tag: view.getUint32(at + 4, true),
        status: view.getUint32(at + 8, true),
        bytes: out.slice(at + ANSWER_HEADER_BYTES, at + ANSWER_HEADER_BYTES + length),
      });
      at += padded(ANSWER_HEADER_BYTES + length);
    }
    return found;
  }

  /** Waits for the next answers. */
  async nextAnswers(): Promise<Answer[]> {
    await this.until(() => this.storage.poll().answersBytes > 0);
    return this.answers();
  }

  close(): Promise<void> {
    return this.storage.close();
  }
}
