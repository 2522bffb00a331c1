import type { ErrorCode } from '../base/errors.js';
import { PEER_PROTOCOL, type PeerHello, type Uid } from '../proto/peer-hello.js';
import type { ReplicaId } from '../raft/messages.js';

/** What a replica holds to be true when it meets another. */
export interface OwnView {
  readonly cluster: string;
  readonly replica: ReplicaId;
  readonly uid: Uid;
  /** The uid of this place: null = a member whose uid nobody has vouched for yet, undefined = no member. */
  memberUid(id: ReplicaId): Uid | null | undefined;
}

/**
 * Whether to talk to the sender of a hello: null = yes, else `CODE: why`.
 *
 * A replica whose uid contradicts the membership is nobody: its disk is not the one that voted and acknowledged in this
 * place, so nothing it says may be counted (ts/host/membership.ts has the argument).
 *
 * @param dialled - whom we meant to reach; null: it called us
 */
export function judgeHello(own: OwnView, theirs: PeerHello, dialled: ReplicaId | null): string | null {
  if (theirs.versionMin > PEER_PROTOCOL.versionMax || theirs.versionMax < PEER_PROTOCOL.versionMin) {
    const range = `${theirs.versionMin} to ${theirs.versionMax}`;
    return no(
      'ERAFT_VERSION',
      `replica ${theirs.replica} speaks peer protocol ${range}, not ${PEER_PROTOCOL.versionMax}`,
    );
  }
  if (theirs.cluster !== own.cluster) {
    return no(
      'ERAFT_WRONG_CLUSTER',
      `replica ${theirs.replica} belongs to cluster ${theirs.cluster}, not ${own.cluster}`,
    );
  }
  if (theirs.replica === own.replica) {
    const who = theirs.uid === own.uid ? 'this replica reaches itself' : 'another replica has the same id';
    return no('ERAFT_CONFIG', `${who} (${own.replica}): check the peer addresses and ids`);
  }
  if (dialled !== null && theirs.replica !== dialled) {
    return no('ERAFT_CONFIG', `the address of replica ${dialled} leads to replica ${theirs.replica}`);
  }
  if (theirs.to !== own.replica) {
    return no('ERAFT_CONFIG', `replica ${theirs.replica} looks for replica ${theirs.to} and has found ${own.replica}`);
  }
  return judgeUids(own, theirs);
}

function judgeUids(own: OwnView, theirs: PeerHello): string | null {
  const known = own.memberUid(theirs.replica);
  if (known === undefined) return no('ERAFT_REPLICA_UNKNOWN', `replica ${theirs.replica} is no member of this cluster`);
  if (known !== null && known !== theirs.uid) {
    return no(
      'ERAFT_REPLICA_UNKNOWN',
      `replica ${theirs.replica} has uid ${theirs.uid}, the cluster knows ${known} in its place: its data folder was emptied or exchanged`,
    );
  }
  if (theirs.knownUid !== null && theirs.knownUid !== own.uid) {
    return no(
      'ERAFT_REPLICA_UNKNOWN',
      `replica ${own.replica} has uid ${own.uid}, replica ${theirs.replica} knows ${theirs.knownUid} in its place: the data folder was emptied or exchanged`,
    );
  }
  return null;
}

function no(code: ErrorCode, why: string): string {
  return `${code}: ${why}`;
}
