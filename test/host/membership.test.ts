import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Membership } from '../../ts/host/membership.js';
import { decodeConfState, encodeConfState } from '../../ts/proto/conf-state.js';
import { PEER_PROTOCOL, type PeerHello } from '../../ts/proto/peer-hello.js';

const uid = (n: number): string => n.toString(16).padStart(16, '0');

function hello(from: Membership, to: number): PeerHello {
  return {
    ...PEER_PROTOCOL,
    cluster: '',
    replica: from.id,
    uid: from.uid,
    to,
    clientAddress: '',
    peerAddress: '',
    blank: from.standing !== 'member',
    knownUid: from.knownUid(to),
    refused: '',
    term: 0,
    damaged: false,
    frameBytesMax: 0,
  };
}

const fresh = (id: number, voters: readonly number[], saved?: Uint8Array, own = uid(id)): Membership =>
  new Membership({ id, uid: own, blank: true, voters, saved });

test('a store alone asks nobody', () => {
  const alone = fresh(1, [1]);
  assert.deepEqual([alone.standing, alone.askedOf, alone.mayBeAdmitted], ['blank', 0, true]);
});

test('an answer counts only when it is on the disk of who gives it', () => {
  const [a, b] = [fresh(1, [1, 2]), fresh(2, [1, 2])];
  assert.ok(b.onHello(hello(a, 2)), 'something new to save');
  a.onHello(hello(b, 1));
  assert.equal(a.mayBeAdmitted, false, 'noted, and not yet durable');
  b.saved(b.encode());
  a.onHello(hello(b, 1));
  assert.equal(a.mayBeAdmitted, true);
});

test('what is on disk beats the option; a conf record beats what a replica noted by itself', () => {
  const saved = encodeConfState(new Map([[1, uid(1)], [2, uid(22)], [3, null]])); // biome-ignore format: one line
  const a = new Membership({ id: 1, uid: uid(1), blank: false, voters: [1, 2, 3, 4], saved });
  assert.deepEqual([a.voters, a.uidOf(2), a.uidOf(3), a.uidOf(4)], [[1, 2, 3], uid(22), null, undefined]);
  assert.deepEqual(a.adopt(new Map([[1, uid(1)], [2, uid(2)], [3, null]])), [2]); // biome-ignore format: one line
  assert.equal(a.uidOf(2), uid(2));
  assert.deepEqual(a.adopt(new Map([[2, null]])), [], 'null takes nothing back');
  assert.equal(a.uidOf(2), uid(2));
});

test('a replica whose place is known to be another uid is a stranger, from the first moment or from a conf record on', () => {
  const saved = encodeConfState(new Map([[1, uid(9)], [2, null]])); // biome-ignore format: one line
  assert.equal(fresh(1, [1, 2], saved).standing, 'stranger');
  const member = new Membership({ id: 1, uid: uid(1), blank: false, voters: [1, 2], saved: undefined });
  member.adopt(new Map([[1, uid(9)]]));
  assert.equal(member.standing, 'stranger');
});

test('a leader vouches for those alone that have lived, and says so once for each leadership', () => {
  const leader = new Membership({ id: 1, uid: uid(1), blank: false, voters: [1, 2, 3], saved: undefined });
  leader.onHello(hello(fresh(2, [1, 2, 3]), 1)); // blank: it may come and go
  const lived = new Membership({ id: 3, uid: uid(3), blank: false, voters: [1, 2, 3], saved: undefined });
  leader.onHello(hello(lived, 1));
  const conf = leader.propose();
  assert.deepEqual(conf && [...conf], [[1, uid(1)], [2, null], [3, uid(3)]]); // biome-ignore format: one line
  leader.adopt(conf ?? new Map());
  assert.equal(leader.propose(), null);
  leader.newLeadership();
  assert.notEqual(leader.propose(), null);
});

test('what a snapshot says of members is noted where nothing is known, and takes nothing back', () => {
  const saved = encodeConfState(new Map([[1, uid(1)], [2, uid(2)], [3, null], [4, null]])); // biome-ignore format: one line
  const a = new Membership({ id: 1, uid: uid(1), blank: false, voters: [1], saved });
  const conf = new Map([[1, uid(1)], [2, uid(22)], [3, uid(3)], [5, uid(5)]]); // biome-ignore format: one line
  const bytes = a.noting(conf);
  assert.deepEqual([a.uidOf(3), a.knownUid(3)], [null, null], 'not before the disk has it');
  a.note(decodeConfState(bytes));
  assert.ok(a.saved(bytes));
  assert.deepEqual([a.uidOf(2), a.knownUid(3), a.uidOf(4), a.uidOf(5)], [uid(2), uid(3), null, undefined]);
});

// The claim of membership.ts, by brute force: replicas meet in any order, snapshots bring what others hold, disks are emptied,
// saving takes its time.
test('of two disks in one place, at most one ever lives', () => {
  const size = fc.integer({ min: 2, max: 7 });
  const meetings = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean(), fc.boolean()), { maxLength: 120 });
  fc.assert(
    fc.property(size, meetings, meetings, (n, first, second) => {
      const voters = Array.from({ length: n }, (_, i) => i + 1);
      const replicas = new Map(voters.map((id) => [id, fresh(id, voters)]));
      const meet = (pairs: readonly (readonly [number, number, boolean, boolean])[]): void => {
        for (const [x, y, saves, sends] of pairs) {
          const a = replicas.get((x % n) + 1);
          const b = replicas.get((y % n) + 1);
          if (a === undefined || b === undefined || a === b) continue;
          const known = b.uidOf(a.id);
          const knownToA = a.uidOf(b.id);
          if ((known !== null && known !== a.uid) || (knownToA !== null && knownToA !== b.uid)) continue; // refused
          const [ofA, ofB] = [hello(a, b.id), hello(b, a.id)];
          if ((ofA.knownUid ?? b.uid) !== b.uid || (ofB.knownUid ?? a.uid) !== a.uid) continue; // refused
          b.onHello(ofA);
          a.onHello(ofB);
          for (const one of [a, b]) {
            if (saves) one.saved(one.encode());
            if (one.mayBeAdmitted) one.admit();
          }
          if (!sends || a.standing !== 'member' || b.standing !== 'member') continue;
          const noted = b.noting(decodeConfState(a.encode()));
          b.note(decodeConfState(noted));
          b.saved(noted);
        }
      };
      meet(first);
      const lived = replicas.get(1)?.standing === 'member';
      replicas.set(1, fresh(1, voters, undefined, uid(0xbad)));
      meet(second);
      if (lived) assert.notEqual(replicas.get(1)?.standing, 'member');
    }),
    { numRuns: 400 },
  );
});
