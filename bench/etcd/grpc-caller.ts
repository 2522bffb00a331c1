// Load on etcd where its own tool cannot be had: unary gRPC calls over node:http2, in a process of its own.
//
// In:  a plan, as JSON, in the first argument. Out: a BenchResult, as JSON, as `eraft bench --json` prints it.
// Costs several times the processor time that etcd's tool takes for a call: reads by many are bounded by it, not by etcd.
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { fill, Load } from '../../ts/cli/bench/load.js';
import type { BenchPlan } from '../../ts/cli/bench/plan.js';
import { Recorder } from '../../ts/cli/bench/recorder.js';
import { resultOf, startInterval } from '../../ts/cli/bench/report.js';
import type { KeyValue } from '../../ts/client/key-value.js';
import { startedAs } from '../lib/command.js';

const FRAME_HEADER_BYTES = 5;
const OK = '0';

/** One message of gRPC: not compressed (0), length, protobuf. Fields of bytes, then those that are true. */
export function grpcMessage(bytes: readonly (readonly [field: number, value: Uint8Array])[], flags: readonly number[]) {
  const parts: Uint8Array[] = [];
  for (const [field, value] of bytes) parts.push(Uint8Array.from([(field << 3) | 2, ...varint(value.length)]), value);
  for (const field of flags) parts.push(Uint8Array.from([field << 3, 1]));
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(body.length, 1);
  return Buffer.concat([header, body]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** Field numbers of etcdserverpb.PutRequest and RangeRequest. */
const PUT = { key: 1, value: 2 } as const;
const RANGE = { key: 1, serializable: 7 } as const;

/** What the load needs of a store. */
class EtcdConnection {
  readonly #session: ClientHttp2Session;

  constructor(endpoint: string) {
    this.#session = connect(`http://${endpoint}`);
  }

  put(key: string, value: Uint8Array): Promise<void> {
    const message = grpcMessage(
      [
        [PUT.key, Buffer.from(key)],
        [PUT.value, value],
      ],
      [],
    );
    return this.#call('/etcdserverpb.KV/Put', message);
  }

  get(key: string, options: { readonly consistency: string }): Promise<void> {
    const flags = options.consistency === 'stale' ? [RANGE.serializable] : [];
    return this.#call('/etcdserverpb.KV/Range', grpcMessage([[RANGE.key, Buffer.from(key)]], flags));
  }

  close(): void {
    this.#session.close();
  }

  #call(path: string, message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: path,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        te: 'trailers',
      });
      let status: unknown = 'none';
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      stream.on('error', reject);
      stream.on('close', () => (status === OK ? resolve() : reject(new Error(`grpc-status ${status}`))));
      stream.resume();
      stream.end(message);
    });
  }
}

async function run(plan: BenchPlan): Promise<void> {
  const [endpoint = ''] = plan.endpoints;
  const connections = Array.from({ length: plan.connections }, () => new EtcdConnection(endpoint));
  const stores = connections as unknown as KeyValue[];
  if (plan.fill) await fill(plan, stores, () => undefined);
  const load = new Load(plan, stores, new Recorder());
  const running = load.run();
  await delay(plan.warmupSeconds * 1_000);
  const recorder = new Recorder();
  load.recordTo(recorder);
  const interval = startInterval();
  await delay(plan.seconds * 1_000);
  const result = resultOf(plan, recorder, interval(), 0);
  load.stop();
  await running;
  for (const connection of connections) connection.close();
  process.stdout.write(JSON.stringify(result));
}

await startedAs(import.meta.url, async ([plan = '']) => {
  await run(JSON.parse(plan) as BenchPlan);
  return 0;
});
