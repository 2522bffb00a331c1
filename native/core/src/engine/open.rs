//! Opening a data folder: whose it is, what log and store hold, and whether they belong together.
//!
//! The order of formatting makes every crash in it harmless: first the identity, durably, then log and store; a folder
//! with data and without identity was damaged by something else.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::core::{Clock, Core, CoreParts, Group, Listeners, store_error};
use super::damaged;
use super::disk;
use super::error::{EngineError, ErrorCode};
use super::identity::Identity;
use super::lock::{FolderLock, io_error};
use super::options::Options;
use super::snapshots::{Catalog, MARKER_FILE, Opened};
use crate::store::{Applied, MemoryDisk, Store, StoreError, StoreLimits, StoreOptions};
use crate::sys::{FileSystem, RealFileSystem};
use crate::wal::{GroupState, Wal, WalError, WalOptions};

pub(super) const LOG_FOLDER: &str = "log";
pub(super) const STORE_FOLDER: &str = "store";
/// The group that every store of this release has.
pub const DEFAULT_GROUP: u32 = 1;

/// What log and store hold of one group.
#[derive(Clone, Debug)]
pub struct GroupRecovery {
    pub log: GroupState,
    pub applied: Applied,
    pub flushed: u64,
    /// The log was damaged, and less was left of it than the store holds: it begins behind that now, with nothing in it.
    pub store_ahead: bool,
}

/// Opens or formats the folder.
pub(crate) fn open(options: Options) -> Result<(Core, Vec<GroupRecovery>), EngineError> {
    let dir = options.dir.clone();
    let memory = options.memory.as_deref().map(disk::disk).transpose()?;
    let fs: Arc<dyn FileSystem> = match &memory {
        Some(disk) => disk.files.clone(),
        None => Arc::new(RealFileSystem),
    };
    fs.create_dir(&dir).map_err(|e| io_error(&dir, &e))?;
    let lock = FolderLock::take(&*fs, &dir, options.memory.as_deref())?;
    let identity = identify(&*fs, &dir, &options)?;
    let clock = if options.stepped {
        Clock::Simulated(Arc::new(AtomicU64::new(0)))
    } else {
        Clock::Real(Instant::now())
    };
    let listeners = Arc::new(Listeners::default());
    let (mut wal, mut logs) = open_log(&fs, &dir, &options, &clock, &listeners)?;
    let store = open_store(&dir, &options, &identity, memory.map(|disk| disk.store))?;
    let opened = Opened {
        fs: &*fs,
        dir: &dir,
        identity: &identity,
        wal: &wal,
        wal_has_threads: !options.stepped,
        logs: &logs,
        store: &store,
    };
    if opened.redo()? {
        wal.close()
            .map_err(|e| log_error(&dir.join(LOG_FOLDER), &e))?;
        drop(wal);
        (wal, logs) = open_log(&fs, &dir, &options, &clock, &listeners)?;
    }
    let ahead = damaged::begin_behind_store(&dir, &wal, options.stepped, &store, &mut logs)?;
    let mut recovered = recover(&dir, &store, logs)?;
    for group in &mut recovered {
        group.store_ahead = ahead.contains(&group.log.group);
    }
    let applied = recovered.iter().map(|group| group.applied.index).max();
    let catalog = Catalog::load(&*fs, &dir, applied.unwrap_or(0))?;
    let groups = recovered
        .iter()
        .map(|r| (r.log.group, Arc::new(follow(r))))
        .collect::<FxHashMap<_, _>>();
    let parts = CoreParts {
        options,
        dir,
        fs,
        clock,
        identity,
        groups,
        listeners,
        wal,
        store,
        lock,
    };
    let core = Core::new(parts);
    *core.snapshots.catalog.lock() = catalog;
    Ok((core, recovered))
}

fn follow(recovered: &GroupRecovery) -> Group {
    let Applied {
        index, revision, ..
    } = recovered.applied;
    let log = &recovered.log;
    let group = Group::new(log.group, index, revision, log.last_index);
    if let Some((index, conf)) = &log.conf {
        group.note_conf(*index, conf.clone());
    }
    group
}

