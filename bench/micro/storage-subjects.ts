// The border to the native engine, and what lies right behind it: verification, records, apply.

import { CommandScratch } from '../../ts/proto/command-batch.js';
import { INSPECTED_NUMBERS, RECORD_HEADER_BYTES, RECORD_KINDS } from '../../ts/storage/index.js';
import { batchOf, encodePuts, putBatches, someKeys, VALUE } from './batches.js';
import { Feeder, GROUP } from './feeder.js';
import { pureSubject, type Subject, type Work } from './work.js';

const BATCH_SIZES = [1, 16, 128, 1_024] as const;
const APPLY_SIZES = [1, 16, 128, 1_024, 8_192] as const;
/** Puts that are made ready for a round of applies: some 18 MB, well within what the log keeps in memory. */
const AHEAD_PUTS = 65_536;
const AHEAD_RECORDS = 256;

export const encoding = pureSubject('encode', () =>
  BATCH_SIZES.map((count): Work => {
    const scratch = new CommandScratch();
    const keys = someKeys(count);
    return {
      name: `write frame of ${count}`,
      unit: 'command',
      perCall: count,
      call: () => encodePuts(scratch, keys, VALUE),
    };
  }),
);

export const border: Subject = {
  name: 'border',
  async open(folder) {
    const feeder = await fedOnce(folder);
    const { storage } = feeder;
    const works: Work[] = [
      { name: 'applied(): the least call', unit: 'call', perCall: 1, call: () => storage.machine.applied(GROUP) },
      { name: 'poll(), idle', unit: 'call', perCall: 1, call: () => storage.poll() },
    ];
    return { works, close: () => feeder.close() };
  },
};

export const verification: Subject = {
  name: 'verify',
  async open(folder) {
    const feeder = await fedOnce(folder);
    const { log } = feeder.storage;
    const scratch = new CommandScratch();
    const works = BATCH_SIZES.map((count): Work => {
      const batch = batchOf(encodePuts(scratch, someKeys(count), VALUE));
      const call = (): number => log.verifyBatch(batch, 0, batch.length);
      return { name: `batch of ${count}`, unit: 'command', perCall: count, call };
    });
    return { works: [...works, ...recordWorks(feeder)], close: () => feeder.close() };
  },
};

/** What a leader does to a record before it is written, and a follower when it comes in. */
function recordWorks(feeder: Feeder): Work[] {
  const { log } = feeder.storage;
  const record = feeder.record(putBatches(128));
  const numbers = new Float64Array(INSPECTED_NUMBERS);
  const end = record.length;
  const seal = (): number =>
    log.seal(record, 0, end, RECORD_KINDS.commands, GROUP, feeder.index, 1, 0, 1, 128) - RECORD_HEADER_BYTES;
  return [
    { name: 'seal a record of 128 puts', unit: 'record', perCall: 1, call: seal },
    {
      name: 'inspect a record of 128 puts',
      unit: 'record',
      perCall: 1,
      call: () => log.inspect(record, 0, end, numbers),
    },
  ];
}

export const apply: Subject = {
  name: 'apply',
  async open(folder) {
    const feeder = await fedOnce(folder);
    const works = APPLY_SIZES.map((count): Work => {
      const sample = (seconds: number): Promise<number[]> => sampleApply(feeder, count, seconds);
      return { name: `record of ${count} puts`, unit: 'command', perCall: count, sample };
    });
    return { works, close: () => feeder.close() };
  },
};

/** From the call of `apply` until it is known to be done; the records are on disk before. */
async function sampleApply(feeder: Feeder, count: number, seconds: number): Promise<number[]> {
  const ahead = Math.min(AHEAD_RECORDS, Math.ceil(AHEAD_PUTS / count));
  const values: number[] = [];
  let spent = 0;
  while (spent < seconds * 1e9) {
    let ticket = 0;
    for (let i = 0; i < ahead; i++) ticket = feeder.submit(putBatches(count, feeder.index * count));
    await feeder.durable(ticket);
    for (let index = feeder.index - ahead + 1; index <= feeder.index; index++) {
      const before = process.hrtime.bigint();
      await feeder.apply(index);
      const nanos = Number(process.hrtime.bigint() - before);
      values.push(nanos);
      spent += nanos;
      feeder.takeResults();
    }
    feeder.cut();
  }
  return values;
}

/** With a group in it. */
async function fedOnce(folder: string): Promise<Feeder> {
  const feeder = await Feeder.open(folder);
  await feeder.write(putBatches(1));
  feeder.takeResults();
  return feeder;
}
