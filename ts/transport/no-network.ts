import type { Network, PeerCounters } from './network.js';

/** The network of a store alone: nobody is there. */
export class NoNetwork implements Network {
  async start(): Promise<void> {}

  send(): boolean {
    return false;
  }

  flush(): void {}

  announce(): void {}

  disconnect(): void {}

  connected(): boolean {
    return false;
  }

  queuedBytes(): number {
    return 0;
  }

  counters(): readonly PeerCounters[] {
    return [];
  }

  async close(): Promise<void> {}
}
