//! One JavaScript thread's hold on an engine: every call of the border ends here. Each has queues of its own.

mod log;
mod machine;
mod snapshots;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

pub use self::machine::ReadOutcome;
use super::core::Core;
use super::error::EngineError;
use super::identity::Identity;
use super::queues::{Notify, Queues};
use super::{Engine, GroupRecovery, apply, reads, snapshots as making, upkeep};
use crate::store::StoreStatus;
use crate::wal::WalStatus;

pub struct Attachment {
    engine: Arc<Engine>,
    queues: Arc<Queues>,
    scratch: Mutex<Vec<u8>>,
    attached: AtomicBool,
}

/// What `poll` tells: see `Progress` in ts/storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Every ticket up to here is on disk.
    pub durable: u64,
    /// Terms and votes of every ticket up to here are: they overtake queued records.
    pub durable_votes: u64,
    /// Wire number of the error that ended the engine; 0 while it is well.
    pub failed: u16,
    pub disk_full: bool,
    /// How long the oldest unfinished sync has been running; 0 when there is none.
    pub sync_pending_micros: u64,
    pub results_bytes: u64,
    pub answers_bytes: u64,
    pub log_bytes: u64,
    pub store_bytes: u64,
    /// Submitted and not yet on disk.
    pub queued_bytes: u64,
    pub apply_runs: u64,
    pub flush_runs: u64,
}

/// Numbers for metrics.
pub struct Stats {
    pub log: WalStatus,
    pub store: StoreStatus,
    pub flush_refusals: u64,
}

impl Attachment {
    pub fn new(engine: Arc<Engine>, notify: Option<Notify>) -> Result<Attachment, EngineError> {
        let queues = engine.with(|core| {
            let notify = notify.filter(|_| !core.options.stepped);
            let (results, answers) = (
                core.options.results_bytes_max,
                core.options.answers_bytes_max,
            );
            let queues = Arc::new(Queues::new(notify, results, answers));
            core.listeners.add(&queues);
            Ok(queues)
        })?;
        engine.attachments.fetch_add(1, Ordering::SeqCst);
        Ok(Attachment {
            engine,
            queues,
            scratch: Mutex::default(),
            attached: AtomicBool::new(true),
        })
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Lets go: nothing is called or queued any more. The last one to go closes the engine. Idempotent.
    pub fn detach(&self) {
        if self.attached.swap(false, Ordering::SeqCst) {
            self.queues.detach();
            if self.engine.attachments.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.engine.close(false);
            }
        }
    }

    pub(super) fn with<R>(
        &self,
        work: impl FnOnce(&Core) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        if !self.attached.load(Ordering::SeqCst) {
            return Err(EngineError::closed());
        }
        self.engine.with(work)
    }

    /// As `with`, refused once the engine has failed.
    pub(super) fn live<R>(
        &self,
        work: impl FnOnce(&Core) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        self.with(|core| {
            core.check()?;
            work(core)
        })
    }

    pub fn recovered(&self) -> &[GroupRecovery] {
        self.engine.recovered()
    }

    pub fn identity(&self) -> Result<Identity, EngineError> {
        self.with(|core| Ok(*core.identity.lock()))
    }

    /// Marks the folder as one that may have promised something. Durable when this returns.
    pub fn set_member_known(&self) -> Result<(), EngineError> {
        self.live(|core| {
            let mut identity = core.identity.lock();
            if identity.blank {
                let known = Identity {
                    blank: false,
                    ..*identity
                };
                known.write(&*core.fs, &core.dir)?;
                *identity = known;
            }
            Ok(())
        })
    }

    /// Lets the next event call again, and tells how far everything is. A closed engine has failed with ERAFT_CLOSED.
    pub fn poll(&self) -> Progress {
        self.queues.arm();
        let told = self.with(|core| {
            let log = core.wal.progress();
            Ok(Progress {
                durable: log.durable,
                durable_votes: log.durable_votes,
                failed: core.failure().map_or(0, |error| error.code.wire()),
                disk_full: log.disk_full || core.store_full.load(Ordering::Relaxed),
                sync_pending_micros: log.sync_pending_micros,
                results_bytes: self.queues.results_bytes() as u64,
                answers_bytes: self.queues.answers_bytes() as u64,
                log_bytes: log.bytes,
                store_bytes: core.upkeep.store_bytes.load(Ordering::Relaxed),
                queued_bytes: log.queued_bytes as u64,
                apply_runs: core.upkeep.apply_runs.load(Ordering::Relaxed),
                flush_runs: core.upkeep.flush_runs.load(Ordering::Relaxed),
            })
        });
        told.unwrap_or_else(|error| Progress {
            failed: error.code.wire(),
            ..Progress::default()
        })
    }

    pub fn failure(&self) -> Option<EngineError> {
        self.with(|core| Ok(core.failure().cloned()))
            .unwrap_or_else(Some)
    }

    pub fn stats(&self) -> Result<Stats, EngineError> {
        self.with(|core| {
            let flush_refusals = core.upkeep.flush_refusals.load(Ordering::Relaxed);
            Ok(Stats {
                log: core.wal.status(),
                store: core.store.status(),
                flush_refusals,
            })
        })
    }

    /// Stepped mode: one unit of work, the first of these that has any: a log frame, a burst of apply, a read, a piece of a
    /// snapshot, upkeep.
    pub fn step(&self) -> Result<bool, EngineError> {
        self.with(|core| {
            if !core.options.stepped {
                return Err(EngineError::bad_request(
                    "step() is for stepped mode: this engine has threads",
                ));
            }
            let dead = core.failure().is_some();
            Ok(!dead
                && (core.wal.step()
                    || apply::step(core)
                    || reads::step(core)
                    || making::step(core)
                    || upkeep::step(core)))
        })
    }

    /// Stepped mode: the time that the life of views and the latency of syncs are judged by.
    pub fn set_now(&self, ms: u64) -> Result<(), EngineError> {
        self.with(|core| {
            core.clock.set_ms(ms);
            Ok(())
        })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.detach();
    }
}
