// Reading frames: what a replica does with those of peers and clients, and a client with answers.

import { CommandScratch, decodeBatchHead, stampRequest } from '../../ts/proto/command-batch.js';
import { FRAME, frameBody, readFrameHeader } from '../../ts/proto/frame.js';
import { decodeRaftFrame, encodeRaftFrame, type OutgoingMessage } from '../../ts/proto/peer-frames.js';
import { CONSISTENCY, decodeReadHead, decodeReadResult, ReadScratch } from '../../ts/proto/read-batch.js';
import { ResultReader } from '../../ts/proto/result-batch.js';
import type { Message } from '../../ts/raft/index.js';
import { FRAME_HEADER_BYTES as PART_HEADER_BYTES, RESULT_RECORD_HEADER_BYTES } from '../../ts/storage/index.js';
import { FrameReader } from '../../ts/transport/frame-reader.js';
import { BenchError } from '../lib/errors.js';
import { batchOf, encodeIncrements, encodePuts, putBatches, someKeys, VALUE } from './batches.js';
import { Feeder, GROUP } from './feeder.js';
import type { Subject, Work } from './work.js';

const COUNT = 128;
const PEER_FRAME_BYTES_MAX = 16 * 1024 * 1024;
const ANSWER_BYTES = 1024 * 1024;

export const frames: Subject = {
  name: 'frames',
  async open(folder) {
    const feeder = await Feeder.open(folder);
    const works = [...peerWorks(), ...requestWorks(), ...(await answerWorks(feeder))];
    return { works, close: () => feeder.close() };
  },
};

const ENVELOPE = { from: 1, to: 2, term: 3 } as const;

/** From bytes as they arrive to messages; the records behind an append are inspected in Rust. */
function peerWorks(): Work[] {
  const leader = { ...ENVELOPE, session: 4, commit: 1_000, truncatable: 900, round: 50 };
  const append: Message = { type: 'append', ...leader, index: 1_000, logTerm: 3, entries: [], last: 1_001 };
  const hint = { hintIndex: 0, hintTerm: 0 };
  const reply: Message = {
    type: 'appendReply',
    ...ENVELOPE,
    session: 4,
    granted: true,
    index: 1_001,
    ...hint,
    round: 50,
  };
  return [
    peerWork('peer: append with 4 KiB of records', { group: GROUP, message: append, recordBytes: 4_096 }),
    peerWork('peer: acknowledgement', { group: GROUP, message: reply, recordBytes: 0 }),
  ];
}

function peerWork(name: string, outgoing: OutgoingMessage): Work {
  const head = encodeRaftFrame([outgoing]);
  const bytes = new Uint8Array(head.length + outgoing.recordBytes);
  bytes.set(head);
  const reader = new FrameReader(PEER_FRAME_BYTES_MAX);
  let messages = 0;
  const call = (): number => {
    reader.push(bytes, (_, headBytes, tail) => {
      messages += decodeRaftFrame(headBytes, tail.length).length;
    });
    return messages;
  };
  return { name, unit: 'frame', perCall: 1, call };
}

function requestWorks(): Work[] {
  const write = encodePuts(new CommandScratch(), someKeys(COUNT), VALUE);
  const keys = new ReadScratch();
  for (const key of someKeys(COUNT)) keys.add(key);
  const read = keys.frame(CONSISTENCY.linearizable, 0, 0);
  stampRequest(read, FRAME.read, 1, 5_000);
  const callWrite = (): number => readFrameHeader(write).request + decodeBatchHead(frameBody(write)).headers;
  const callRead = (): number => readFrameHeader(read).request + decodeReadHead(frameBody(read)).keys;
  return [
    { name: `replica: write of ${COUNT}`, unit: 'frame', perCall: 1, call: callWrite },
    { name: `replica: read of ${COUNT}`, unit: 'frame', perCall: 1, call: callRead },
  ];
}

/** Answers as the state machine makes them. */
async function answerWorks(feeder: Feeder): Promise<Work[]> {
  await feeder.write(putBatches(COUNT));
  const ofPuts = onlyBatch(feeder.takeResults());
  await feeder.write([batchOf(encodeIncrements(Array.from({ length: COUNT }, (_, i) => `count ${i}`)))]);
  const ofIncrements = onlyBatch(feeder.takeResults());
  const ofReads = readAll(feeder);
  return [
    { name: `client: answer to ${COUNT} puts`, unit: 'frame', perCall: 1, call: () => readResults(ofPuts) },
    { name: `client: answer to ${COUNT} increments`, unit: 'frame', perCall: 1, call: () => readResults(ofIncrements) },
    { name: `client: answer to ${COUNT} gets`, unit: 'frame', perCall: 1, call: () => readValues(ofReads) },
  ];
}

/** The ResultBatch of a record that held one batch, copied. */
function onlyBatch(results: Uint8Array): Uint8Array {
  const length = new DataView(results.buffer, results.byteOffset).getUint32(RESULT_RECORD_HEADER_BYTES, true);
  const at = RESULT_RECORD_HEADER_BYTES + PART_HEADER_BYTES;
  return results.slice(at, at + length);
}

function readAll(feeder: Feeder): Uint8Array {
  const keys = new ReadScratch();
  for (const key of someKeys(COUNT)) keys.add(key);
  const body = frameBody(keys.frame(CONSISTENCY.stale, 0, 0));
  const slab = new Uint8Array(PART_HEADER_BYTES + Math.ceil(body.length / 8) * 8);
  new DataView(slab.buffer).setUint32(0, body.length, true);
  slab.set(body, PART_HEADER_BYTES);
  const out = new Uint8Array(ANSWER_BYTES);
  const bytes = feeder.storage.machine.read(GROUP, slab, 0, slab.length, out, 0);
  if (bytes <= 0) throw new BenchError(`the read was not answered from memory: ${bytes}`);
  return out.slice(PART_HEADER_BYTES, PART_HEADER_BYTES + new DataView(out.buffer).getUint32(0, true));
}

function readResults(body: Uint8Array): number {
  const reader = new ResultReader(body);
  let sum = reader.count;
  while (reader.next()) sum += reader.number;
  return sum;
}

function readValues(body: Uint8Array): number {
  const { entries } = decodeReadResult(body);
  let bytes = 0;
  while (entries.next()) bytes += entries.copyValue().length;
  return bytes;
}
