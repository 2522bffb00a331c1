//! Point reads over one snapshot.

use std::sync::Arc;

use rocksdb::{
    DBPinnableSlice, DEFAULT_COLUMN_FAMILY_NAME, Error, ErrorKind, ReadOptions, Snapshot,
};

use super::database::{Database, snapshot_options};
use super::encode::ReadResultWriter;
use super::keys::{PREFIX_BYTES, data_prefix, open_value};
use super::recent::{Look, RecentValues, hash};
use super::{Store, StoreError};
use crate::command::{ReadRequest, parse_read};

/// Fetched at once: RocksDB looks into filters and blocks of a batch together, and pins at most so many values.
const BATCH_KEYS: usize = 32;

/// Where a read may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Memtables and block cache: no I/O, for the JS thread.
    Memory,
    /// The disk, too.
    All,
}

/// What `Store::peek` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    Found,
    Absent,
    NotInMemory,
}

/// One state of one group, unchanged as long as it is held. Clones share it, also across threads.
#[derive(Clone)]
pub struct ReadView(Arc<ViewState>);

struct ViewState {
    snapshot: PinnedSnapshot,
    group: u32,
    revision: u64,
    /// The snapshot's sequence number.
    number: u64,
}

/// A snapshot together with the database it is of. Fields are dropped in this order.
pub(super) struct PinnedSnapshot {
    memory: ReadOptions,
    all: ReadOptions,
    snapshot: Snapshot<'static>,
    database: Arc<Database>,
}

impl PinnedSnapshot {
    pub(super) fn sequence_number(&self) -> u64 {
        self.snapshot.sequence_number()
    }
}

impl ReadView {
    pub(super) fn pin(database: &Arc<Database>) -> PinnedSnapshot {
        let database = Arc::clone(database);
        let snapshot = database.db.snapshot();
        // SAFETY: the snapshot borrows `database.db` for longer than the compiler can see.
        // Claim:   the reference within `snapshot` is valid until `snapshot` is dropped.
        // Why:     it points into the allocation of the `Arc`, which moving the `Arc` does not move, and which lives at
        //          least as long as the clone in `database`, the field that is dropped last.
        // Rests:   the order of the fields of `PinnedSnapshot`; `snapshot` is private and never handed out as 'static.
        // Checked: `store_reads.rs`, a view that outlives its store.
        let snapshot = unsafe { std::mem::transmute::<Snapshot<'_>, Snapshot<'static>>(snapshot) };
        let (memory, all) = snapshot_options(&snapshot);
        PinnedSnapshot {
            memory,
            all,
            snapshot,
            database,
        }
    }

    pub(super) fn new(snapshot: PinnedSnapshot, group: u32, revision: u64) -> ReadView {
        ReadView(Arc::new(ViewState {
            number: snapshot.sequence_number(),
            snapshot,
            group,
            revision,
        }))
    }

    /// Every command up to it is contained, and none beyond.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    pub fn group(&self) -> u32 {
        self.0.group
    }

    /// Options that read from wherever it is.
    pub(super) fn read_all(&self) -> &ReadOptions {
        &self.0.snapshot.all
    }

    pub(super) fn snapshot(&self) -> &Snapshot<'_> {
        &self.0.snapshot.snapshot
    }

    pub(super) fn database(&self) -> &Database {
        &self.0.snapshot.database
    }
}

impl Store {
    /// Answers a `ReadBatch`: appends a `ReadResult` to `out`, without padding.
    ///
    /// False: something is not in memory (`Tier::Memory` only); nothing was appended. Values that would make the reply
    /// larger than a client frame are left out and marked. `Request`: the batch is malformed.
    pub fn read(
        &self,
        view: &ReadView,
        batch: &[u8],
        tier: Tier,
        out: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        let request = parse_read(batch)?;
        let start = out.len();
        let found = answer(view, self.recent(), &request, tier, out);
        if !matches!(found, Ok(true)) {
            out.truncate(start);
        }
        found
    }

