//! One data folder at work: identity, lock, log, store, the threads between them, and what waits for JavaScript.
//!
//! In:   `Options`; then, from any number of attachments, batches to submit, indexes to apply, reads.
//! Out:  tickets, results and answers in queues, one coalesced call when there is something to fetch.
//! Not:  which entries are committed or who leads (`ts/raft`, `ts/host`); any N-API (`native/binding`).
//! May import: `wal`, `store`, `snapshot`, `command`, `record`, `sys`.
//!
//! Threads (none in stepped mode): the log's own, one that applies, some that read, one for upkeep, one for snapshots, one for
//! removed files. A panic in any of them ends the engine with an error, never the process. Start at `attachment.rs`, which is
//! what the border calls.

mod apply;
mod attachment;
mod core;
mod damaged;
mod disk;
mod error;
mod identity;
mod inspect;
mod lock;
mod open;
mod options;
mod queues;
mod reads;
mod removed;
mod restore;
mod rot;
mod snapshots;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use parking_lot::{Mutex, RwLock};

pub use self::attachment::{Attachment, Progress, ReadOutcome, Stats};
use self::core::Core;
pub use self::disk::{
    crash_memory, forget_memory, limit_memory, limit_memory_sessions, memory_files, memory_store,
};
pub use self::error::{EngineError, ErrorCode};
pub use self::identity::{IDENTITY_BYTES, IDENTITY_FILE, Identity, parse_cluster};
pub use self::inspect::inspect_files;
pub use self::lock::LOCK_FILE;
pub use self::open::{DEFAULT_GROUP, GroupRecovery};
pub use self::options::{Compression, Options};
pub use self::queues::{ANSWER_HEAD_BYTES, Notify, RESULT_HEAD_BYTES};
pub use self::restore::restore_folder;
pub use self::rot::rot_memory;
pub use self::snapshots::{MARKER_FILE, SnapshotInfo};
use crate::sys::Fault;

static ENGINES: Mutex<BTreeMap<u32, Weak<Engine>>> = Mutex::new(BTreeMap::new());
static NEXT_TOKEN: AtomicU32 = AtomicU32::new(1);

/// An open data folder. Closed by `close`, or when its last attachment goes.
pub struct Engine {
    token: u32,
    recovered: Vec<GroupRecovery>,
    /// Read-locked by every call, for as long as it lasts; `close` takes the core away and so waits for them.
    core: RwLock<Option<Arc<Core>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    attachments: AtomicUsize,
}

impl Engine {
    /// Opens the folder, or formats an empty one. Blocks: reads the log and opens RocksDB.
    ///
    /// @throws ERAFT_DATA_LOCKED, ERAFT_DATA_MISMATCH, ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION, ERAFT_IO, ERAFT_CONFIG
    pub fn open(options: Options) -> Result<Arc<Engine>, EngineError> {
        check(&options)?;
        let (core, recovered) = open::open(options)?;
        let core = Arc::new(core);
        let threads = start_threads(&core).inspect_err(|_| core.stop())?;
        let engine = Arc::new(Engine {
            token: NEXT_TOKEN.fetch_add(1, Ordering::Relaxed),
            recovered,
            core: RwLock::new(Some(core)),
            threads: Mutex::new(threads),
            attachments: AtomicUsize::new(0),
        });
        ENGINES.lock().insert(engine.token, Arc::downgrade(&engine));
        Ok(engine)
    }

    /// The open engine with this token, for another thread to attach to.
    pub fn find(token: u32) -> Option<Arc<Engine>> {
        ENGINES.lock().get(&token).and_then(Weak::upgrade)
    }

    pub fn token(&self) -> u32 {
        self.token
    }

    /// What log and store held when the folder was opened.
    pub fn recovered(&self) -> &[GroupRecovery] {
        &self.recovered
    }

