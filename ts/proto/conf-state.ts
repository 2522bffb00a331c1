import { Builder, ByteBuffer } from 'flatbuffers';
import { ConfState } from './generated/command/conf-state.js';
import { Member } from './generated/command/member.js';
import { malformed } from './table.js';

/** The members of a group: id to uid (16 hex digits), null while nobody has vouched for one. */
export type Members = ReadonlyMap<number, string | null>;

const MEMBERS_MAX = 1024;
const NO_UID = '0'.repeat(16);

/** The payload of a conf record. The same members give the same bytes. */
export function encodeConfState(members: Members): Uint8Array {
  const builder = new Builder(256);
  const offsets = [...members]
    .sort(([a], [b]) => a - b)
    .map(([id, uid]) => Member.createMember(builder, id, BigInt(`0x${uid ?? NO_UID}`)));
  builder.finish(ConfState.createConfState(builder, ConfState.createMembersVector(builder, offsets)));
  return builder.asUint8Array().slice();
}

/**
 * The generated reader does not check offsets, so every member read is held against what a member list can be.
 *
 * @throws EraftError ERAFT_BAD_REQUEST: ids out of order, twice or 0, or no member at all
 */
export function decodeConfState(bytes: Uint8Array): Members {
  if (bytes.length < 8) throw malformed('too short for a list of members');
  const table = ConfState.getRootAsConfState(new ByteBuffer(bytes));
  const count = table.membersLength();
  if (!(count > 0 && count <= MEMBERS_MAX)) throw malformed(`a group of ${count} members`);
  const members = new Map<number, string | null>();
  let before = 0;
  for (let i = 0; i < count; i++) {
    const member = table.members(i);
    const id = member?.id() ?? 0;
    if (!(id > before)) throw malformed('members that are not in the order of their ids');
    const uid = (member?.uid() ?? 0n).toString(16).padStart(16, '0');
    members.set(id, uid === NO_UID ? null : uid);
    before = id;
  }
  return members;
}
