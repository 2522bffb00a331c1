import { LIMITS } from '../base/limits.js';
import type { Logger } from '../base/logger.js';
import { decodeConfState } from '../proto/conf-state.js';
import { PEER_PROTOCOL, type PeerHello } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';
import type { RaftNode } from '../raft/raft-node.js';
import type { LogDamage, Storage } from '../storage/index.js';
import { judgeHello } from '../transport/handshake.js';
import type { Network } from '../transport/network.js';
import { Membership } from './membership.js';
import { Repair } from './repair.js';

/** What is known of another replica. */
export interface PeerFacts {
  clientAddress: string;
  peerAddress: string;
  uid: string;
  refused: string;
}

export interface AdmissionOptions {
  readonly id: ReplicaId;
  readonly group: number;
  readonly voters: readonly ReplicaId[];
  readonly storage: Storage;
  readonly network: Network;
  readonly logger: Logger;
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** Whether this replica takes part has changed. */
  readonly onStanding: () => void;
  /** Of the group, now. */
  readonly term: () => number;
}

/** Who may take part: what replicas say of themselves at the handshake, what this disk holds of them, what is committed. */
export class Admission {
  readonly membership: Membership;
  readonly peers = new Map<ReplicaId, PeerFacts>();
  /** Why this replica takes no part; '' = it does, or asks. */
  problem = '';
  readonly #o: AdmissionOptions;
  readonly repair: Repair;
  #saving: { ticket: number; bytes: Uint8Array }[] = [];
  #confIndex: number;

  constructor(
    options: AdmissionOptions,
    saved: {
      readonly conf?: Uint8Array | undefined;
      readonly confIndex: number;
      readonly damaged?: LogDamage | undefined;
    },
  ) {
    this.#o = options;
    this.#confIndex = saved.confIndex;
    const { id, voters, storage } = options;
    const { uid, blank } = storage.identity;
    this.membership = new Membership({ id, uid, blank, voters, saved: saved.conf });
    if (saved.damaged !== undefined)
      options.logger.error('the log of this replica was damaged: it does not vote until it is whole', {
        replica: id,
        where: saved.damaged.description,
      });
    this.repair = new Repair(saved.damaged, this.membership.askedOf, voters.length - 1);
  }

  get takesPart(): boolean {
    return this.membership.standing === 'member' && !this.repair.asks;
  }

  get mayCampaign(): boolean {
    return this.takesPart && (this.repair.phase === 'whole' || this.repair.phase === 'noting');
  }

  /** A conf record is committed. */
  onConf(index: number, corrected: readonly ReplicaId[]): void {
    this.#confIndex = index;
    this.#save();
    for (const id of corrected) this.#o.network.disconnect(id);
    if (this.membership.standing !== 'stranger') return;
    this.#o.onStanding();
    this.#disowned('a committed membership names another uid in its place');
  }

  /** What is known of the members, and what a snapshot says of those of whom nothing is: what goes to the disk with it. */
  noting(conf: Uint8Array): Uint8Array {
    return conf.length === 0 ? this.membership.encode() : this.membership.noting(decodeConfState(conf));
  }

  /** The disk holds these bytes of `noting`, as of `index`. */
  onNoted(index: number, bytes: Uint8Array): void {
    this.#confIndex = index;
    this.membership.note(decodeConfState(bytes));
    if (this.membership.saved(bytes)) this.#o.network.announce();
  }

  /** Everything up to `ticket` is on disk. */
  saved(durable: number): void {
    let news = false;
    while ((this.#saving[0]?.ticket ?? Number.POSITIVE_INFINITY) <= durable) {
      const saved = this.#saving.shift();
      if (saved !== undefined && this.membership.saved(saved.bytes)) news = true;
    }
    if (news) this.#o.network.announce();
  }

  admitIfKnown(): void {
    if (!this.membership.mayBeAdmitted) return;
    this.#o.storage.setMemberKnown();
    this.membership.admit();
    this.#o.logger.info('this replica takes part from now on', { replica: this.#o.id });
    this.#o.network.announce();
    this.#o.onStanding();
  }

  /** A log that was damaged becomes whole step by step. True: there was one. `settled`: all that the core decided is on this disk. */
  goOnWithRepair(node: RaftNode, settled: boolean): boolean {
    const { repair } = this;
    if (!repair.advance(node, settled)) return false;
    const { storage, logger, id, group, network } = this.#o;
    if (repair.phase === 'whole') {
      storage.setRepaired(group);
      logger.info('the log is whole again: this replica votes', { replica: id });
      network.announce();
    } else logger.info('the damaged log of this replica is being repaired', { replica: id, phase: repair.phase });
    return true;
  }

  hello(to: ReplicaId): PeerHello {
    const { id, storage, clientAddress, peerAddress } = this.#o;
    return {
      ...PEER_PROTOCOL,
      cluster: storage.identity.cluster,
      replica: id,
      uid: this.membership.uid,
      to,
      clientAddress,
      peerAddress,
      blank: this.membership.standing !== 'member',
      knownUid: this.membership.knownUid(to),
      refused: '',
      frameBytesMax: LIMITS.peerFrameBytesMax,
      term: this.#o.term(),
      damaged: this.repair.phase !== 'whole',
    };
  }

  judge(theirs: PeerHello, dialled: ReplicaId | null): string | null {
    const { id, storage } = this.#o;
    const { uid } = this.membership;
    const memberUid = (other: ReplicaId) => this.membership.uidOf(other);
    return judgeHello({ cluster: storage.identity.cluster, replica: id, uid, memberUid }, theirs, dialled);
  }

  onHello(theirs: PeerHello): void {
    const { clientAddress, peerAddress, uid } = theirs;
    this.peers.set(theirs.replica, { clientAddress, peerAddress, uid, refused: '' });
    if (this.membership.onHello(theirs)) this.#save();
    this.repair.onHello(theirs);
    this.admitIfKnown();
  }

  onRefused(id: ReplicaId, by: 'us' | 'them', why: string): void {
    const facts = this.peers.get(id) ?? { clientAddress: '', peerAddress: '', uid: '', refused: '' };
    facts.refused = why;
    this.peers.set(id, facts);
    if (why === '') return;
    const who = by === 'us' ? 'a peer was refused' : 'a peer refuses this replica';
    this.#o.logger.error(who, { replica: this.#o.id, peer: id, why });
    if (!why.startsWith('ERAFT_REPLICA_UNKNOWN') || !why.includes(this.membership.uid)) return;
    const wasBlank = this.membership.standing === 'blank';
    this.membership.disown();
    if (wasBlank) this.#disowned(why);
  }

  #save(): void {
    const bytes = this.membership.encode();
    const ticket = this.#o.storage.log.saveConf(this.#o.group, this.#confIndex, bytes);
    this.#saving.push({ ticket, bytes });
  }

  #disowned(why: string): void {
    this.problem =
      `replica ${this.#o.id} takes no part: ${why}. Its data folder was emptied or exchanged; ` +
      'give it back its own, or remove and add the replica';
    this.#o.logger.error(this.problem, { code: 'ERAFT_REPLICA_UNKNOWN', uid: this.membership.uid });
    this.#o.onStanding();
  }
}