    /// The value of one key as it is now, appended to `out`. Memory only, no snapshot.
    pub fn peek(&self, group: u32, key: &[u8], out: &mut Vec<u8>) -> Result<Peek, StoreError> {
        let key = [&data_prefix(group)[..], key].concat();
        let replaced = self.replaced(group)?;
        let found = self.database().get(&key, &self.database().read_memory);
        if self.replaced(group)? != replaced {
            return Err(StoreError::Replacing); // between two states, there may have been neither
        }
        match found {
            Ok(None) => Ok(Peek::Absent),
            Err(StoreError::Busy) => Ok(Peek::NotInMemory),
            Err(error) => Err(error),
            Ok(Some(stored)) => {
                out.extend_from_slice(open_value(&stored)?.1);
                Ok(Peek::Found)
            }
        }
    }
}

/// What RocksDB says about one key.
type Found<'d> = Result<Option<DBPinnableSlice<'d>>, Error>;
/// Takes the stored value of the next key.
type Add<'a> = dyn FnMut(Option<&[u8]>) -> Result<(), StoreError> + 'a;

/// False as soon as something is not in memory.
fn answer(
    view: &ReadView,
    recent: &RecentValues,
    request: &ReadRequest<'_>,
    tier: Tier,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let mut writer = ReadResultWriter::new(out, view.revision(), request.count());
    let mut add = |stored: Option<&[u8]>| -> Result<(), StoreError> {
        match stored {
            None => writer.absent(),
            Some(stored) => {
                let (revision, value) = open_value(stored)?;
                writer.present(revision, (!request.no_values).then_some(value));
            }
        }
        Ok(())
    };
    let snapshot = &view.0.snapshot;
    // RocksDB's batched look-up reads from the disk whatever the tier says: in memory, one after the other.
    let whole = match tier {
        Tier::Memory => each(view, recent.look(), request, &snapshot.memory, &mut add)?,
        Tier::All if request.count() == 1 => each(view, None, request, &snapshot.all, &mut add)?,
        Tier::All => together(view, request, &snapshot.all, &mut add)?,
    };
    writer.finish();
    Ok(whole)
}

fn each(
    view: &ReadView,
    mut recent: Option<Look<'_>>,
    request: &ReadRequest<'_>,
    options: &ReadOptions,
    add: &mut Add<'_>,
) -> Result<bool, StoreError> {
    let number = view.0.number;
    let mut stored_key = data_prefix(view.group()).to_vec();
    for key in request.keys() {
        stored_key.truncate(PREFIX_BYTES);
        stored_key.extend_from_slice(key);
        let hash = hash(&stored_key);
        let known = recent
            .as_ref()
            .and_then(|recent| recent.find(&stored_key, hash, number));
        if known.is_some() {
            add(known)?;
            continue;
        }
        let Some(found) = in_memory(view.database().db.get_pinned_opt(&stored_key, options))?
        else {
            return Ok(false);
        };
        add(found.as_deref())?;
        if let (Some(recent), Some(value)) = (&mut recent, &found) {
            recent.keep(&stored_key, hash, number, value);
        }
    }
    Ok(true)
}

fn together(
    view: &ReadView,
    request: &ReadRequest<'_>,
    options: &ReadOptions,
    add: &mut Add<'_>,
) -> Result<bool, StoreError> {
    let db = &view.database().db;
    let family = db
        .cf_handle(DEFAULT_COLUMN_FAMILY_NAME)
        .ok_or_else(|| StoreError::damaged("no default column family"))?;
    let prefix = data_prefix(view.group());
    let mut keys = request.keys();
    loop {
        let chunk = keys.by_ref().take(BATCH_KEYS);
        let stored_keys: Vec<Vec<u8>> = chunk.map(|key| [&prefix[..], key].concat()).collect();
        if stored_keys.is_empty() {
            return Ok(true);
        }
        for found in db.batched_multi_get_cf_opt(family, &stored_keys, false, options) {
            let Some(found) = in_memory(found)? else {
                return Ok(false);
            };
            add(found.as_deref())?;
        }
    }
}

/// None: not in memory.
fn in_memory(found: Found<'_>) -> Result<Option<Option<DBPinnableSlice<'_>>>, StoreError> {
    match found {
        Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
        found => Ok(Some(found?)),
    }
}
