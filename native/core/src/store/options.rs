//! How a store is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DataBlockIndexType, Env, LogLevel, Options,
};

use super::StoreError;
use super::compactions::{FILES_TO_BEGIN, FILES_TO_SLOW_DOWN, FILES_TO_STOP, Haste};
use crate::command::limits;

const MIB: u64 = 1024 * 1024;

/// Of table blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Lz4,
    Zstd,
}

/// Files in memory that outlive the store: reopening finds what was flushed, as after a crash. For tests.
#[derive(Clone)]
pub struct MemoryDisk {
    env: Env,
    refusals: Arc<AtomicU32>,
    flush_refusals: Arc<AtomicU32>,
    space: Arc<Space>,
    sessions_max: Arc<AtomicUsize>,
}

/// Bytes that tables may take, and whether a flush has met the end of them since.
struct Space {
    capacity: AtomicU64,
    full: AtomicBool,
}

impl MemoryDisk {
    /// An empty one. Clones are the same disk.
    pub fn new() -> Result<MemoryDisk, StoreError> {
        Ok(MemoryDisk {
            env: Env::mem_env()?,
            refusals: Arc::default(),
            flush_refusals: Arc::default(),
            space: Arc::new(Space {
                capacity: AtomicU64::new(u64::MAX),
                full: AtomicBool::new(false),
            }),
            sessions_max: Arc::new(AtomicUsize::new(limits::SESSIONS_MAX)),
        })
    }

    /// Stores that are opened from now on keep so many sessions of a group. All replicas of a cluster must keep as many.
    pub fn set_sessions_max(&self, sessions: usize) {
        self.sessions_max.store(sessions, Ordering::Relaxed);
    }

    pub(crate) fn sessions_max(&self) -> usize {
        self.sessions_max.load(Ordering::Relaxed)
    }

    /// Limits the bytes of all tables. A flush that would exceed them fails, and after it every write does, as RocksDB does
    /// it on a full disk, until there is more space. What RocksDB flushes by itself is not limited.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        let bytes = bytes.unwrap_or(u64::MAX);
        self.space.capacity.store(bytes, Ordering::Relaxed);
        self.space.full.store(false, Ordering::Relaxed);
    }

    /// Whether there is no space for tables of so many bytes.
    pub(super) fn refuses_tables(&self, bytes: u64) -> bool {
        let full = bytes > self.space.capacity.load(Ordering::Relaxed);
        self.space.full.store(full, Ordering::Relaxed);
        full
    }

    /// Whether the last flush found no space.
    pub(super) fn is_full(&self) -> bool {
        self.space.full.load(Ordering::Relaxed)
    }

    /// The next `count` writes into the store fail.
    pub fn refuse_writes(&self, count: u32) {
        self.refusals.store(count, Ordering::Relaxed);
    }

    /// The next `count` flushes fail. What RocksDB flushes by itself does not.
    pub fn refuse_flushes(&self, count: u32) {
        self.flush_refusals.store(count, Ordering::Relaxed);
    }

    /// Whether the write that comes now is one of those.
    pub(super) fn refuses(&self) -> bool {
        take_one(&self.refusals)
    }

    /// The same, of flushes.
    pub(super) fn refuses_flush(&self) -> bool {
        take_one(&self.flush_refusals)
    }
}

/// False when there is none left.
fn take_one(count: &AtomicU32) -> bool {
    let less = |count: u32| count.checked_sub(1);
    let relaxed = Ordering::Relaxed;
    count.fetch_update(relaxed, relaxed, less).is_ok()
}

/// Limits of apply and of views. The first two are constants of the format: only tests change them.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    pub sessions_max: usize,
    pub delete_range_keys_max: usize,
    pub views_max: usize,
    /// A pinned view that was not used for so long is released.
    pub view_idle_ms: u64,
}

impl Default for StoreLimits {
    fn default() -> StoreLimits {
        StoreLimits {
            sessions_max: limits::SESSIONS_MAX,
            delete_range_keys_max: limits::DELETE_RANGE_KEYS_MAX,
            views_max: 64,
            view_idle_ms: 30_000,
        }
    }
}

