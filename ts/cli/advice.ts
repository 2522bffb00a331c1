// What to do about each error, for people at a terminal. docs/errors.md has the same words; a test compares them.
import type { ErrorCode } from '../base/errors.js';

export const ADVICE: Readonly<Record<ErrorCode, string>> = {
  ERAFT_NOT_LEADER: 'call again, at leader',
  ERAFT_UNAVAILABLE:
    'call again; if it stays, see eraft status: a majority of the replicas must run and reach each other',
  ERAFT_OVERLOADED: 'call again later, with fewer calls at a time',
  ERAFT_DISK_FULL: 'free space; writes are accepted again by themselves',
  ERAFT_TIMEOUT: 'read the key before you write again',
  ERAFT_READ_TIMEOUT: 'call again',
  ERAFT_OUTCOME_UNKNOWN: 'read the key before you write again',
  ERAFT_SESSION_EXPIRED: 'read the key before you write again; the next write opens a new session',
  ERAFT_SEQUENCE_GAP: 'call again',
  ERAFT_SNAPSHOT_LOST: 'start the scan again',
  ERAFT_ABORTED: 'with the outcome unknown, read the key before you write again',
  ERAFT_CLOSED: 'open another one. With the outcome unknown, read the key before you write again',
  ERAFT_KEY_EMPTY: 'use a key of 1 to 4096 bytes',
  ERAFT_KEY_TOO_LARGE: 'use a shorter key',
  ERAFT_VALUE_TOO_LARGE: 'split the value over several keys',
  ERAFT_BATCH_TOO_LARGE: 'split it',
  ERAFT_FRAME_TOO_LARGE: 'send less at once',
  ERAFT_BAD_REQUEST: 'correct the request',
  ERAFT_NOT_A_NUMBER: 'put a number first, or use another key',
  ERAFT_OUT_OF_RANGE: 'use smaller numbers; delete a large range with a limit, repeatedly',
  ERAFT_VERSION: 'update the older one',
  ERAFT_WRONG_CLUSTER: 'correct the endpoints or peers; of a restored cluster, make this folder of the backup, too',
  ERAFT_CONFIG: 'correct what the message names',
  ERAFT_DATA_LOCKED: 'stop it (the message names the process), or use another folder',
  ERAFT_DATA_MISMATCH: 'give the folder that belongs to this replica, or an empty one',
  ERAFT_DATA_DAMAGED: 'keep a copy of the folder, look at the disk, restore from another replica or a backup',
  ERAFT_DATA_VERSION: 'use that version or a newer one',
  ERAFT_IO: 'see the message; correct folder, rights or disk',
  ERAFT_PORT_IN_USE: 'stop it, or choose another port',
  ERAFT_REPLICA_UNKNOWN: 'bring the old folder back; a replacement needs a change of membership',
  ERAFT_FAILED:
    'see its log, look at the disk, start it again. With the outcome unknown, read the key before you write again',
};
