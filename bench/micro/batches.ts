// The writes that micro benches are fed with: puts of 256 bytes, as a client encodes them.
import {
  COMMAND,
  CommandScratch,
  emptyWriteFrame,
  stampRequest,
  stampSession,
  WRITE_FRAME_HEADERS_AT,
  writeFrameDataAt,
} from '../../ts/proto/command-batch.js';
import { FRAME, FRAME_HEADER_BYTES } from '../../ts/proto/frame.js';

export const VALUE = new Uint8Array(256).fill(0xa5);
const KEYS = 100_000;

/** Keys of 8 bytes, each from another place, the same in every run. `from`: how many were taken before. */
export function someKeys(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(((from + i) * 7_919) % KEYS).padStart(8, '0'));
}

/** A write frame, from calls to bytes. `scratch` is kept from one to the next, as a client keeps it. */
export function encodePuts(scratch: CommandScratch, keys: readonly string[], value: Uint8Array): Buffer {
  scratch.clear();
  for (const key of keys) scratch.add(COMMAND.put, 0, 0, key, value);
  return finishFrame(scratch);
}

export function encodeIncrements(keys: readonly string[]): Buffer {
  const scratch = new CommandScratch();
  for (const key of keys) scratch.add(COMMAND.increment, 0, 0, key, undefined, 1);
  return finishFrame(scratch);
}

function finishFrame(scratch: CommandScratch): Buffer {
  const { headers, dataBytes } = scratch;
  const frame = emptyWriteFrame(headers, dataBytes);
  scratch.copyHeaders(frame, WRITE_FRAME_HEADERS_AT, 0, headers);
  scratch.copyData(frame, writeFrameDataAt(headers), 0, dataBytes);
  stampSession(frame, 0, 0, 0);
  stampRequest(frame, FRAME.write, 1, 5_000);
  return frame;
}

/** The CommandBatch in a write frame. */
export function batchOf(frame: Buffer): Uint8Array {
  return frame.subarray(FRAME_HEADER_BYTES);
}

const COMMANDS_MAX = 4_096;

/** CommandBatches of `count` puts together, none larger than a legal one. `from`: as in `someKeys`. */
export function putBatches(count: number, from = 0): Uint8Array[] {
  const scratch = new CommandScratch();
  const batches: Uint8Array[] = [];
  const keys = someKeys(count, from);
  for (let at = 0; at < count; at += COMMANDS_MAX) {
    batches.push(batchOf(encodePuts(scratch, keys.slice(at, at + COMMANDS_MAX), VALUE)));
  }
  return batches;
}
