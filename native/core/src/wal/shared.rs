//! What the log's threads and its users hold together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use super::WalError;
use super::damage::Note;
use super::spares::Spares;
use super::state::{Spare, State};
use super::types::{SYNC_BUCKET_MICROS, WalOptions, WalProgress, WalStatus};
use super::writer::Writer;
use crate::sys::FileSystem;

/// Locks are taken in this order: note, writer or spares, then state. Nobody waits for a disk while holding the state.
pub struct Shared {
    pub fs: Arc<dyn FileSystem>,
    pub dir: PathBuf,
    pub options: WalOptions,
    pub notify: Arc<dyn Fn() + Send + Sync>,
    pub state: Mutex<State>,
    pub wake_writer: Condvar,
    pub wake_spares: Condvar,
    pub writer: Mutex<Writer>,
    pub spares: Mutex<Spares>,
    pub syncs: Syncs,
    /// Of damage that is not repaired.
    pub note: Mutex<Option<Note>>,
}

impl Shared {
    pub fn take_spare(&self) -> Option<Spare> {
        self.state.lock().spares.pop()
    }

    /// Latches the first failure: from here on nothing is written. Never retried, since after a failed sync the kernel
    /// may take lost pages for clean and let the next sync succeed.
    pub fn fail(&self, error: WalError) {
        {
            let mut state = self.state.lock();
            state.failure.get_or_insert(error);
            self.wake_writer.notify_all();
            self.wake_spares.notify_all();
        }
        (self.notify)();
    }

    /// Runs a sync and measures it.
    pub fn timed<T>(&self, sync: impl FnOnce() -> T) -> T {
        let start = (self.options.clock_micros)();
        self.syncs
            .pending_since
            .store(start.max(1), Ordering::Relaxed);
        let result = sync();
        self.syncs.pending_since.store(0, Ordering::Relaxed);
        self.syncs
            .record((self.options.clock_micros)().saturating_sub(start));
        result
    }

    pub fn progress(&self) -> WalProgress {
        let sync_pending_micros = self.sync_pending_micros();
        let state = self.state.lock();
        WalProgress {
            durable: state.durable,
            durable_votes: state.durable_votes.max(state.durable),
            bytes: state.bytes(self.options.segment_bytes),
            queued_bytes: state.queued_bytes,
            sync_pending_micros,
            disk_full: state.disk_full,
        }
    }

    fn sync_pending_micros(&self) -> u64 {
        match self.syncs.pending_since.load(Ordering::Relaxed) {
            0 => 0,
            since => (self.options.clock_micros)().saturating_sub(since).max(1),
        }
    }

    pub fn status(&self) -> WalStatus {
        let sync_pending_micros = self.sync_pending_micros();
        let state = self.state.lock();
        WalStatus {
            bytes: state.bytes(self.options.segment_bytes),
            segments: state.segments.len(),
            groups: state
                .groups
                .iter()
                .map(|(group, state)| state.status(*group))
                .collect(),
            queued_bytes: state.queued_bytes,
            tail_bytes: state.resident_bytes,
            sync_count: self.syncs.count.load(Ordering::Relaxed),
            sync_micros: self.syncs.micros.load(Ordering::Relaxed),
            sync_buckets: self
                .syncs
                .buckets
                .each_ref()
                .map(|bucket| bucket.load(Ordering::Relaxed)),
            sync_pending_micros,
            disk_full: state.disk_full,
        }
    }
}

/// How long syncs took. Written by one thread at a time, read by any; the fields need not agree with each other.
#[derive(Default)]
pub struct Syncs {
    pending_since: AtomicU64,
    count: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; SYNC_BUCKET_MICROS.len() + 1],
}

impl Syncs {
    fn record(&self, micros: u64) {
        let bucket = SYNC_BUCKET_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// `<number>.log`: a segment that holds frames.
pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.log"))
}

/// The numbers of the segments among the names of a folder, ascending.
pub fn segment_numbers(names: &[String]) -> Vec<u64> {
    let segments = names.iter().filter_map(|name| number_in(name, ".log"));
    let mut numbers: Vec<u64> = segments.collect();
    numbers.sort_unstable();
    numbers
}

/// `<number>.spare`: a prepared file of full length.
pub fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.spare"))
}

/// `<number>.tmp`: a file that is being prepared.
pub fn temporary_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.tmp"))
}

/// The number in a name of ours.
pub fn number_in(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 16)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}
