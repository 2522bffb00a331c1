//! One store: what is evaluated and what is written, by whom it is read, and in which order.
//!
//! Applying has two steps. *Evaluate* takes records into the open burst of their group and tells what comes of each. *Write*
//! closes the burst and writes it to RocksDB. Evaluation goes on meanwhile, into the next burst.
//!
//! SAFETY: results are given out before anything is written.
//! Claim:   a result, once out, is what every replica makes of the record, also this one after a crash.
//! Why:     the state machine is RocksDB with the closed burst upon it and the open one upon that. Evaluation looks from the
//!          top: into the open burst, then into RocksDB, and refuses (`Busy`) to look further while a closed burst stands
//!          between them. So it sees all records before its own and nothing else, wherever bursts end. A burst is
//!          written with the applied index in one batch: a crash loses it as a whole, and it is evaluated again from the
//!          log, to the same end.
//! Rests:   records are handed over when they are committed and on this disk (the engine); nothing that decides a
//!          result comes from elsewhere than log and state.
//! Checked: `store_model.rs`, where bursts, writes and crashes fall anywhere; `store_evaluate.rs`.
//!
//! Locks, in this order: `writing`, for as long as a write lasts; `fronts`, for a call of evaluate; `published`, for moments.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use super::burst::{Burst, Context};
use super::database::Database;
use super::digest::Digested;
use super::keys::data_prefix;
use super::open_burst::OpenBurst;
use super::options::StoreLimits;
use super::overlay::Overlay;
use super::read::ReadView;
use super::recent::RecentValues;
use super::representation::Representation;
use super::sessions::SessionTable;
use super::status::{StoreStatus, status};
use super::views::Views;
use super::{StoreError, StoreOptions};
use crate::record::RecordView;

/// How far a group is applied: index, term and log time (ms) of the last record. `revision` is the last one that any applied
/// record has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub index: u64,
    pub term: u64,
    pub time: u64,
    pub revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyMode {
    /// Encode what becomes of each batch. Without, nothing is encoded but what sessions store.
    pub results: bool,
    /// Never wait for a disk: where RocksDB would stall, or a value is not in memory, `Busy`.
    pub no_slowdown: bool,
}

/// The state machine of all groups of a replica. Share it as `Arc<Store>`: reads go on beside evaluation and writing.
///
/// Dropping it does not flush; what is not flushed is applied again from the log. A `ReadView` keeps the files open.
pub struct Store {
    views: Mutex<Views>,
    pub(super) writing: Mutex<Writing>,
    pub(super) fronts: Mutex<FxHashMap<u32, Front>>,
    pub(super) published: Mutex<Published>,
    pub(super) database: Arc<Database>,
    pub(super) recent: RecentValues,
    pub(super) digested: Mutex<Option<Digested>>,
    limits: StoreLimits,
}

/// Where a group is evaluated: the sessions, and what is not handed to be written yet.
pub(super) struct Front {
    /// As of the last closed burst.
    sessions: SessionTable,
    open: OpenBurst,
    /// Index of the last record that was closed.
    closed: u64,
}

impl Front {
    pub(super) fn new(sessions: SessionTable, applied: Applied) -> Front {
        Front {
            open: OpenBurst::new(applied, &sessions, Overlay::default()),
            closed: applied.index,
            sessions,
        }
    }
}

/// What the one that writes owns.
#[derive(Default)]
pub(super) struct Writing {
    batch: Representation,
    /// Whose burst `batch` holds, and how far it goes: closed, and not written yet.
    pub(super) closed: Option<(u32, Applied)>,
    /// Empty; its memory is used again.
    spare: Overlay,
}

/// What everybody may ask, under a lock that is held for moments only.
#[derive(Default)]
pub(super) struct Published {
    pub(super) groups: FxHashMap<u32, Progress>,
    /// Groups whose state is being replaced: nobody may look.
    pub(super) replacing: FxHashSet<u32>,
    /// How often that has been done.
    pub(super) replaced: u64,
    /// The write that is on its way: visible in RocksDB from this sequence number on.
    pending: Option<(u64, u32, Applied)>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) applied: Applied,
    pub(super) flushed: u64,
}

