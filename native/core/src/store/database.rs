//! RocksDB as the store uses it: one column family, no write-ahead log, and its metadata.

use std::path::Path;

use rocksdb::{
    ColumnFamilyDescriptor, DB, DBPinnableSlice, DEFAULT_COLUMN_FAMILY_NAME, ErrorKind,
    FlushOptions, ReadOptions, ReadTier, Snapshot, WriteBatch, WriteOptions, properties,
};

use super::compactions::Haste;
use super::keys::{
    APPLIED, applied_key, identity_key, metadata_prefix, replacing_key, session_prefix,
    session_result,
};
use super::{Applied, MemoryDisk, StoreError, StoreOptions};

/// Of keys and values; docs/log-format.md.
const FORMAT: u32 = 1;
const APPLIED_VERSION: u8 = 1;
const APPLIED_BYTES: usize = 33;
/// On a disk in memory, the flush that makes as many unsorted files merges them.
const MEMORY_FILES_MAX: usize = 4;

pub(super) struct Database {
    pub(super) db: DB,
    pub(super) haste: Haste,
    write: WriteOptions,
    write_no_slowdown: WriteOptions,
    pub(super) read_all: ReadOptions,
    pub(super) read_memory: ReadOptions,
    read_persisted: ReadOptions,
    memory: Option<MemoryDisk>,
}

impl Database {
    pub(super) fn open(
        path: &Path,
        identity: &[u8],
        options: &StoreOptions,
    ) -> Result<Database, StoreError> {
        let haste = Haste::default();
        let database_options = options.database(&haste)?;
        // Naming the column family gives the handle that batched reads ask for.
        let family =
            ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, database_options.clone());
        let database = Database {
            db: DB::open_cf_descriptors(&database_options, path, [family])?,
            haste,
            write: write_options(false),
            write_no_slowdown: write_options(true),
            read_all: ReadOptions::default(),
            read_memory: tier(ReadTier::BlockCache),
            read_persisted: tier(ReadTier::Persisted),
            memory: options.memory.clone(),
        };
        database.identify(identity)?;
        Ok(database)
    }

    /// Writes who owns the store, or compares it.
    ///
    /// Not flushed: as long as a crash can take it, there is no flushed data either that could be somebody else's.
    fn identify(&self, identity: &[u8]) -> Result<(), StoreError> {
        let key = identity_key();
        match self.db.get_pinned_opt(&key, &self.read_all)? {
            None => {
                let mut any = self.db.raw_iterator();
                any.seek_to_first();
                any.status()?;
                if any.valid() {
                    return Err(StoreError::damaged("data without the store's identity"));
                }
                let mut batch = WriteBatch::default();
                batch.put(&key, [&FORMAT.to_le_bytes(), identity].concat());
                self.write(batch, false)
            }
            Some(stored) => match stored.split_first_chunk::<4>() {
                Some((&format, _)) if u32::from_le_bytes(format) != FORMAT => {
                    Err(StoreError::Version {
                        found: u32::from_le_bytes(format),
                        known: FORMAT,
                    })
                }
                Some((_, owner)) if owner == identity => Ok(()),
                Some(_) => Err(StoreError::Identity),
                None => Err(StoreError::damaged("an identity without a format")),
            },
        }
    }

    /// `no_slowdown`: `Busy` instead of waiting; nothing is written then.
    pub(super) fn write(&self, batch: WriteBatch, no_slowdown: bool) -> Result<(), StoreError> {
        if self.memory.as_ref().is_some_and(MemoryDisk::refuses) {
            return Err(refused());
        }
        if self.memory.as_ref().is_some_and(MemoryDisk::is_full) {
            return Err(memory_full());
        }
        let options = if no_slowdown {
            &self.write_no_slowdown
        } else {
            &self.write
        };
        match self.db.write_opt(batch, options) {
            Err(error) if no_slowdown && error.kind() == ErrorKind::Incomplete => {
                Err(StoreError::Busy)
            }
            written => Ok(written?),
        }
    }

    /// One value; `Busy` when the options allow memory only and it is not there.
    pub(super) fn get(
        &self,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<DBPinnableSlice<'_>>, StoreError> {
        match self.db.get_pinned_opt(key, options) {
            Err(error) if error.kind() == ErrorKind::Incomplete => Err(StoreError::Busy),
            found => Ok(found?),
        }
    }

    /// The results of an applied batch, as `Drafts` stored them.
    pub(super) fn session_result(
        &self,
        group: u32,
        id: u64,
        sequence: u64,
        options: &ReadOptions,
    ) -> Result<DBPinnableSlice<'_>, StoreError> {
        let key = [&session_prefix(group)[..], &session_result(id, sequence)].concat();
        self.get(&key, options)?
            .ok_or_else(|| StoreError::damaged("the results of a session's batch are missing"))
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        if let Some(memory) = &self.memory {
            if memory.refuses_flush() {
                return Err(refused());
            }
            if memory.refuses_tables(self.bytes_after_flush()) {
                return Err(memory_full());
            }
        }
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_opt(&options)?;
        if self.memory.is_some() && self.first_level_files() >= MEMORY_FILES_MAX {
            self.db.compact_range::<&[u8], &[u8]>(None, None);
        }
        Ok(())
    }

    fn first_level_files(&self) -> usize {
        let files = self.db.property_value(properties::num_files_at_level(0));
        files
            .ok()
            .flatten()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    /// About.
    fn bytes_after_flush(&self) -> u64 {
        let unflushed = match self.number(properties::NUM_ENTRIES_ACTIVE_MEM_TABLE) {
            0 => 0,
            _ => self.number(properties::CUR_SIZE_ALL_MEM_TABLES),
        };
        self.number(properties::LIVE_SST_FILES_SIZE) + unflushed
    }

    fn number(&self, name: &rocksdb::properties::PropName) -> u64 {
        self.db.property_int_value(name).ok().flatten().unwrap_or(0)
    }

    /// The applied index of a group; zeros for one that has applied nothing.
    pub(super) fn applied(&self, group: u32) -> Result<Applied, StoreError> {
        self.read_applied(group, &self.read_all)
    }

    /// The same, of what a crash would leave.
    pub(super) fn flushed(&self, group: u32) -> Result<Applied, StoreError> {
        self.read_applied(group, &self.read_persisted)
    }

    /// Is the state of the group being replaced?
    pub(super) fn is_replacing(&self, group: u32) -> Result<bool, StoreError> {
        let found = self
            .db
            .get_pinned_opt(replacing_key(group), &self.read_all)?;
        Ok(found.is_some())
    }

    pub(super) fn read_applied(
        &self,
        group: u32,
        options: &ReadOptions,
    ) -> Result<Applied, StoreError> {
        match self.db.get_pinned_opt(applied_key(group), options)? {
            None => Ok(Applied::default()),
            Some(value) => decode_applied(&value),
        }
    }

    /// The groups that have anything in the store.
    pub(super) fn groups(&self) -> Result<Vec<u32>, StoreError> {
        groups_of(&self.db)
    }
}

