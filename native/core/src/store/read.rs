//! Point reads over one snapshot.

use std::sync::Arc;

use rocksdb::{
    ColumnFamily, DBPinnableSlice, DEFAULT_COLUMN_FAMILY_NAME, Error, ErrorKind, ReadOptions,
    Snapshot,
};

use super::database::{Database, snapshot_options};
use super::encode::ReadResultWriter;
use super::keys::{data_prefix, open_value};
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
        let found = answer(view, &request, tier, out);
        if !matches!(found, Ok(true)) {
            out.truncate(start);
        }
        found
    }

    /// The value of one key as it is now, appended to `out`. Memory only, no snapshot.
    pub fn peek(&self, group: u32, key: &[u8], out: &mut Vec<u8>) -> Result<Peek, StoreError> {
        let key = [&data_prefix(group)[..], key].concat();
        match self.database().get(&key, &self.database().read_memory) {
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

fn answer(
    view: &ReadView,
    request: &ReadRequest<'_>,
    tier: Tier,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let state = &view.0;
    let database = &state.snapshot.database;
    let options = match tier {
        Tier::Memory => &state.snapshot.memory,
        Tier::All => &state.snapshot.all,
    };
    let mut writer = ReadResultWriter::new(out, state.revision, request.count());
    let mut add = |found: Result<Option<DBPinnableSlice<'_>>, Error>| -> Result<bool, StoreError> {
        match found {
            Ok(None) => writer.absent(),
            Err(error) if error.kind() == ErrorKind::Incomplete => return Ok(false),
            Err(error) => return Err(error.into()),
            Ok(Some(stored)) => {
                let (revision, value) = open_value(&stored)?;
                writer.present(revision, (!request.no_values).then_some(value));
            }
        }
        Ok(true)
    };
    let prefix = data_prefix(state.group);
    if request.count() == 1 {
        for key in request.keys() {
            let key = [&prefix[..], key].concat();
            if !add(database.db.get_pinned_opt(&key, options))? {
                return Ok(false);
            }
        }
    } else {
        let family = family(database)?;
        let mut keys = request.keys();
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(BATCH_KEYS);
        loop {
            bytes.clear();
            ends.clear();
            for key in keys.by_ref().take(BATCH_KEYS) {
                bytes.extend_from_slice(&prefix);
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
            if ends.is_empty() {
                break;
            }
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let batch: Vec<&[u8]> = starts
                .zip(&ends)
                .map(|(start, &end)| &bytes[start..end])
                .collect();
            for found in database
                .db
                .batched_multi_get_cf_opt(family, batch, false, options)
            {
                if !add(found)? {
                    return Ok(false);
                }
            }
        }
    }
    writer.finish();
    Ok(true)
}

fn family(database: &Database) -> Result<&ColumnFamily, StoreError> {
    database
        .db
        .cf_handle(DEFAULT_COLUMN_FAMILY_NAME)
        .ok_or_else(|| StoreError::damaged("no default column family"))
}
