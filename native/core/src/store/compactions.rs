//! Compactions that give way: nobody waits for one, as long as the store has few files to look through.
//!
//! One that does what it can takes a processor for 20 ms at a time, and fills the queue of the disk. So a compaction rests
//! after each piece of work, three times as long as that took; unless files come faster than it merges them, so that writes
//! would be slowed down in the end. RocksDB calls its filter for each row that it keeps: that is where it can be held.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::properties::num_files_at_level;

use super::database::Database;

/// Files that were flushed and not yet merged. At the first of these compaction begins; at the second writes are slowed
/// down, and at the third they stop.
pub(super) const FILES_TO_BEGIN: i32 = 12;
pub(super) const FILES_TO_SLOW_DOWN: i32 = 24;
pub(super) const FILES_TO_STOP: i32 = 40;
/// With so many, compactions rest no more: two have come since this one began, so it is being outrun.
const FILES_TO_HASTEN: i32 = 14;

/// Of keys and values; half a millisecond of work.
const PIECE_BYTES: usize = 256 * 1024;
/// For the work of one.
const RESTS: u32 = 3;
/// Whoever closes the store waits for a rest to end.
const REST_LONGEST: Duration = Duration::from_millis(10);

/// Whether compactions shall do what they can. Shared by the store and all that run.
#[derive(Clone, Default)]
pub(super) struct Haste(Arc<AtomicBool>);

impl Haste {
    /// Judges anew. Some microseconds.
    pub(super) fn judge(&self, database: &Database) {
        let files = database.db.property_value(num_files_at_level(0));
        let files = files.ok().flatten().and_then(|text| text.parse().ok());
        let haste = files.is_none_or(|files: i32| files >= FILES_TO_HASTEN);
        self.0.store(haste, Ordering::Relaxed);
    }

    pub(super) fn factory(&self) -> Factory {
        Factory(self.clone())
    }
}

pub(super) struct Factory(Haste);

impl CompactionFilterFactory for Factory {
    type Filter = Unhurried;

    fn create(&mut self, _context: CompactionFilterContext) -> Unhurried {
        Unhurried {
            haste: self.0.clone(),
            bytes: 0,
            since: Instant::now(),
        }
    }

    fn name(&self) -> &CStr {
        c"eraft"
    }
}

/// One compaction, of one thread.
pub(super) struct Unhurried {
    haste: Haste,
    /// Of this piece.
    bytes: usize,
    since: Instant,
}

impl CompactionFilter for Unhurried {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> CompactionDecision {
        self.bytes += key.len() + value.len();
        if self.bytes >= PIECE_BYTES {
            self.bytes = 0;
            if !self.haste.0.load(Ordering::Relaxed) {
                thread::sleep((self.since.elapsed() * RESTS).min(REST_LONGEST));
            }
            self.since = Instant::now();
        }
        CompactionDecision::Keep
    }

    fn name(&self) -> &CStr {
        c"eraft"
    }
}
