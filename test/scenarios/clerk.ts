// The client of the labs: one operation at a time, sent to one replica after the other until it is answered, once applied.
// It follows docs/protocol.md and nothing else: a session, and a sequence that all copies of a write share.
import assert from 'node:assert/strict';
import type { Requester } from '../../ts/kv/requester.js';
import { registerFrame, stampSession } from '../../ts/proto/command-batch.js';
import { BATCH_STATUS } from '../../ts/proto/result-batch.js';
import { type Answer, appendFrame, putFrame, readAnswer, readFrame } from '../kv/frames.js';
import type { Lab } from './lab.js';

export type Task =
  | { readonly op: 'put' | 'append'; readonly key: string; readonly value: string }
  | { readonly op: 'get'; readonly key: string };

interface Busy {
  readonly frame: () => Buffer;
  /** Copies from this number on belong to it. */
  readonly firstCopy: number;
  readonly take: (answer: Answer) => void;
}

const EXECUTE_TIMEOUT_MS = 500;
const PAUSE_MS = 10;
const REQUEST_AT = 8; // in a frame

export class Clerk implements Requester {
  alive = true;
  readonly #lab: Lab;
  readonly #servers: readonly number[];
  #server: number;
  #session = 0;
  #sequence = 0;
  #copies = 0;
  #busy: Busy | null = null;

  /** @param servers - those that it can reach */
  constructor(lab: Lab, servers: readonly number[] = lab.ids) {
    this.#lab = lab;
    this.#servers = servers;
    this.#server = lab.below(servers.length);
  }

  /** `done` is called once, with the value if it was a get; '' if there is none. */
  begin(task: Task, done: (value: string) => void): void {
    if (task.op !== 'get' && this.#session === 0) {
      const registered = (answer: Answer): void => {
        this.#session = answer.kind === 'written' ? answer.revision : 0;
        this.begin(task, done);
      };
      this.#start(registerFrame, registered);
      return;
    }
    const sequence = task.op === 'get' ? 0 : ++this.#sequence;
    this.#start(
      () => this.#frame(task, sequence),
      (answer) => {
        if (answer.kind === 'written') assert.equal(answer.status, BATCH_STATUS.applied);
        done(answer.kind === 'values' ? (answer.values[0] ?? '') : '');
      },
    );
  }

  /** Does it, and lets time pass until it is done. */
  call(task: Task, ms = 30_000): string {
    let result: string | null = null;
    this.begin(task, (value) => {
      result = value;
    });
    this.#lab.until(() => result !== null, `the answer to ${task.op} ${task.key}`, ms);
    return result ?? '';
  }

  #frame(task: Task, sequence: number): Buffer {
    const options = { deadlineMs: EXECUTE_TIMEOUT_MS };
    if (task.op === 'get') return readFrame([task.key], options);
    const frame = task.op === 'put' ? putFrame([task], options) : appendFrame(task.key, task.value, options);
    stampSession(frame, this.#session, sequence, sequence - 1);
    return frame;
  }

  #start(frame: () => Buffer, take: (answer: Answer) => void): void {
    this.#busy = { frame, take, firstCopy: this.#copies + 1 };
    this.#send();
  }

  #send(): void {
    const copy = ++this.#copies;
    const to = this.#servers[this.#server % this.#servers.length] ?? 0;
    const frame = this.#busy?.frame();
    if (frame === undefined) return;
    frame.writeUInt32LE(copy, REQUEST_AT);
    this.#travel(() => {
      if (this.#lab.isUp(to)) this.#lab.sim.node(to).service.handle(frame, this);
    });
    this.#after(EXECUTE_TIMEOUT_MS, () => this.#again(copy));
  }

  /** The next replica, unless this copy is not the last one, or done with. */
  #again(copy: number): void {
    if (this.#busy === null || copy !== this.#copies) return;
    this.#server++;
    this.#send();
  }

  // ---- Requester

  reply(frame: Uint8Array): void {
    const copy = new DataView(frame.buffer, frame.byteOffset).getUint32(REQUEST_AT, true);
    const answer = readAnswer(frame);
    if (copy !== 0) this.#travel(() => this.#hear(copy, answer));
  }

  #hear(copy: number, answer: Answer): void {
    const busy = this.#busy;
    if (busy === null || copy < busy.firstCopy) return;
    if (answer.kind === 'error') {
      this.#after(PAUSE_MS, () => this.#again(copy));
      return;
    }
    this.#busy = null;
    busy.take(answer);
  }

  /** Between client and replica a tenth is lost, too, when the network is unreliable. */
  #travel(arrive: () => void): void {
    if (this.#lab.unreliable && this.#lab.chance(0.1)) return;
    this.#after(0.2 + (this.#lab.unreliable ? this.#lab.below(27) : 0), arrive);
  }

  #after(ms: number, run: () => void): void {
    this.#lab.sim.time.at(this.#lab.now + ms, run);
  }
}
