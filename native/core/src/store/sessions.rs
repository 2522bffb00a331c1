//! The session table of one group: what exactly-once rests on. In memory, and stored with the data it protects.
//!
//! A session is known by the revision of its registration. For each batch that the client has not acknowledged, the
//! table knows the first revision; results that do not follow from it are stored in RocksDB and read for a duplicate.

use std::collections::{BTreeMap, VecDeque};

use rocksdb::ReadOptions;
use rustc_hash::FxHashMap;

use super::StoreError;
use super::database::Database;
use super::drafts::Draft;
use super::keys::{PREFIX_BYTES, SESSION_HEAD, session_prefix};

const HEAD_VERSION: u8 = 1;
const HEAD_BYTES: usize = 29;
const ENTRY_BYTES: usize = 13;

/// Where the results of an applied batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// They follow from the first revision.
    Plain = 0,
    /// In RocksDB, under the session's id and the sequence.
    Stored = 1,
    /// Nowhere: they were too large.
    Nowhere = 2,
}

/// One applied batch that the client has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) first_revision: u64,
    pub(super) count: u32,
    pub(super) kept: Kept,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// Of the last applied batch.
    pub(super) sequence: u64,
    pub(super) acknowledged: u64,
    /// First revision of the last batch that named the session, applied or not. No two sessions have the same.
    pub(super) last_used: u64,
    /// The batches `acknowledged + 1` to `sequence`.
    pub(super) window: VecDeque<Answer>,
}

impl Session {
    /// The answer of an applied, unacknowledged batch.
    pub(super) fn answer(&self, sequence: u64) -> Answer {
        self.window[(sequence - self.acknowledged - 1) as usize]
    }

    /// Sequences whose results are in RocksDB, up to `last`.
    pub(super) fn stored_up_to(&self, last: u64) -> impl Iterator<Item = u64> + use<'_> {
        let sequences = self.acknowledged + 1..=last.min(self.sequence);
        sequences.filter(|&sequence| self.answer(sequence).kept == Kept::Stored)
    }
}

#[derive(Default)]
pub(super) struct SessionTable {
    pub(super) sessions: FxHashMap<u64, Session>,
    /// Ids by `last_used`: the first gives way when there are too many.
    pub(super) order: BTreeMap<u64, u64>,
}

impl SessionTable {
    pub(super) fn load(database: &Database, group: u32) -> Result<SessionTable, StoreError> {
        let prefix = session_prefix(group);
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound([&prefix[..], &[SESSION_HEAD]].concat());
        options.set_iterate_upper_bound([&prefix[..], &[SESSION_HEAD + 1]].concat());
        let mut heads = database.db.raw_iterator_opt(options);
        let mut table = SessionTable::default();
        heads.seek_to_first();
        while let Some((key, value)) = heads.item() {
            let Some((&id, [])) = key[PREFIX_BYTES + 1..].split_first_chunk::<8>() else {
                return Err(StoreError::damaged("a session without an id"));
            };
            let id = u64::from_be_bytes(id);
            let session = decode_head(value)
                .ok_or_else(|| StoreError::damaged("a session of another form"))?;
            table.order.insert(session.last_used, id);
            table.sessions.insert(id, session);
            heads.next();
        }
        heads.status()?;
        if table.order.len() != table.sessions.len() {
            return Err(StoreError::damaged("two sessions used at one revision"));
        }
        Ok(table)
    }

    /// Takes over what a burst did, once it is closed.
    pub(super) fn commit(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            if let Some(old) = self.sessions.get(&draft.id) {
                self.order.remove(&old.last_used);
            }
            if draft.evicted {
                self.sessions.remove(&draft.id);
                continue;
            }
            let session = self.sessions.entry(draft.id).or_default();
            session.window.extend(&draft.added);
            let dropped = draft.acknowledged - session.acknowledged;
            session.window.drain(..dropped as usize);
            session.sequence = draft.sequence;
            session.acknowledged = draft.acknowledged;
            session.last_used = draft.last_used;
            self.order.insert(session.last_used, draft.id);
        }
    }
}

/// The stored form of a session, behind `h` and its id. Little-endian.
///
/// ```text
/// 0             1          9              17          25
/// | version = 1 | sequence | acknowledged | last used | n u32 | n × (first revision u64, count u32, kept u8) |
/// ```
pub(super) fn encode_head(out: &mut Vec<u8>, draft: &Draft, base: Option<&Session>) {
    out.clear();
    out.push(HEAD_VERSION);
    for number in [draft.sequence, draft.acknowledged, draft.last_used] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let unacknowledged = (draft.sequence - draft.acknowledged) as usize;
    out.extend_from_slice(&(unacknowledged as u32).to_le_bytes());
    let window = base
        .into_iter()
        .flat_map(|base| &base.window)
        .chain(&draft.added);
    let total = base.map_or(0, |base| base.window.len()) + draft.added.len();
    for answer in window.skip(total - unacknowledged) {
        out.extend_from_slice(&answer.first_revision.to_le_bytes());
        out.extend_from_slice(&answer.count.to_le_bytes());
        out.push(answer.kept as u8);
    }
}

/// Is this the stored form of a session?
pub(super) fn is_session(value: &[u8]) -> bool {
    decode_head(value).is_some()
}

fn decode_head(value: &[u8]) -> Option<Session> {
    let (head, window) = value.split_first_chunk::<HEAD_BYTES>()?;
    let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let length = u32::from_le_bytes(head[25..29].try_into().expect("four bytes"));
    let session = Session {
        sequence: number(1),
        acknowledged: number(9),
        last_used: number(17),
        window: window
            .chunks(ENTRY_BYTES)
            .map(decode_answer)
            .collect::<Option<_>>()?,
    };
    let whole = session.window.len() == length as usize
        && session.sequence.checked_sub(session.acknowledged) == Some(u64::from(length));
    (head[0] == HEAD_VERSION && whole).then_some(session)
}

fn decode_answer(entry: &[u8]) -> Option<Answer> {
    let (first_revision, rest) = entry.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let kept = match rest {
        [0] => Kept::Plain,
        [1] => Kept::Stored,
        [2] => Kept::Nowhere,
        _ => return None,
    };
    Some(Answer {
        first_revision: u64::from_le_bytes(*first_revision),
        count: u32::from_le_bytes(*count),
        kept,
    })
}