/// See `Database::groups`.
pub(super) fn groups_of(db: &DB) -> Result<Vec<u32>, StoreError> {
    let mut groups = Vec::new();
    let mut keys = db.raw_iterator();
    let mut next = Some(1u32);
    while let Some(group) = next {
        keys.seek(metadata_prefix(group));
        let Some(found) = keys.key() else { break };
        let Some((&group, rest)) = found.split_first_chunk::<4>() else {
            return Err(StoreError::damaged("a key without a group"));
        };
        let group = u32::from_be_bytes(group);
        if rest != [&metadata_prefix(group)[4..], APPLIED].concat() {
            return Err(StoreError::damaged(
                "data of a group without its applied index",
            ));
        }
        groups.push(group);
        next = group.checked_add(1);
    }
    keys.status()?;
    Ok(groups)
}

impl Drop for Database {
    /// What is in the memtables is not flushed: the log has it.
    fn drop(&mut self) {
        self.db.cancel_all_background_work(true);
    }
}

fn refused() -> StoreError {
    let what = "the disk was told to refuse".to_owned();
    StoreError::Io { what }
}

fn memory_full() -> StoreError {
    let what = "the disk in memory has no space left".to_owned();
    StoreError::DiskFull { what }
}

/// `| version u8 = 1 | index u64 LE | term u64 LE | log time u64 LE | revision u64 LE |`
pub(super) fn encode_applied(applied: Applied) -> [u8; APPLIED_BYTES] {
    let mut value = [APPLIED_VERSION; APPLIED_BYTES];
    value[1..9].copy_from_slice(&applied.index.to_le_bytes());
    value[9..17].copy_from_slice(&applied.term.to_le_bytes());
    value[17..25].copy_from_slice(&applied.time.to_le_bytes());
    value[25..33].copy_from_slice(&applied.revision.to_le_bytes());
    value
}

pub(super) fn decode_applied(value: &[u8]) -> Result<Applied, StoreError> {
    if value.len() != APPLIED_BYTES || value[0] != APPLIED_VERSION {
        return Err(StoreError::damaged("an applied index of another form"));
    }
    let number = |at: usize| u64::from_le_bytes(value[at..at + 8].try_into().expect("eight bytes"));
    Ok(Applied {
        index: number(1),
        term: number(9),
        time: number(17),
        revision: number(25),
    })
}

fn write_options(no_slowdown: bool) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options.set_no_slowdown(no_slowdown);
    options
}

fn tier(tier: ReadTier) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_read_tier(tier);
    options
}

/// What a snapshot reads with: from memory only, and from wherever it is.
pub(super) fn snapshot_options(snapshot: &Snapshot<'_>) -> (ReadOptions, ReadOptions) {
    let mut memory = tier(ReadTier::BlockCache);
    memory.set_snapshot(snapshot);
    let mut all = ReadOptions::default();
    all.set_snapshot(snapshot);
    (memory, all)
}