impl Store {
    /// Opens the store in `path`, or creates it. Reads the session tables of all groups.
    ///
    /// `identity` says whose it is: cluster and replica, 1 to 64 bytes, written into a new store and compared with that
    /// of an existing one (`Identity`). `Version`, `Damaged`, `DiskFull` and `Io` leave everything as it was.
    pub fn open(path: &Path, identity: &[u8], options: StoreOptions) -> Result<Store, StoreError> {
        assert!(
            (1..=64).contains(&identity.len()),
            "an identity of {} bytes",
            identity.len()
        );
        let database = Arc::new(Database::open(path, identity, &options)?);
        let mut fronts = FxHashMap::default();
        let mut published = Published::default();
        for group in database.groups()? {
            let applied = database.applied(group)?;
            let mut sessions = SessionTable::default();
            if database.is_replacing(group)? {
                published.replacing.insert(group);
            } else {
                sessions = SessionTable::load(&database, group)?;
            }
            fronts.insert(group, Front::new(sessions, applied));
            let progress = Progress {
                applied,
                flushed: database.flushed(group)?.index,
            };
            published.groups.insert(group, progress);
        }
        Ok(Store {
            views: Mutex::new(Views::new(options.view_seed, options.limits)),
            writing: Mutex::default(),
            fronts: Mutex::new(fronts),
            published: Mutex::new(published),
            database,
            recent: RecentValues::new(options.recent_bytes()),
            digested: Mutex::default(),
            limits: options.limits,
        })
    }

    /// How far the group is applied: evaluated, written, and seen by reads. No I/O.
    pub fn applied(&self, group: u32) -> Applied {
        self.published.lock().progress(group).applied
    }

    /// The applied index that a crash would leave, as last seen by `open`, `flush` or `refresh_flushed`. No I/O.
    pub fn flushed(&self, group: u32) -> u64 {
        self.published.lock().progress(group).flushed
    }

    /// Looks up how far RocksDB has flushed by itself. May read from the disk: not for the JS thread.
    pub fn refresh_flushed(&self) -> Result<(), StoreError> {
        let groups: Vec<u32> = self.published.lock().groups.keys().copied().collect();
        for group in groups {
            let flushed = self.database.flushed(group)?.index;
            let mut published = self.published.lock();
            let progress = published.groups.entry(group).or_default();
            progress.flushed = progress.flushed.max(flushed);
        }
        Ok(())
    }

