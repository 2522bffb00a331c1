import { decodeStatusReply } from '../proto/control-frames.js';
import { FRAME, frameBody, frameOf } from '../proto/frame.js';
import type { ReplicaId } from '../raft/messages.js';
import { PEEK } from '../storage/index.js';
import type { Requester } from './requester.js';
import type { KvServiceOptions } from './service.js';
import { type ClusterStatus, type PeerStatus, type ReplicaRole, type ReplicaStatus, unreachable } from './status.js';

const PEEK_BYTES = 4 * 1024;
const NOTHING = new Uint8Array(0);

/** Passes a frame on to a replica; false: it cannot be reached. */
export type Ask = (frame: Uint8Array, from: Requester, to: ReplicaId, deadlineMs: number) => boolean;

/** What this replica can say of itself, and find out of the others. */
export class StatusBoard {
  readonly #o: KvServiceOptions;
  readonly #ask: Ask;
  #peeked = new Uint8Array(PEEK_BYTES);
  #failed = false;
  #down = false;

  constructor(options: KvServiceOptions, ask: Ask) {
    this.#o = options;
    this.#ask = ask;
  }

  onFailed(): void {
    this.#failed = true;
  }

  /** The storage cannot be asked any more. */
  onDown(): void {
    this.#down = true;
  }

  get role(): ReplicaRole {
    const { host } = this.#o;
    if (this.#failed) return 'failed';
    const { standing } = host.membership;
    if (standing !== 'member') return standing === 'blank' ? 'blank' : 'unknown';
    return host.group.node.role;
  }

  own(): ReplicaStatus {
    const { host, machine, group, replica, clientAddress, peerAddresses, version } = this.#o;
    const { node, applier } = host.group;
    const { logBytes, storeBytes, diskFull } = host.progress;
    const snapshot = this.#down ? null : host.snapshots.latest;
    const problem = host.problem === '' ? {} : { problem: host.problem };
    return {
      id: replica,
      address: clientAddress,
      reachable: true,
      role: this.role,
      peerAddress: peerAddresses.get(replica) ?? '',
      term: node.term,
      leader: node.leader,
      commitIndex: node.commit,
      appliedIndex: applier.applied,
      lastIndex: node.lastIndex,
      firstIndex: node.firstIndex,
      revision: this.#down ? 0 : machine.revision(group),
      logBytes,
      storeBytes,
      snapshotBytes: snapshot?.bytes ?? 0,
      snapshotIndex: snapshot?.index ?? 0,
      installing: node.installing,
      diskFull,
      uid: host.membership.uid,
      version,
      ...problem,
      peers: this.#peers(),
    };
  }

  async cluster(timeoutMs: number): Promise<ClusterStatus> {
    const { host, replica, clusterId } = this.#o;
    const others = host.membership.voters.filter((id) => id !== replica);
    const replies = await Promise.all(others.map((id) => this.#statusOf(id, timeoutMs)));
    const replicas = [this.own(), ...replies].sort((a, b) => a.id - b.id);
    const { leader } = host.group.node;
    return { clusterId, leader: leader === 0 ? null : leader, replicas };
  }

  /** undefined: absent. null: not in memory. */
  peek(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined | null {
    const { machine, group } = this.#o;
    let length = machine.peek(group, key, this.#peeked);
    if (length <= PEEK.needsRoom) {
      this.#peeked = new Uint8Array(PEEK.needsRoom - length);
      length = machine.peek(group, key, this.#peeked);
    }
    if (length === PEEK.absent) return undefined;
    return length < 0 ? null : this.#peeked.slice(0, length);
  }

  #peers(): PeerStatus[] {
    const { host, replica, network, peerAddresses } = this.#o;
    const progress = new Map(host.group.node.progress().map((p) => [p.id, p]));
    return host.membership.voters
      .filter((id) => id !== replica)
      .map((id) => {
        const refused = host.peers.get(id)?.refused ?? '';
        const seen = progress.get(id);
        return {
          id,
          address: peerAddresses.get(id) ?? '',
          connected: network.connected(id),
          uid: host.membership.uidOf(id) ?? null,
          ...(refused === '' ? {} : { refused }),
          ...(seen === undefined ? {} : { match: seen.match, sending: seen.state, outrun: seen.outrun }),
        };
      });
  }

  #statusOf(id: ReplicaId, timeoutMs: number): Promise<ReplicaStatus> {
    const { group, host, peerAddresses } = this.#o;
    const silent = unreachable(id, host.peers.get(id)?.clientAddress ?? '', peerAddresses.get(id) ?? '');
    return new Promise((resolve) => {
      const reply = (frame: Uint8Array): void => resolve(frame[0] === FRAME.statusReply ? read(frame, silent) : silent);
      const asked = this.#ask(frameOf(FRAME.status, group, 0, 0, NOTHING), { alive: true, reply }, id, timeoutMs);
      if (!asked) resolve(silent);
    });
  }
}

function read(frame: Uint8Array, otherwise: ReplicaStatus): ReplicaStatus {
  try {
    return JSON.parse(decodeStatusReply(frameBody(frame))) as ReplicaStatus;
  } catch {
    return otherwise;
  }
}