#[derive(Clone)]
pub struct StoreOptions {
    /// Three quarters for table blocks, indexes and filters, the rest for single values that were read lately.
    pub cache_bytes: usize,
    /// Written to before it is flushed; up to three exist.
    pub memtable_bytes: usize,
    pub compression: Compression,
    pub max_open_files: i32,
    /// Threads of RocksDB for flushes and compactions, shared by all stores of the process.
    pub background_jobs: i32,
    /// None: real files.
    pub memory: Option<MemoryDisk>,
    /// Begins the ids of pinned views. Random for each opening, so that no id of another replica, or of this one before
    /// it was restarted, names a view here.
    pub view_seed: u64,
    pub limits: StoreLimits,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            cache_bytes: 256 * MIB as usize,
            memtable_bytes: 64 * MIB as usize,
            compression: Compression::Lz4,
            max_open_files: 1024,
            background_jobs: 2,
            memory: None,
            view_seed: 0,
            limits: StoreLimits::default(),
        }
    }
}

impl StoreOptions {
    /// The options of the database. Levels begin late because compaction is what a stream of writes pays for.
    pub(super) fn database(&self, haste: &Haste) -> Result<Options, StoreError> {
        // Not among the setters of the crate. What is not flushed is in the Raft log; blocks of a file that is gone leave
        // the cache with it, which else fills with them where nobody reads.
        let mut options = Options::default().get_options_from_string(
            "avoid_flush_during_shutdown=true;uncache_aggressiveness=230",
        )?;
        options.create_if_missing(true);
        options.set_paranoid_checks(true);
        if let Some(memory) = &self.memory {
            options.set_env(&memory.env);
            // When a compaction ends is chance, and it decides which reads find their blocks in memory. A simulation, which
            // goes the same way each time, has them as a part of flushes (`Database::flush`).
            options.set_disable_auto_compactions(true);
        } else {
            options.set_compaction_filter_factory(haste.factory());
        }
        options.set_max_open_files(self.max_open_files);
        options.set_max_background_jobs(self.background_jobs);
        options.set_bytes_per_sync(MIB);
        options.set_avoid_unnecessary_blocking_io(true);
        // There is one writer: the concurrent memtable insert would only cost.
        options.set_allow_concurrent_memtable_write(false);
        self.memtables_and_levels(&mut options);
        options.set_block_based_table_factory(&self.tables());
        // RocksDB's own log file: errors and warnings, two files of at most 4 MiB; no periodic statistics.
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(4 * MIB as usize);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        Ok(options)
    }

    fn memtables_and_levels(&self, options: &mut Options) {
        options.set_write_buffer_size(self.memtable_bytes);
        options.set_max_write_buffer_number(3);
        // Spares most misses the search of the skip list, for 1/50 of the memtable.
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.02);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_level_zero_file_num_compaction_trigger(FILES_TO_BEGIN);
        options.set_level_zero_slowdown_writes_trigger(FILES_TO_SLOW_DOWN);
        options.set_level_zero_stop_writes_trigger(FILES_TO_STOP);
        options.set_max_bytes_for_level_base(512 * MIB);
        options.set_target_file_size_base(64 * MIB);
        options.set_compression_type(match self.compression {
            Compression::None => DBCompressionType::None,
            Compression::Lz4 => DBCompressionType::Lz4,
            Compression::Zstd => DBCompressionType::Zstd,
        });
    }

    pub(super) fn recent_bytes(&self) -> usize {
        self.cache_bytes / 4
    }

    fn tables(&self) -> BlockBasedOptions {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&Cache::new_lru_cache(
            self.cache_bytes - self.recent_bytes(),
        ));
        tables.set_format_version(5);
        tables.set_bloom_filter(10.0, false);
        tables.set_whole_key_filtering(true);
        tables.set_cache_index_and_filter_blocks(true);
        tables.set_cache_index_and_filter_blocks_with_high_priority(true);
        tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
        tables.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        tables
    }
}