    /// Runs `work` on the open engine; a panic in it ends the engine.
    ///
    /// @throws ERAFT_CLOSED after `close`, ERAFT_FAILED when `work` panics
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&Core) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        let core = self.core.read();
        let core = core.as_ref().ok_or_else(EngineError::closed)?;
        core.guard("the storage engine", || work(core))?
    }

    /// Stops the threads, writes a mark into the log, closes everything and lets the folder go. Idempotent. Blocks until
    /// the running sync, burst and flush have ended. What was submitted and is not durable may be lost.
    ///
    /// With `flush` the store is flushed first, so that the next opening has nothing to replay.
    pub fn close(&self, flush: bool) {
        let mut threads = self.threads.lock(); // held until the end: a second closer waits for the first
        if let Some(core) = self.core.read().as_ref() {
            core.stop();
        }
        for thread in threads.drain(..) {
            let _ = thread.join(); // its panics are caught inside
        }
        let Some(core) = self.core.write().take() else {
            return;
        };
        ENGINES.lock().remove(&self.token);
        // Queued reads hold views, and views hold the store open.
        core.reading.clear();
        core.applying.clear();
        core.snapshots.clear();
        if flush && core.failure().is_none() {
            // The log has everything that a refused write or flush leaves out.
            for group in core.groups.read().keys() {
                let _ = core.store.write(*group, false);
            }
            let _ = core.store.flush();
        }
        let _ = core.wal.close(); // the mark is a help for recovery, not a promise
    }

    /// Memory disk only: the power fails. What was not synced is lost or torn, as `seed` decides; this engine is closed.
    pub fn crash(&self, seed: u64) -> Result<(), EngineError> {
        let (name, files) = self.with(|core| {
            let name = core.options.memory.clone();
            let name =
                name.ok_or_else(|| EngineError::bad_request("only an in-memory disk can crash"))?;
            let disk = disk::disk(&name)?;
            Ok((name, disk.files))
        })?;
        // From here on nothing reaches the disk any more, so closing the log cannot improve what the crash leaves.
        disk::replace(&name, files.crash(seed));
        files.fail_at(files.operations() + 1, Fault::PowerLoss);
        self.close(false);
        Ok(())
    }

    /// Memory disk only: see `limit_memory`.
    pub fn set_capacity(&self, bytes: Option<u64>) -> Result<(), EngineError> {
        self.with(|core| {
            let name = core.options.memory.as_deref();
            let name = name.ok_or_else(|| {
                EngineError::bad_request("only an in-memory disk can be given a size")
            })?;
            disk::limit_memory(name, bytes)
        })
    }

    /// Memory disk only: the n-th file operation from now (1 = the next) meets `fault`.
    pub fn fail_operation(&self, n: u64, fault: Fault) -> Result<(), EngineError> {
        self.with(|core| {
            let name = core.options.memory.as_deref();
            let name = name.ok_or_else(|| {
                EngineError::bad_request("only an in-memory disk can be told to fail")
            })?;
            let files = disk::disk(name)?.files;
            files.fail_at(files.operations() + n.max(1), fault);
            Ok(())
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close(false);
    }
}

fn check(options: &Options) -> Result<(), EngineError> {
    let demand = |holds: bool, text: &str| {
        if holds {
            Ok(())
        } else {
            Err(EngineError::new(ErrorCode::Config, text))
        }
    };
    demand(options.replica > 0, "a replica's id is 1 to 4294967295")?;
    demand(
        options.stepped || options.read_threads > 0,
        "readThreads must be at least 1",
    )?;
    demand(
        options.stepped || options.memory.is_none() || options.read_threads <= 64,
        "readThreads is 64 at most",
    )?;
    demand(
        options.queue_bytes_max > 0,
        "queueBytesMax must be positive",
    )?;
    demand(
        options.results_bytes_max > 0,
        "resultsBytesMax must be positive",
    )?;
    demand(
        options.answers_bytes_max > 0,
        "answersBytesMax must be positive",
    )?;
    demand(
        options.flush_log_bytes > 0,
        "flushLogBytes must be positive",
    )
}

type Body = fn(&Core);

fn start_threads(core: &Arc<Core>) -> Result<Vec<JoinHandle<()>>, EngineError> {
    if core.options.stepped {
        return Ok(Vec::new());
    }
    let mut bodies: Vec<(String, Body)> = vec![
        ("eraft-apply".to_owned(), apply::run),
        ("eraft-upkeep".to_owned(), upkeep::run),
        ("eraft-snapshot".to_owned(), snapshots::run),
    ];
    if core.options.memory.is_none() {
        bodies.push(("eraft-removed".to_owned(), removed::run));
    }
    bodies.extend(
        (0..core.options.read_threads).map(|n| (format!("eraft-read-{n}"), reads::run as Body)),
    );
    bodies
        .into_iter()
        .map(|(name, body)| {
            let core = core.clone();
            thread::Builder::new()
                .name(name.clone())
                .spawn(move || {
                    let _ = core.guard(&name, || body(&core)); // a panic has failed the engine: nothing is left to do here
                })
                .map_err(|e| EngineError::new(ErrorCode::Io, format!("cannot start a thread: {e}")))
        })
        .collect()
}
