//! What a store says about itself.

use rocksdb::properties;

use super::database::Database;

/// Sizes in bytes. Estimates are RocksDB's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Of live table files.
    pub bytes: u64,
    pub memtable_bytes: u64,
    pub cache_bytes: u64,
    pub keys_estimate: u64,
    pub flushes_running: u64,
    pub compactions_running: u64,
    pub compaction_pending_bytes: u64,
    /// Failed flushes and compactions since the store was opened.
    pub background_errors: u64,
    /// Writes are slowed down or stopped.
    pub stalled: bool,
    /// Pinned views.
    pub views: u64,
    /// None while records are being evaluated.
    pub sessions: Option<u64>,
}

pub(super) fn status(database: &Database, views: usize, sessions: Option<usize>) -> StoreStatus {
    let number = |name: &rocksdb::properties::PropName| property(database, name);
    StoreStatus {
        bytes: number(properties::LIVE_SST_FILES_SIZE),
        memtable_bytes: number(properties::CUR_SIZE_ALL_MEM_TABLES),
        cache_bytes: number(properties::BLOCK_CACHE_USAGE),
        keys_estimate: number(properties::ESTIMATE_NUM_KEYS),
        flushes_running: number(properties::NUM_RUNNING_FLUSHES),
        compactions_running: number(properties::NUM_RUNNING_COMPACTIONS),
        compaction_pending_bytes: number(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
        background_errors: number(properties::BACKGROUND_ERRORS),
        stalled: is_stalled(database),
        views: views as u64,
        sessions: sessions.map(|sessions| sessions as u64),
    }
}

pub(super) fn is_stalled(database: &Database) -> bool {
    property(database, properties::IS_WRITE_STOPPED) != 0
        || property(database, properties::ACTUAL_DELAYED_WRITE_RATE) != 0
}

/// 0 where RocksDB does not say: these numbers inform, nothing is decided by them.
fn property(database: &Database, name: &properties::PropName) -> u64 {
    database
        .db
        .property_int_value(name)
        .ok()
        .flatten()
        .unwrap_or(0)
}