/// The folder's identity: checked, or drawn and written into an empty folder.
fn identify(fs: &dyn FileSystem, dir: &Path, options: &Options) -> Result<Identity, EngineError> {
    if let Some(identity) = Identity::read(fs, dir)? {
        identity.check(dir, options.replica, options.cluster)?;
        if !identity.blank && !has_files(fs, &dir.join(LOG_FOLDER))? {
            return Err(lost(
                dir,
                "its log is gone, and with it the votes and entries that this replica has promised to keep",
            ));
        }
        return Ok(identity);
    }
    if has_file(fs, dir, MARKER_FILE)? {
        return Err(lost(
            dir,
            "a backup was being restored into it, and that was interrupted: empty it and restore again",
        ));
    }
    for folder in [LOG_FOLDER, STORE_FOLDER] {
        if has_files(fs, &dir.join(folder))? {
            return Err(lost(
                dir,
                &format!("it has a {folder} but no identity file"),
            ));
        }
    }
    let drawn: [u8; 16] = options.entropy[..16].try_into().expect("16 bytes");
    let identity = Identity {
        cluster: options.cluster.unwrap_or(drawn),
        replica: options.replica,
        uid: options.entropy_u64(16).max(1), // 0 stands for nobody
        blank: true,
        backup: [0; 16],
    };
    identity.write(fs, dir)?;
    Ok(identity)
}

fn has_file(fs: &dyn FileSystem, folder: &Path, name: &str) -> Result<bool, EngineError> {
    let names = fs.list(folder).map_err(|e| io_error(folder, &e))?;
    Ok(names.iter().any(|found| found == name))
}

fn has_files(fs: &dyn FileSystem, folder: &Path) -> Result<bool, EngineError> {
    match fs.list(folder) {
        Ok(names) => Ok(!names.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error(folder, &error)),
    }
}

fn open_log(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    options: &Options,
    clock: &Clock,
    listeners: &Arc<Listeners>,
) -> Result<(Wal, Vec<GroupState>), EngineError> {
    let path = dir.join(LOG_FOLDER);
    let clock = clock.clone();
    let listeners = listeners.clone();
    let log_options = WalOptions {
        segment_bytes: options.segment_bytes,
        tail_bytes: options.tail_bytes,
        frame_bytes_max: options.frame_bytes_max,
        threads: !options.stepped,
        direct_io: options.direct_io,
        salt: options.entropy_u64(24),
        repair: match options.repair {
            true => vec![DEFAULT_GROUP],
            false => Vec::new(),
        },
        clock_micros: Arc::new(move || clock.micros()),
    };
    Wal::open(
        fs.clone(),
        &path,
        log_options,
        Arc::new(move || listeners.wake_all()),
    )
    .map_err(|e| log_error(&path, &e))
}

fn open_store(
    dir: &Path,
    options: &Options,
    identity: &Identity,
    memory: Option<MemoryDisk>,
) -> Result<Store, EngineError> {
    let path = dir.join(STORE_FOLDER);
    let limits = StoreLimits::default();
    let sessions_max = memory.as_ref().map(MemoryDisk::sessions_max);
    let store_options = StoreOptions {
        cache_bytes: options.cache_bytes,
        memtable_bytes: options.memtable_bytes,
        compression: options.compression,
        memory,
        view_seed: options.entropy_u64(24).rotate_left(32),
        limits: StoreLimits {
            views_max: options.views_max,
            view_idle_ms: options.view_idle_ms,
            sessions_max: sessions_max.unwrap_or(limits.sessions_max),
            ..limits
        },
        ..StoreOptions::default()
    };
    let mut owner = Vec::with_capacity(28);
    owner.extend_from_slice(&identity.cluster);
    owner.extend_from_slice(&identity.replica.to_le_bytes());
    owner.extend_from_slice(&identity.uid.to_le_bytes());
    Store::open(&path, &owner, store_options).map_err(|e| store_open_error(&path, &e))
}

