//! Where things stand in RocksDB, and how values look. Frozen: docs/log-format.md, "State machine".
//!
//! ```text
//! key    | group u32 BE | kind u8 | slot u16 BE | rest …
//! value  | version u8 = 1 | revision u64 LE | bytes …          (kind 3, data)
//! ```
//! kind 1, metadata: rest `identity` (group 0), `applied` or `replacing`. kind 2, sessions: rest `h` ‖ id u64 BE (the session), or
//! `r` ‖ id u64 BE ‖ sequence u64 BE (one stored result). kind 3, data: rest is the client's key. slot is 0.

use super::StoreError;
use super::sessions::is_session;
use crate::command::limits;

/// Of the group, at the front of a key.
pub(super) const GROUP_BYTES: usize = 4;
pub(super) const PREFIX_BYTES: usize = 7;
pub(super) const VALUE_HEADER_BYTES: usize = 9;
pub(super) const VALUE_VERSION: u8 = 1;

const KIND_METADATA: u8 = 1;
const KIND_SESSION: u8 = 2;
const KIND_DATA: u8 = 3;

pub(super) const SESSION_HEAD: u8 = b'h';
pub(super) const SESSION_RESULT: u8 = b'r';

pub(super) type Prefix = [u8; PREFIX_BYTES];

const fn prefix(group: u32, kind: u8, slot: u16) -> Prefix {
    let group = group.to_be_bytes();
    let slot = slot.to_be_bytes();
    [
        group[0], group[1], group[2], group[3], kind, slot[0], slot[1],
    ]
}

/// Before every key of a client.
pub(super) const fn data_prefix(group: u32) -> Prefix {
    prefix(group, KIND_DATA, 0)
}

/// Behind every key of a client.
pub(super) const fn data_end(group: u32) -> Prefix {
    prefix(group, KIND_DATA, 1)
}

pub(super) const fn session_prefix(group: u32) -> Prefix {
    prefix(group, KIND_SESSION, 0)
}

pub(super) const fn metadata_prefix(group: u32) -> Prefix {
    prefix(group, KIND_METADATA, 0)
}

/// Behind every key of a group.
pub(super) fn group_end(group: u32) -> Vec<u8> {
    match group.checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        None => vec![0xFF; PREFIX_BYTES + 1], // no kind is 255
    }
}

pub(super) const APPLIED: &[u8] = b"applied";
/// There while the group's state is being replaced.
pub(super) const REPLACING: &[u8] = b"replacing";

/// The key of the store's own facts.
pub(super) fn identity_key() -> Vec<u8> {
    [&metadata_prefix(0)[..], b"identity"].concat()
}

/// The key of a group's applied index.
pub(super) fn applied_key(group: u32) -> Vec<u8> {
    [&metadata_prefix(group)[..], APPLIED].concat()
}

/// Behind the prefix of sessions.
pub(super) fn session_head(id: u64) -> [u8; 9] {
    let mut key = [SESSION_HEAD; 9];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

/// Behind the prefix of sessions.
pub(super) fn session_result(id: u64, sequence: u64) -> [u8; 17] {
    let mut key = [SESSION_RESULT; 17];
    key[1..9].copy_from_slice(&id.to_be_bytes());
    key[9..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of the mark that a group's state is being replaced.
pub(super) fn replacing_key(group: u32) -> Vec<u8> {
    [&metadata_prefix(group)[..], REPLACING].concat()
}

/// Could these stand in a store, behind the group's number: a session, a result of one, or data?
pub(super) fn check_row(key: &[u8], value: &[u8]) -> bool {
    match key {
        [KIND_SESSION, 0, 0, SESSION_HEAD, id @ ..] => id.len() == 8 && is_session(value),
        [KIND_SESSION, 0, 0, SESSION_RESULT, id @ ..] => id.len() == 16,
        [KIND_DATA, 0, 0, name @ ..] => {
            (1..=limits::KEY_BYTES_MAX).contains(&name.len())
                && open_value(value).is_ok()
                && value.len() <= VALUE_HEADER_BYTES + limits::VALUE_BYTES_MAX
        }
        _ => false,
    }
}

/// What stands before the bytes of a value.
pub(super) fn value_header(revision: u64) -> [u8; VALUE_HEADER_BYTES] {
    let mut header = [VALUE_VERSION; VALUE_HEADER_BYTES];
    header[1..].copy_from_slice(&revision.to_le_bytes());
    header
}

/// Revision and bytes of a stored value.
#[inline]
pub(super) fn open_value(stored: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    match stored.split_first_chunk::<VALUE_HEADER_BYTES>() {
        Some((&[VALUE_VERSION, a, b, c, d, e, f, g, h], bytes)) => {
            Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]), bytes))
        }
        _ => Err(StoreError::damaged("a value without its header")),
    }
}
