// ts/transport: links between replicas. It moves frames, proves who is at the other end, and forgets rather than grows.
//
// In:   send(frame) to a replica by its id, flush() once per turn.
// Out:  frames, admitted hellos, connections that come and go; through NetworkHost, which ts/host implements.
// Not:  what a frame means, who is a member (the host judges a hello), retries of what was lost (Raft retries).
// May import: ts/base, ts/proto, types of ts/raft.
// Start at this interface, then tcp-network.ts; memory-network.ts is the same in virtual time.
import type { PeerHello } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';

/** What a network needs of the replica that it serves. None of these may throw. */
export interface NetworkHost {
  /** What this replica says of itself to `to`, now. */
  hello(to: ReplicaId): PeerHello;
  /** null: welcome. Else an error code and why, told to the other side. `dialled`: whom we meant to reach; null: it called us. */
  judge(theirs: PeerHello, dialled: ReplicaId | null): string | null;
  /** An admitted replica said this of itself, at the handshake or later. */
  onHello(theirs: PeerHello): void;
  /** Both directions work, or no longer. What was sent and not answered before a `false` may be lost. */
  onConnected(id: ReplicaId, connected: boolean): void;
  /** A peer does not take us in, or we do not take it in; '' when that is over. Once per change. */
  onRefused(id: ReplicaId, by: 'us' | 'them', why: string): void;
  /** `head` and `tail` are valid only during the call. An error thrown here closes the connection as garbage. */
  onFrame(from: ReplicaId, kind: number, head: Uint8Array, tail: Uint8Array): void;
}

export interface PeerCounters {
  readonly id: ReplicaId;
  readonly connected: boolean;
  readonly queuedBytes: number;
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  /** Frames that found no connection or a full queue. */
  readonly dropped: number;
  readonly garbage: number;
  readonly refused: number;
}

export interface Network {
  /** Listens and begins to connect. @throws EraftError ERAFT_PORT_IN_USE, ERAFT_IO, ERAFT_CONFIG */
  start(host: NetworkHost): Promise<void>;
  /**
   * Queues one frame: `sealed` is prefix and head, `tail` its raw bytes. Both belong to the network from now on, until `gone`:
   * called once, when the last byte of `tail` has left or never will. Not called for a frame that was dropped.
   *
   * @returns false when it was dropped: no connection, or the queue of this peer is full
   */
  send(to: ReplicaId, sealed: Uint8Array, tail: readonly Uint8Array[], gone?: () => void): boolean;
  /** Writes what was queued since the last flush, in one system call for each peer. */
  flush(): void;
  /** Says hello again to everybody: something in it has changed. */
  announce(): void;
  /** Ends the connections with this peer, which may try again. */
  disconnect(id: ReplicaId): void;
  connected(id: ReplicaId): boolean;
  /** Bytes that wait for this peer to take them. */
  queuedBytes(id: ReplicaId): number;
  counters(): readonly PeerCounters[];
  close(): Promise<void>;
}
