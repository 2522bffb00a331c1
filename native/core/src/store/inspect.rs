//! What a closed store holds, told without changing it.

use std::path::Path;

use rocksdb::{DB, InfoLogger, LogLevel, ReadOptions};

use super::compactions::Haste;
use super::database::{decode_applied, groups_of};
use super::keys::{
    PREFIX_BYTES, SESSION_HEAD, applied_key, group_end, replacing_key, session_prefix,
};
use super::options::StoreOptions;
use super::{Applied, StoreError};

/// One group of a store, as flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredGroup {
    pub group: u32,
    pub applied: Applied,
    /// A snapshot was being installed.
    pub replacing: bool,
    pub keys: u64,
    pub sessions: u64,
    /// Of keys and values, without compression.
    pub bytes: u64,
}

/// Opens the store for reading alone: no file is written, not even RocksDB's own log. Reads everything.
pub fn inspect_store(path: &Path) -> Result<Vec<StoredGroup>, StoreError> {
    let mut options = StoreOptions::default().database(&Haste::default())?;
    options.create_if_missing(false);
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| ()));
    let db = DB::open_for_read_only(&options, path, false)?;
    groups_of(&db)?
        .into_iter()
        .map(|group| look(&db, group))
        .collect()
}

fn look(db: &DB, group: u32) -> Result<StoredGroup, StoreError> {
    let mut found = StoredGroup {
        group,
        ..StoredGroup::default()
    };
    if let Some(value) = db.get_pinned(applied_key(group))? {
        found.applied = decode_applied(&value)?;
    }
    found.replacing = db.get_pinned(replacing_key(group))?.is_some();
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    let sessions = session_prefix(group);
    options.set_iterate_lower_bound(sessions);
    options.set_iterate_upper_bound(group_end(group));
    let mut rows = db.raw_iterator_opt(options);
    rows.seek_to_first();
    while let Some((key, value)) = rows.item() {
        found.bytes += (key.len() + value.len()) as u64;
        if !key.starts_with(&sessions) {
            found.keys += 1;
        } else if key.get(PREFIX_BYTES) == Some(&SESSION_HEAD) {
            found.sessions += 1;
        }
        rows.next();
    }
    rows.status()?;
    Ok(found)
}
