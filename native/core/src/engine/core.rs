//! What all threads of one engine share: log, store, groups, and the one failure that ends it.

use std::any::Any;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::apply::ApplyQueue;
use super::error::{EngineError, ErrorCode};
use super::identity::Identity;
use super::lock::FolderLock;
use super::options::Options;
use super::queues::Queues;
use super::reads::ReadQueue;
use super::removed::Stopping;
use super::snapshots::Snapshots;
use super::upkeep::Upkeep;
use crate::store::{Applied, Store, StoreError};
use crate::sys::FileSystem;
use crate::wal::{Wal, WalError};

/// One group, as the engine follows it.
pub(crate) struct Group {
    pub id: u32,
    /// In the store's memory, or written: what follows is evaluated upon it.
    pub evaluated: AtomicU64,
    /// The last record whose results were given out.
    pub answered: AtomicU64,
    /// Really applied, which is written: what a read may count on.
    pub applied: AtomicU64,
    pub revision: AtomicU64,
    /// What the owner of the log allows to be forgotten; done as far as the store has flushed.
    pub truncatable: AtomicU64,
    durable: Mutex<DurableTail>,
    /// Index and ConfState, ascending: the latest one that is applied, and those that may be ahead of it.
    confs: Mutex<Vec<(u64, Vec<u8>)>>,
}

/// Memberships that are saved and not applied yet, at most: a change waits for the one before it.
const CONFS_MAX: usize = 16;

/// Which index is on disk, from the tickets of what was submitted.
#[derive(Default)]
struct DurableTail {
    index: u64,
    underway: std::collections::VecDeque<(u64, u64)>,
}

impl Group {
    pub fn new(id: u32, applied: u64, revision: u64, durable: u64) -> Group {
        Group {
            id,
            evaluated: AtomicU64::new(applied),
            answered: AtomicU64::new(applied),
            applied: AtomicU64::new(applied),
            revision: AtomicU64::new(revision),
            truncatable: AtomicU64::new(0),
            durable: Mutex::new(DurableTail {
                index: durable,
                underway: Default::default(),
            }),
            confs: Mutex::default(),
        }
    }

    /// Notes a membership. One of the same index replaces the one before.
    pub fn note_conf(&self, index: u64, conf: Vec<u8>) {
        let applied = self.applied.load(Ordering::Acquire);
        let mut confs = self.confs.lock();
        confs.retain(|(known, _)| *known < index);
        confs.push((index, conf));
        while confs.len() > CONFS_MAX || confs.get(1).is_some_and(|(next, _)| *next <= applied) {
            confs.remove(0);
        }
    }

    /// The latest membership up to `index`.
    pub fn conf_at(&self, index: u64) -> Option<(u64, Vec<u8>)> {
        let confs = self.confs.lock();
        confs.iter().rfind(|(of, _)| *of <= index).cloned()
    }

    /// A snapshot has taken the place of everything; behind it the log holds entries up to `last`, or none.
    pub fn installed(&self, applied: &Applied, conf: Option<(u64, Vec<u8>)>, last: u64) {
        {
            let mut tail = self.durable.lock();
            if last <= applied.index {
                tail.underway.clear();
                tail.index = 0;
            }
            tail.index = tail.index.max(applied.index);
        }
        {
            let mut confs = self.confs.lock();
            // Those of entries behind it stay with the entries.
            confs.retain(|(of, _)| *of > applied.index && *of <= last);
            confs.extend(conf);
            confs.sort_by_key(|(of, _)| *of);
        }
        self.revision.store(applied.revision, Ordering::Release);
        self.answered.store(applied.index, Ordering::Release);
        self.evaluated.store(applied.index, Ordering::Release);
        self.applied.store(applied.index, Ordering::Release);
    }

    pub fn submitted(&self, ticket: u64, last_index: u64) {
        self.durable.lock().underway.push_back((ticket, last_index));
    }

    /// The last index on disk, given that every ticket up to `durable` is.
    pub fn durable_index(&self, durable: u64) -> u64 {
        let mut tail = self.durable.lock();
        while let Some(&(ticket, index)) = tail.underway.front()
            && ticket <= durable
        {
            tail.index = index;
            tail.underway.pop_front();
        }
        tail.index
    }
}

/// Everybody who wants to be woken. The log has it before the engine exists.
#[derive(Default)]
pub(crate) struct Listeners(RwLock<Vec<Weak<Queues>>>);

impl Listeners {
    pub fn add(&self, queues: &Arc<Queues>) {
        let mut list = self.0.write();
        list.retain(|weak| weak.strong_count() > 0);
        list.push(Arc::downgrade(queues));
    }

    pub fn for_each(&self, act: impl Fn(&Queues)) {
        self.0
            .read()
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|queues| act(&queues));
    }

    pub fn wake_all(&self) {
        self.for_each(Queues::wake);
    }
}

