//! How an engine is opened. Every field is explicit: the defaults live in TypeScript, beside their documentation.

use std::path::PathBuf;

pub use crate::store::Compression;

#[derive(Clone)]
pub struct Options {
    /// The data folder; created when absent. With `memory`, a path inside the in-memory disk.
    pub dir: PathBuf,
    /// 1 to 2^32 - 1.
    pub replica: u32,
    /// None: whatever the folder holds; drawn from `entropy` when it is formatted.
    pub cluster: Option<[u8; 16]>,
    /// Random bytes, others at each opening: cluster id and uid of a folder that is formatted, salts of log and views.
    pub entropy: [u8; 32],
    /// No threads: everything happens in `step`.
    pub stepped: bool,
    /// An in-memory disk of this process, by name, instead of the real file system.
    pub memory: Option<String>,
    /// Open a folder with a damaged log: see `wal::GroupState::damage`. False: refuse it.
    pub repair: bool,
    pub segment_bytes: u64,
    pub tail_bytes: usize,
    pub frame_bytes_max: usize,
    pub direct_io: bool,
    pub cache_bytes: usize,
    pub memtable_bytes: usize,
    pub compression: Compression,
    /// At least 1 with threads.
    pub read_threads: usize,
    /// A burst of records up to this size may be applied on the caller's thread; 0: never.
    pub inline_bytes_max: usize,
    /// Un-synced bytes of the log above which `submit` refuses.
    pub queue_bytes_max: u64,
    /// Results of one attachment above which apply waits.
    pub results_bytes_max: usize,
    /// Answers of one attachment above which reads are refused.
    pub answers_bytes_max: usize,
    /// Applied log bytes after which the store is flushed, so that the log can be truncated.
    pub flush_log_bytes: u64,
    /// Pinned views of scans at once.
    pub views_max: usize,
    /// After which an unused one is released.
    pub view_idle_ms: u64,
}

impl Options {
    pub(crate) fn entropy_u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.entropy[at..at + 8].try_into().expect("eight bytes"))
    }
}
