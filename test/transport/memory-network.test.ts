// The network in virtual time, where it has to behave as TCP does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PEER_PROTOCOL, type PeerHello } from '../../ts/proto/peer-hello.js';
import { MemoryHub } from '../../ts/transport/memory-network.js';
import type { NetworkHost } from '../../ts/transport/network.js';
import { ProcessClock, VirtualTime } from '../host/virtual-clock.js';

/** A replica that says its term and notes those that it hears. */
class Speaker implements NetworkHost {
  term = 0;
  readonly heard: number[] = [];
  readonly #id: number;

  constructor(id: number) {
    this.#id = id;
  }

  hello(to: number): PeerHello {
    const texts = { cluster: 'c', clientAddress: '', peerAddress: '', refused: '' };
    const who = { replica: this.#id, uid: `${this.#id}`.padStart(16, '0'), to, blank: false, knownUid: null };
    return { ...PEER_PROTOCOL, ...texts, ...who, frameBytesMax: 1, term: this.term, damaged: false };
  }

  judge(): null {
    return null;
  }

  onHello({ term }: PeerHello): void {
    this.heard.push(term);
  }

  onConnected(): void {}
  onRefused(): void {}
  onFrame(): void {}
}

for (const mendAll of [false, true]) {
  test(`a hello that was said during a cut arrives when it is mended, once (${mendAll ? 'all' : 'one way'})`, async () => {
    const time = new VirtualTime();
    const hub = new MemoryHub({
      clock: new ProcessClock(time),
      random: () => 0,
      delayMs: 1,
      jitterMs: 0,
      queueBytesMax: 1, // no hello is too much
    });
    const [one, two] = [new Speaker(1), new Speaker(2)];
    const network = hub.endpoint(1);
    await network.start(one);
    await hub.endpoint(2).start(two);
    assert.deepEqual(two.heard, [0]);
    hub.cut(1, 2);
    for (one.term = 1; one.term < 3; one.term++) network.announce();
    time.runTo(10);
    assert.deepEqual(two.heard, [0], 'it is cut');
    if (mendAll) hub.heal();
    else hub.mend(1, 2);
    hub.heal();
    time.runTo(20);
    assert.deepEqual(two.heard, [0, 3], 'what it would say now');
    assert.deepEqual(one.heard, [0]);
  });
}
