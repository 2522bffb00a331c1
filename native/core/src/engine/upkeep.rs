//! What is done beside the work: flushing the store, and forgetting the log behind what is flushed.
//!
//! SAFETY: the log is never truncated past what the store has flushed (rule 5).
//! Claim:   a crash right after any truncation finds every record behind the store's index in the log.
//! Why:     `truncate` is asked for min(what the owner allows, flushed index as read from the persisted tier).
//! Rests:   `Store::flushed` never runs ahead of the disk.
//! Checked: tests/engine_crash.rs, which crashes between any two steps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::core::Core;
use super::error::{EngineError, ErrorCode};
use crate::store::StoreError;

/// RocksDB also flushes by itself when a memtable is full: how often to look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Upkeep {
    asked: Mutex<Asked>,
    wake: Condvar,
    /// Log bytes evaluated since the last flush was asked for.
    unflushed_bytes: AtomicU64,
    /// When a flush that found no space is tried again, on the engine's clock, ms; 0: there was none.
    again_ms: AtomicU64,
    pub apply_runs: AtomicU64,
    pub flush_runs: AtomicU64,
    pub flush_refusals: AtomicU64,
    /// Bytes of the store on disk, as last looked at.
    pub store_bytes: AtomicU64,
}

#[derive(Default)]
struct Asked {
    flush: bool,
    truncate: bool,
}

impl Upkeep {
    pub fn interrupt(&self) {
        let _held = self.asked.lock();
        self.wake.notify_all();
    }

    pub fn ask_flush(&self) {
        self.asked.lock().flush = true;
        self.wake.notify_all();
    }

    pub fn ask_truncate(&self) {
        self.asked.lock().truncate = true;
        self.wake.notify_all();
    }

    /// Counts evaluated log bytes; asks for a flush when there are enough since the last one.
    pub fn evaluated(&self, core: &Core, bytes: usize) {
        let unflushed = self
            .unflushed_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed)
            + bytes as u64;
        if unflushed >= core.options.flush_log_bytes {
            self.unflushed_bytes.store(0, Ordering::Relaxed);
            self.ask_flush();
        }
    }
}

/// SAFETY: a store that had no space once.
/// Claim:   it says that it is full only as long as it is.
/// Why:     whoever hears so refuses writes, so that no write comes which would find the space that there is again. So a
///          flush that found none is tried again by itself, and one that succeeds takes the word back.
/// Checked: tests/engine_disks.rs, a_store_that_was_full_finds_out_by_itself.
fn is_due(core: &Core) -> bool {
    let again = core.upkeep.again_ms.load(Ordering::Relaxed);
    again != 0 && core.clock.ms() >= again
}

/// Body of the upkeep thread. Returns when the engine stops.
pub(crate) fn run(core: &Core) {
    while !core.stopped() {
        let asked = {
            let mut asked = core.upkeep.asked.lock();
            if !asked.flush && !asked.truncate && !core.stopped() {
                core.upkeep.wake.wait_for(&mut asked, LOOK_AGAIN);
            }
            std::mem::take(&mut *asked)
        };
        if !core.stopped() {
            work(core, asked.flush || is_due(core));
        }
    }
}

/// Stepped mode: does what was asked for. False when nothing was.
pub(crate) fn step(core: &Core) -> bool {
    let asked = std::mem::take(&mut *core.upkeep.asked.lock());
    let flush = asked.flush || is_due(core);
    if flush || asked.truncate {
        work(core, flush);
        return true;
    }
    false
}

fn work(core: &Core, flush: bool) {
    let outcome = if flush {
        core.store.flush()
    } else {
        core.store.refresh_flushed()
    };
    match outcome {
        Ok(()) if flush => {
            core.upkeep.again_ms.store(0, Ordering::Relaxed);
            core.store_full.store(false, Ordering::Relaxed);
            core.upkeep.flush_runs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(()) => {}
        Err(StoreError::DiskFull { .. }) => {
            let again = core.clock.ms() + LOOK_AGAIN.as_millis() as u64;
            core.upkeep.again_ms.store(again, Ordering::Relaxed);
            core.store_full.store(true, Ordering::Relaxed);
            core.upkeep.flush_refusals.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => {
            return core.fail(EngineError::told(
                ErrorCode::Failed,
                "the store cannot be flushed, and this replica has stopped",
                &error.to_string(),
                "check the device and its file system, then start again",
                "what was acknowledged is in the log",
            ));
        }
    };
    truncate(core);
    core.store.expire_views(core.clock.ms());
    core.store.pace_compactions();
    core.upkeep
        .store_bytes
        .store(core.store.status().bytes, Ordering::Relaxed);
    if flush {
        core.listeners.wake_all();
    }
}

fn truncate(core: &Core) {
    let groups: Vec<_> = core.groups.read().values().cloned().collect();
    for group in groups {
        let to = group
            .truncatable
            .load(Ordering::Relaxed)
            .min(core.store.flushed(group.id));
        if to > 0 {
            core.wal.truncate(group.id, to);
        }
    }
    for status in core.wal.status().groups {
        let compacted = status.first_index.saturating_sub(1);
        core.snapshots.cut(status.group, compacted);
    }
}