/// Milliseconds and microseconds for the life of views and the latency of syncs: real, or the simulator's.
#[derive(Clone)]
pub(crate) enum Clock {
    Real(Instant),
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    pub fn micros(&self) -> u64 {
        match self {
            Clock::Real(start) => start.elapsed().as_micros() as u64,
            Clock::Simulated(micros) => micros.load(Ordering::Relaxed),
        }
    }

    pub fn ms(&self) -> u64 {
        self.micros() / 1_000
    }

    pub fn set_ms(&self, ms: u64) {
        if let Clock::Simulated(micros) = self {
            micros.store(ms.saturating_mul(1_000), Ordering::Relaxed);
        }
    }
}

pub(crate) struct Core {
    pub options: Options,
    pub dir: PathBuf,
    pub fs: Arc<dyn FileSystem>,
    pub clock: Clock,
    pub identity: Mutex<Identity>,
    pub groups: RwLock<FxHashMap<u32, Arc<Group>>>,
    pub listeners: Arc<Listeners>,
    pub applying: ApplyQueue,
    pub reading: ReadQueue,
    pub upkeep: Upkeep,
    pub snapshots: Snapshots,
    pub removed: Stopping,
    /// The store cannot write for want of space: apply waits and tries again.
    pub store_full: AtomicBool,
    pub stopping: AtomicBool,
    failure: OnceLock<EngineError>,
    pub wal: Wal,
    pub store: Store,
    /// The last field: the folder is let go only after log and store are closed.
    _lock: FolderLock,
}

pub(crate) struct CoreParts {
    pub options: Options,
    pub dir: PathBuf,
    pub fs: Arc<dyn FileSystem>,
    pub clock: Clock,
    pub identity: Identity,
    pub groups: FxHashMap<u32, Arc<Group>>,
    pub listeners: Arc<Listeners>,
    pub wal: Wal,
    pub store: Store,
    pub lock: FolderLock,
}

impl Core {
    pub fn new(parts: CoreParts) -> Core {
        Core {
            applying: ApplyQueue::default(),
            reading: ReadQueue::default(),
            upkeep: Upkeep::default(),
            snapshots: Snapshots::default(),
            removed: Stopping::default(),
            store_full: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failure: OnceLock::new(),
            options: parts.options,
            dir: parts.dir,
            fs: parts.fs,
            clock: parts.clock,
            identity: Mutex::new(parts.identity),
            groups: RwLock::new(parts.groups),
            listeners: parts.listeners,
            wal: parts.wal,
            store: parts.store,
            _lock: parts.lock,
        }
    }

    /// The group, made from nothing when it is new.
    pub fn group(&self, id: u32) -> Arc<Group> {
        if let Some(group) = self.groups.read().get(&id) {
            return group.clone();
        }
        self.groups
            .write()
            .entry(id)
            .or_insert_with(|| Arc::new(Group::new(id, 0, 0, 0)))
            .clone()
    }

    /// Ends the engine: nothing is accepted or answered any more. The first reason stays.
    pub fn fail(&self, error: EngineError) {
        let _ = self.failure.set(error); // a second failure is a consequence of the first
        self.wake_everybody();
    }

    /// Why the engine has failed, if it has. A failed log fails the engine.
    pub fn failure(&self) -> Option<&EngineError> {
        if self.failure.get().is_none()
            && let Some(error) = self.wal.failure()
        {
            self.fail(log_failed(&error));
        }
        self.failure.get()
    }

    /// @throws ERAFT_FAILED once the engine has failed
    pub fn check(&self) -> Result<(), EngineError> {
        self.failure().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Should threads give up? True while closing and after a failure.
    pub fn stopped(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) || self.failure.get().is_some()
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake_everybody();
    }

    fn wake_everybody(&self) {
        self.applying.interrupt();
        self.reading.interrupt();
        self.upkeep.interrupt();
        self.snapshots.interrupt();
        self.removed.interrupt();
        self.listeners.for_each(|queues| {
            queues.interrupt();
            queues.wake();
        });
    }

    /// Runs `work`; a panic in it ends the engine instead of the process.
    pub fn guard<R>(&self, who: &str, work: impl FnOnce() -> R) -> Result<R, EngineError> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|payload| {
            let error = EngineError::told(
                ErrorCode::Failed,
                &format!("a defect in {who} ended this replica"),
                &panic_text(&*payload),
                "report it with this text; opening the folder again recovers everything acknowledged",
                "nothing was written after the defect was met",
            );
            self.fail(error.clone());
            error
        })
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
        .to_owned()
}

fn log_failed(error: &WalError) -> EngineError {
    EngineError::told(
        ErrorCode::Failed,
        "the log cannot be written, and this replica has stopped",
        &error.to_string(),
        "check the device and its file system, then start again; a failed sync is never retried",
        "what was acknowledged is on disk",
    )
}

/// A store's refusal of a request, for the one who asked.
pub(crate) fn store_error(error: &StoreError) -> EngineError {
    EngineError::new(ErrorCode::from_wire(error.wire()), error.to_string())
}