/// Rule 4, on opening: the store's flushed index lies within [compacted, last] of the log, or one of them is not the
/// one that the other lived with.
fn recover(
    dir: &Path,
    store: &Store,
    logs: Vec<GroupState>,
) -> Result<Vec<GroupRecovery>, EngineError> {
    if let Some(log) = logs.iter().find(|log| store.is_replacing(log.group)) {
        return Err(lost(
            dir,
            &format!(
                "the state of group {} was being replaced by a snapshot, and the file `{MARKER_FILE}` that says by which is gone",
                log.group
            ),
        ));
    }
    let mut known: BTreeSet<u32> = logs.iter().map(|log| log.group).collect();
    if known.insert(DEFAULT_GROUP) && store.flushed(DEFAULT_GROUP) > 0 {
        return Err(lost(
            dir,
            "its store holds data of which its log knows nothing: the log was emptied or replaced",
        ));
    }
    logs.into_iter()
        .map(|log| {
            let (group, flushed) = (log.group, store.flushed(log.group));
            if flushed < log.compacted_index {
                return Err(lost(
                    dir,
                    &format!(
                        "its store ends at entry {flushed} of group {group}, its log begins behind entry {}: the store was \
                         emptied or is an older copy",
                        log.compacted_index
                    ),
                ));
            }
            if flushed > log.last_index {
                return Err(lost(
                    dir,
                    &format!(
                        "its store contains entry {flushed} of group {group}, its log ends at entry {}: the log was \
                         emptied or is an older copy",
                        log.last_index
                    ),
                ));
            }
            Ok(GroupRecovery { applied: store.applied(group), flushed, log, store_ahead: false })
        })
        .collect()
}

/// Log, store or identity of a folder do not belong together.
fn lost(dir: &Path, why: &str) -> EngineError {
    EngineError::told(
        ErrorCode::DataDamaged,
        &format!("cannot open {}: parts of it are missing", dir.display()),
        why,
        "restore the whole folder from one backup, or give this replica an empty folder and a membership of its own",
        "nothing was changed",
    )
}

pub(super) fn log_error(path: &Path, error: &WalError) -> EngineError {
    let what = format!("cannot open the log in {}", path.display());
    let (code, remedy) = match error {
        WalError::Damaged { .. } => (
            ErrorCode::DataDamaged,
            "do not delete anything: other replicas may hold what is damaged here; replace this one through a membership \
             change, or restore the whole folder from a backup",
        ),
        WalError::Version { .. } => (
            ErrorCode::DataVersion,
            "open it with the eraft that wrote it, or a newer one",
        ),
        WalError::Io { .. } => (
            ErrorCode::Io,
            "check permissions, free space and the device, then open again",
        ),
        WalError::Options { .. } => (ErrorCode::Config, "give the log other sizes"),
        _ => (
            ErrorCode::Failed,
            "open it again; report it if that does not help",
        ),
    };
    EngineError::told(
        code,
        &what,
        &error.to_string(),
        remedy,
        "nothing acknowledged was changed",
    )
}

pub(super) fn store_open_error(path: &Path, error: &StoreError) -> EngineError {
    let what = format!("cannot open the store in {}", path.display());
    let plain = store_error(error);
    let (code, remedy) = match error {
        StoreError::Identity => (
            ErrorCode::DataMismatch,
            "put each replica's log and store back together",
        ),
        StoreError::Version { .. } => (
            ErrorCode::DataVersion,
            "open it with the eraft that wrote it, or a newer one",
        ),
        StoreError::Damaged { .. } => (
            ErrorCode::DataDamaged,
            "replace this replica through a membership change, or restore the whole folder from a backup",
        ),
        StoreError::Io { .. } | StoreError::DiskFull { .. } => (
            ErrorCode::Io,
            "check permissions, free space and the device, then open again",
        ),
        _ => (plain.code, "open it again; report it if that does not help"),
    };
    EngineError::told(
        code,
        &what,
        &plain.message,
        remedy,
        "nothing acknowledged was changed",
    )
}
