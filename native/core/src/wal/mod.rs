//! The replicated log on disk: one for all groups of a process.
//!
//! In:   batches of sealed records, hard states and configurations (`submit`); what nobody needs any more (`truncate`).
//! Out:  tickets that become durable; records by group and index, from memory or disk; at opening, the state of every
//!       group, or the exact place that is damaged.
//! Not:  what a record means, when to truncate, who may vote. No clock and no randomness but those in the options.
//! May import: `record`, `sys`.
//!
//! ```text
//! open ─► recovery ─► scan, rebuild          layout, items: the bytes
//!  └─► repair ─► evidence, damage            what is left of a damaged log, and what it may have promised
//! submit, rebase ─► queue (state) ─► writer ─► frame ─► output ─► disk
//!                              └─ rotate ◄─ spares: prepared and recycled files
//! read ◄─ group: where each record lies, and the latest ones in memory
//! ```
//! `docs/log-format.md` has the bytes, the crash states and what recovery concludes from each. Start at `writer.rs`.

mod damage;
mod error;
mod evidence;
mod frame;
mod frames;
mod group;
mod inspect;
mod items;
pub mod layout;
mod open;
mod output;
mod read;
mod rebase;
mod rebuild;
mod recovery;
mod repair;
mod scan;
mod shared;
mod spares;
mod state;
mod submit;
mod threads;
mod types;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

pub use error::WalError;
pub use frames::{FramePlace, durable_frames};
pub use inspect::{LogFacts, inspect_log};
pub use types::{
    Base, Batch, Chunk, Damage, DurableGroup, GroupState, GroupStatus, HardState,
    SYNC_BUCKET_MICROS, TailRead, WalOptions, WalProgress, WalStatus,
};

use crate::sys::FileSystem;
use shared::Shared;
use state::Closing;
use writer::Turn;

/// An open log. Share it by reference or `Arc`. Dropping it without `close` stops at once, as a crash would.
pub struct Wal {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Wal {
    /// Opens the log in `dir`, or begins one there. `notify` is called, from any thread and with no lock held, after
    /// something became durable, failed, or the disk became full or had space again; it may call every method but
    /// `step` and `close`.
    ///
    /// The caller holds the folder's lock. Reads every retained byte once. Errors: `Damaged`, `Version`, `Options`, `Io`.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        options: WalOptions,
        notify: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Self, Vec<GroupState>), WalError> {
        let threaded = options.threads;
        let shared = Arc::new(open::open(fs, dir, options, notify)?);
        let groups = {
            let state = shared.state.lock();
            state
                .groups
                .iter()
                .map(|(number, group)| group.state(*number))
                .collect()
        };
        let wal = Self {
            shared: shared.clone(),
            threads: Mutex::new(Vec::new()),
        };
        if threaded {
            *wal.threads.lock() = threads::spawn(&shared)?;
        }
        Ok((wal, groups))
    }

    /// `queue` and `write`.
    pub fn submit(&self, batch: Batch) -> Result<u64, WalError> {
        let ticket = self.queue(batch)?;
        self.write();
        Ok(ticket)
    }

    /// Queues a batch and returns its ticket; durable once `durable` has reached it. Records can be read at once.
    ///
    /// The submitter has sealed or verified the records: their structure is checked here, their checksums are not.
    /// Errors: `Invalid` (nothing was queued), `Closed`, or the latched failure.
    pub fn queue(&self, batch: Batch) -> Result<u64, WalError> {
        let parsed = submit::parse(batch)?;
        let mut state = self.shared.state.lock();
        state.check_open()?;
        submit::accept(&mut state, parsed, self.shared.options.segment_bytes)
    }

    /// Wakes the thread that writes what is queued. Costs nothing while it is at work: it looks at the queue again before
    /// it sleeps. Left out, what is queued waits until that thread wakes by itself.
    pub fn write(&self) {
        self.shared.wake_writer.notify_one();
    }

    /// Every ticket up to this is on disk. Never goes back.
    pub fn durable(&self) -> u64 {
        self.shared.state.lock().durable
    }

    /// Term and vote of every ticket up to this are on disk: at least `durable`, and ahead of it while records queue.
    pub fn durable_votes(&self) -> u64 {
        let state = self.shared.state.lock();
        state.durable_votes.max(state.durable)
    }

    /// The first failure of a write or sync, for ever. Tickets beyond `durable` then have an unknown outcome.
    pub fn failure(&self) -> Option<WalError> {
        self.shared.state.lock().failure.clone()
    }

