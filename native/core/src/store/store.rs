//! One store: what is applied, by whom it is read, and in which order.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::arena::Arena;
use super::burst::{Burst, Context};
use super::database::Database;
use super::options::StoreLimits;
use super::overlay::Write;
use super::read::ReadView;
use super::representation::Representation;
use super::sessions::SessionTable;
use super::status::{StoreStatus, status};
use super::views::Views;
use super::{StoreError, StoreOptions};
use crate::record::RecordView;

/// How far a group is applied. `revision` is the last one that any applied record has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub index: u64,
    pub term: u64,
    pub revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyMode {
    /// Encode what becomes of each batch. Without, nothing is encoded but what sessions store.
    pub results: bool,
    /// Never wait for a disk: where RocksDB would stall, or a value is not in memory, `Busy`.
    pub no_slowdown: bool,
}

/// The state machine of all groups of a replica. Share it as `Arc<Store>`: reads go on while one thread applies.
///
/// Dropping it does not flush; what is not flushed is applied again from the log. A `ReadView` keeps the files open.
pub struct Store {
    views: Mutex<Views>,
    writer: Mutex<Writer>,
    published: Mutex<Published>,
    database: Arc<Database>,
    limits: StoreLimits,
}

/// What the one that applies owns.
#[derive(Default)]
struct Writer {
    sessions: FxHashMap<u32, SessionTable>,
    batch: Representation,
    /// Empty; its memory is used again.
    writes: Vec<Write<'static>>,
}

/// What everybody may ask, under a lock that is held for moments only.
#[derive(Default)]
struct Published {
    groups: FxHashMap<u32, Progress>,
    /// The write that is on its way: visible in RocksDB from this sequence number on.
    pending: Option<(u64, u32, Applied)>,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    applied: Applied,
    flushed: u64,
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
        let mut writer = Writer::default();
        let mut published = Published::default();
        for group in database.groups()? {
            writer
                .sessions
                .insert(group, SessionTable::load(&database, group)?);
            let progress = Progress {
                applied: database.applied(group)?,
                flushed: database.flushed(group)?.index,
            };
            published.groups.insert(group, progress);
        }
        Ok(Store {
            views: Mutex::new(Views::new(options.view_seed, options.limits)),
            writer: Mutex::new(writer),
            published: Mutex::new(published),
            database,
            limits: options.limits,
        })
    }

    /// How far the group is applied. No I/O.
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

    /// Applies records that follow each other and what is applied; evaluated in order, written as one.
    ///
    /// May end early, at the end of a record, when the burst has grown large: compare the index that comes back, and
    /// call again with the rest. With `mode.results`, appends one block for each record to `results` (see
    /// `Burst::record`). One call at a time is at work; others wait.
    ///
    /// On an error nothing has changed, `results` included. `Busy`: only with `no_slowdown`. `Log`: a record cannot be
    /// applied, now or ever. Others: the disk; the same records can be applied again.
    pub fn apply<'a>(
        &self,
        group: u32,
        records: &mut dyn Iterator<Item = RecordView<'a>>,
        mode: ApplyMode,
        results: &mut Vec<u8>,
    ) -> Result<Applied, StoreError> {
        let before = results.len();
        let outcome = self.apply_burst(group, records, mode, results);
        if outcome.is_err() {
            results.truncate(before);
        }
        outcome
    }

    fn apply_burst<'a>(
        &self,
        group: u32,
        records: &mut dyn Iterator<Item = RecordView<'a>>,
        mode: ApplyMode,
        results: &mut Vec<u8>,
    ) -> Result<Applied, StoreError> {
        let writer = &mut *self.writer.lock();
        let applied = self.applied(group);
        let sessions = writer.sessions.entry(group).or_default();
        let arena = Arena::default();
        let context = Context {
            database: &self.database,
            sessions,
            arena: &arena,
            group,
            mode,
            limits: self.limits,
        };
        let mut burst = Burst::new(
            context,
            applied,
            recycle(std::mem::take(&mut writer.writes)),
        );
        let before = results.len();
        let mut any = false;
        while !burst.is_large(results.len() - before) {
            let Some(record) = records.next() else { break };
            burst.record(record, results)?;
            any = true;
        }
        if !any {
            return Ok(applied);
        }
        let applied = burst.write(&mut writer.batch);
        self.write(group, applied, &mut writer.batch, mode.no_slowdown)?;
        let (drafts, writes) = burst.into_parts();
        writer.writes = recycle(writes);
        sessions.commit(drafts);
        Ok(applied)
    }

    /// Writes the batch, and publishes what it applies.
    ///
    /// SAFETY: a view's revision is exactly what its snapshot contains, while another thread applies.
    /// Claim:   `view` never names a revision whose commands the snapshot lacks, or lacks one that it contains.
    /// Why:     every write goes through here, and each of its records takes one sequence number of RocksDB. So the
    ///          number from which on the write is visible is known before it begins, and a snapshot that is taken under
    ///          the lock of `published` either has that number or is from before.
    /// Rests:   RocksDB makes a batch visible as a whole; one writer at a time, by the lock of `writer`.
    /// Checked: the assertion; `store_concurrent.rs`, views during apply.
    fn write(
        &self,
        group: u32,
        applied: Applied,
        batch: &mut Representation,
        no_slowdown: bool,
    ) -> Result<(), StoreError> {
        let visible_from = self.database.db.latest_sequence_number() + u64::from(batch.count());
        self.published.lock().pending = Some((visible_from, group, applied));
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
    pub fn view(&self, group: u32) -> ReadView {
        let published = self.published.lock();
        let snapshot = ReadView::pin(&self.database);
        let applied = match published.pending {
            Some((visible_from, of, applied))
                if of == group && snapshot.sequence_number() >= visible_from =>
            {
                applied
            }
            _ => published.progress(group).applied,
        };
        ReadView::new(snapshot, group, applied.revision)
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn views(&self) -> &Mutex<Views> {
        &self.views
    }

    /// Writes the memtables to disk and waits for it; then `flushed` is at least what `applied` was.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()?;
        self.refresh_flushed()
    }

    /// Sizes and states, for metrics. Some microseconds.
    pub fn status(&self) -> StoreStatus {
        let sessions = self.writer.try_lock().map(|writer| {
            writer
                .sessions
                .values()
                .map(|table| table.sessions.len())
                .sum()
        });
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

/// The memory of one burst's writes for the next one's, which borrow from elsewhere.
fn recycle<'b>(mut writes: Vec<Write<'_>>) -> Vec<Write<'b>> {
    writes.clear();
    // An empty vector collected in place: the standard library keeps its allocation.
    writes
        .into_iter()
        .map(|_| unreachable!("cleared"))
        .collect()
}