    /// Evaluates records that follow each other and what was evaluated before; tells how far that is now.
    ///
    /// May end early, at the end of a record, when the open burst has grown large: compare the index that comes back, write,
    /// and call again with the rest. With `mode.results`, appends one block for each record to `results` (see
    /// `Burst::record`): final, whatever happens to the write.
    ///
    /// On an error nothing has changed, `results` included. `Busy`: a record needs what a closed burst holds, or, with
    /// `no_slowdown`, what is on a disk. `Log`: a record cannot be applied, now or ever.
    pub fn evaluate<'r>(
        &self,
        group: u32,
        records: &mut dyn Iterator<Item = RecordView<'r>>,
        mode: ApplyMode,
        results: &mut Vec<u8>,
    ) -> Result<Applied, StoreError> {
        let mut fronts = self.fronts.lock();
        let new = || Front::new(SessionTable::default(), Applied::default());
        let front = fronts.entry(group).or_insert_with(new);
        let context = Context {
            database: &self.database,
            sessions: &front.sessions,
            group,
            mode,
            limits: self.limits,
            is_behind: front.closed > self.applied(group).index,
        };
        let before = results.len();
        let mark = front.open.begin();
        let mut burst = Burst::new(context, &mut front.open);
        while !burst.is_large(results.len() - before) {
            let Some(record) = records.next() else { break };
            if let Err(error) = burst.record(record, results) {
                front.open.undo(mark);
                results.truncate(before);
                return Err(error);
            }
        }
        Ok(front.open.applied)
    }

    /// The memory that is held by what is evaluated and not closed, about.
    pub fn open_bytes(&self, group: u32) -> usize {
        let fronts = self.fronts.lock();
        fronts.get(&group).map_or(0, |front| front.open.bytes())
    }

    /// Writes all that has been evaluated before the call; tells how far the group is applied then. Calls wait for each other.
    ///
    /// On an error, `Busy` (only with `no_slowdown`) or one of the disk, the burst stays closed, and the next call tries
    /// again: it is a matter of record by then, its results may be out.
    pub fn write(&self, group: u32, no_slowdown: bool) -> Result<Applied, StoreError> {
        let writing = &mut *self.writing.lock();
        self.write_closed(writing, no_slowdown)?;
        self.close(group, writing);
        self.write_closed(writing, no_slowdown)?;
        Ok(self.applied(group))
    }

    /// Evaluates, then writes: for whoever does not need the results before. Errors are those of either.
    pub fn apply<'r>(
        &self,
        group: u32,
        records: &mut dyn Iterator<Item = RecordView<'r>>,
        mode: ApplyMode,
        results: &mut Vec<u8>,
    ) -> Result<Applied, StoreError> {
        self.evaluate(group, records, mode, results)?;
        self.write(group, mode.no_slowdown)
    }

    /// Closes the group's open burst, if there is anything in it. From here on, records are evaluated into the next one.
    fn close(&self, group: u32, writing: &mut Writing) {
        let (applied, overlay) = {
            let mut fronts = self.fronts.lock();
            let Some(front) = fronts.get_mut(&group) else {
                return;
            };
            if front.open.applied.index == front.closed {
                return;
            }
            let open = std::mem::take(&mut front.open);
            let (applied, overlay) = open.close(&mut front.sessions, group, &mut writing.batch);
            let spare = std::mem::take(&mut writing.spare);
            front.open = OpenBurst::new(applied, &front.sessions, spare);
            front.closed = applied.index;
            (applied, overlay)
        };
        writing.batch.overlay(&data_prefix(group), &overlay);
        writing.closed = Some((group, applied));
        writing.spare = overlay;
        writing.spare.clear();
    }

    fn write_closed(&self, writing: &mut Writing, no_slowdown: bool) -> Result<(), StoreError> {
        if let Some((group, applied)) = writing.closed {
            self.write_batch(group, applied, &mut writing.batch, no_slowdown)?;
            writing.closed = None;
        }
        Ok(())
    }

    /// Writes the batch, and publishes what it applies.
    ///
    /// SAFETY: a view's revision is exactly what its snapshot contains, while another thread writes.
    /// Claim:   `view` never names a revision whose commands the snapshot lacks, or lacks one that it contains.
    /// Why:     every write goes through here, and each of its records takes one sequence number of RocksDB. So the
    ///          number from which on the write is visible is known before it begins, and a snapshot that is taken under
    ///          the lock of `published` either has that number or is from before.
    /// Rests:   RocksDB makes a batch visible as a whole; one writer at a time, by the lock of `writing`.
    /// Checked: the assertion; `store_concurrent.rs`, views during writes.
    fn write_batch(
        &self,
        group: u32,
        applied: Applied,
        batch: &mut Representation,
        no_slowdown: bool,
    ) -> Result<(), StoreError> {
        let visible_from = self.database.db.latest_sequence_number() + u64::from(batch.count());
        self.published.lock().pending = Some((visible_from, group, applied));
        self.recent.note(batch.hashes(), visible_from);
        let written = self.database.write(batch.finish(), no_slowdown);
        let mut published = self.published.lock();
        published.pending = None;
        written?;
        assert_eq!(
            self.database.db.latest_sequence_number(),
            visible_from,
            "somebody else writes into the store"
        );
        published.groups.entry(group).or_default().applied = applied;
        Ok(())
    }

    /// One snapshot of the present, with the revision that it contains. For the reads of one turn: keep it while any of
    /// them is under way, also on another thread, then drop it.
    ///
    /// `Replacing`: there is no state to look at.
    pub fn view(&self, group: u32) -> Result<ReadView, StoreError> {
        let published = self.published.lock();
        if published.replacing.contains(&group) {
            return Err(StoreError::Replacing);
        }
        let snapshot = ReadView::pin(&self.database);
        let applied = match published.pending {
            Some((visible_from, of, applied))
                if of == group && snapshot.sequence_number() >= visible_from =>
            {
                applied
            }
            _ => published.progress(group).applied,
        };
        Ok(ReadView::new(snapshot, group, applied.revision))
    }

    /// How often any state was replaced. `Replacing` while the group's is.
    pub(super) fn replaced(&self, group: u32) -> Result<u64, StoreError> {
        let published = self.published.lock();
        if published.replacing.contains(&group) {
            return Err(StoreError::Replacing);
        }
        Ok(published.replaced)
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn recent(&self) -> &RecentValues {
        &self.recent
    }

    pub(super) fn views(&self) -> &Mutex<Views> {
        &self.views
    }

    /// Writes the memtables to disk and waits for it; then `flushed` is at least what `applied` was.
    pub fn flush(&self) -> Result<(), StoreError> {
        *self.digested.lock() = None;
        self.database.flush()?;
        self.refresh_flushed()
    }

    /// To be called every second or so: compactions rest as long as that holds nobody up. Some microseconds.
    pub fn pace_compactions(&self) {
        self.database.haste.judge(&self.database);
    }

    /// Sizes and states, for metrics. Some microseconds.
    pub fn status(&self) -> StoreStatus {
        let fronts = self.fronts.try_lock();
        let sessions = fronts.map(|fronts| fronts.values().map(|f| f.open.sessions()).sum());
        status(&self.database, self.views.lock().len(), sessions)
    }

    /// RocksDB slows writes down, or has stopped them, because flushes or compactions lag.
    pub fn is_stalled(&self) -> bool {
        super::status::is_stalled(&self.database)
    }
}

impl Published {
    fn progress(&self, group: u32) -> Progress {
        self.groups.get(&group).copied().unwrap_or_default()
    }
}