    /// Appends to `out` the records `from` to `to` of a group, as far as they are in memory and `bytes_max` allows; at
    /// least one, unless the first is not in memory. Copies; see `tail_chunks`.
    pub fn read_tail(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> TailRead {
        read::read_tail(&self.shared, group, (from, to), bytes_max, out)
    }

    /// `read_tail` without a copy: shared bytes, and the index of the last record in them. `None`: the first is not in
    /// memory.
    pub fn tail_chunks(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Option<(Vec<Chunk>, u64)> {
        read::tail_chunks(&self.shared, group, from, to, bytes_max)
    }

    /// The records `from` to `to` of a group, up to `bytes_max` and at least one. Blocks: reads the disk for what is
    /// durable, and verifies every record.
    ///
    /// Errors: `Compacted`, `OutOfRange`, `Io`, `Damaged` (none of these is latched).
    pub fn read(
        &self,
        group: u32,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<u8>, WalError> {
        read::read(&self.shared, group, (from, to), bytes_max)
    }

    /// Nobody needs the entries of `group` up to `index` any more; all of them are applied. Whole segments go when every
    /// group agrees, and a checkpoint that says so is durable; until then the entries can be read.
    pub fn truncate(&self, group: u32, index: u64) {
        let mut state = self.shared.state.lock();
        if let Some(group) = state.groups.get_mut(&group) {
            group.unwant(index);
            state.release_asked = true;
            self.shared.wake_writer.notify_one();
        }
    }

    /// The log of `group` begins behind (index, term), an entry that a snapshot holds, whose log time is `time`, and behind
    /// which revisions go on with `next_revision`. Keeps the entries behind it if the log holds that entry, else drops all.
    /// Term and vote stay; the commit index becomes `index` at least, also in what is submitted later. `conf`: the
    /// configuration and its index, recorded unless the entries that stay have a later one.
    ///
    /// Queued behind what was submitted before, and woken for; seen by `read` and `submit` at once. Returns the ticket. Once it
    /// is durable, older segments can go. Errors: as `queue`; `Invalid` for a base older than what is truncated, or one
    /// that contradicts a committed entry: nothing has changed then.
    pub fn rebase(
        &self,
        group: u32,
        index: u64,
        term: u64,
        time: u64,
        next_revision: u64,
        conf: Option<(u64, Vec<u8>)>,
    ) -> Result<u64, WalError> {
        let base = Base {
            index,
            term,
            time,
            next_revision,
        };
        let ticket = {
            let mut state = self.shared.state.lock();
            state.check_open()?;
            rebase::accept(
                &mut state,
                group,
                base,
                conf,
                self.shared.options.segment_bytes,
            )?
        };
        self.write();
        Ok(ticket)
    }

    /// Without threads: writes and syncs one frame, or does one other piece of work. False: there is none.
    ///
    /// Panics with threads.
    pub fn step(&self) -> bool {
        assert!(
            !self.shared.options.threads,
            "a log with threads steps by itself"
        );
        let work = || -> Result<bool, WalError> {
            let turn = self.shared.writer.lock().turn(&self.shared, true)?;
            Ok(turn == Turn::Done || self.shared.spares.lock().turn(&self.shared)?)
        };
        work().unwrap_or_else(|error| {
            self.shared.fail(error);
            false
        })
    }

    /// The group holds everything again that it may have acknowledged: forgets `GroupState::damage`, durably. Blocks.
    ///
    /// Errors: `Io`, and the group is still taken for damaged; not latched.
    pub fn set_repaired(&self, group: u32) -> Result<(), WalError> {
        repair::set_repaired(&self.shared, group)
    }

    /// How far the log is, without allocation: what is asked once per turn.
    pub fn progress(&self) -> WalProgress {
        self.shared.progress()
    }

    /// What of a group is on disk. `None`: nothing ever was.
    pub fn durable_group(&self, group: u32) -> Option<DurableGroup> {
        let state = self.shared.state.lock();
        state.groups.get(&group).map(|group| group.durable())
    }

    /// Sizes, ranges, sync times.
    pub fn status(&self) -> WalStatus {
        self.shared.status()
    }

    /// Writes what is queued, covers it by a mark, and stops. Later calls of `submit` fail with `Closed`.
    ///
    /// Errors: the latched failure; `Io` with `is_full` if something still waits for space.
    pub fn close(&self) -> Result<(), WalError> {
        self.shared
            .state
            .lock()
            .closing
            .get_or_insert(Closing::Drain);
        if self.shared.options.threads {
            self.join();
        } else {
            while self.step() {}
        }
        let state = self.shared.state.lock();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None if state.queue.is_empty() => Ok(()),
            None => Err(WalError::io("write", &self.shared.dir)(
                std::io::ErrorKind::StorageFull.into(),
            )),
        }
    }

    fn join(&self) {
        self.shared.wake_writer.notify_all();
        let mut threads = self
            .threads
            .lock()
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter();
        let Some(writer) = threads.next() else { return };
        // A panic in a thread was latched by that thread.
        let _ = writer.join();
        self.shared.state.lock().writer_ended = true;
        self.shared.wake_spares.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.shared.state.lock().closing = Some(Closing::Abandon);
        self.join();
    }
}
