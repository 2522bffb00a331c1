//! Consecutive records of one group, evaluated in log order into the open burst.

use rocksdb::{DBPinnableSlice, ReadOptions};

use super::database::Database;
use super::drafts::{Verdict, open_results};
use super::encode::{ResultHead, result_batch};
use super::keys::{PREFIX_BYTES, data_prefix, open_value};
use super::open_burst::OpenBurst;
use super::overlay::{Overlay, Value};
use super::rows::Rows;
use super::sessions::{Kept, SessionTable};
use super::{Applied, ApplyMode, StoreError, StoreLimits};
use crate::command::{BatchView, batches, parse_batch};
use crate::record::{Header, KIND_BLANK, KIND_COMMANDS, KIND_CONF, RecordView};

/// A burst that has grown so large ends with the record it is at.
const BURST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Values that appends make, and keys that ranges delete, in one record. The next such command is refused with
/// `OVER_LIMIT`. Follows from the log alone, not from where bursts begin; see `Burst::charge`.
const RECORD_MADE_BYTES_MAX: usize = 128 * 1024 * 1024;

const STATUS_APPLIED: u8 = 0;
const STATUS_UNKNOWN: u8 = 1;
const STATUS_GAP: u8 = 2;
const STATUS_FORGOTTEN: u8 = 3;

/// What evaluation works with and does not change.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) database: &'a Database,
    pub(super) sessions: &'a SessionTable,
    pub(super) group: u32,
    pub(super) mode: ApplyMode,
    pub(super) limits: StoreLimits,
    /// A closed burst is not written yet: RocksDB must not be asked what a key holds.
    pub(super) is_behind: bool,
}

/// Takes records into the open burst.
pub(super) struct Burst<'a> {
    pub(super) context: Context<'a>,
    pub(super) open: &'a mut OpenBurst,
    pub(super) rows: Rows,
    /// Position in the overlay where the record began.
    record_from: usize,
    record_made: usize,
    key: Vec<u8>,
}

/// The entry of a key as the commands before have left it.
pub(super) enum Current<'d> {
    Absent,
    /// A write of the burst, by position.
    Written(usize),
    Stored(DBPinnableSlice<'d>),
}

impl Current<'_> {
    /// Revision and value, if there is an entry.
    pub(super) fn entry<'s>(&'s self, overlay: &'s Overlay) -> Option<(u64, &'s [u8])> {
        match self {
            Current::Absent => None,
            Current::Written(at) => {
                let write = &overlay.writes()[*at];
                Some((write.revision, overlay.resolve(write.value)?))
            }
            // `current` has looked at the value's header.
            Current::Stored(stored) => open_value(stored).ok(),
        }
    }
}

impl<'a> Burst<'a> {
    pub(super) fn new(context: Context<'a>, open: &'a mut OpenBurst) -> Burst<'a> {
        Burst {
            context,
            open,
            rows: Rows::default(),
            record_from: 0,
            record_made: 0,
            key: data_prefix(context.group).to_vec(),
        }
    }

    /// Whether the burst should be written before it takes another record.
    pub(super) fn is_large(&self, result_bytes: usize) -> bool {
        self.open.bytes() + result_bytes >= BURST_BYTES_MAX
    }

    /// Evaluates one record. With `mode.results`, appends to `out`:
    ///
    /// ```text
    /// | index u64 | term u64 | batches u32 | bytes of what follows u32 |
    /// then for each batch: | length u32 | zero u32 | ResultBatch … | zero padding to 8 |
    /// ```
    pub(super) fn record(
        &mut self,
        record: RecordView<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let header = record.header();
        self.check(&header)?;
        self.record_from = self.open.overlay.writes().len();
        self.record_made = 0;
        self.rows.begin_record();
        let start = out.len();
        if self.context.mode.results {
            out.extend_from_slice(&header.index.to_le_bytes());
            out.extend_from_slice(&header.term.to_le_bytes());
            out.extend_from_slice(&[0; 8]);
        }
        let count = match header.kind {
            KIND_BLANK | KIND_CONF => 0,
            KIND_COMMANDS => self.payload(record.payload(), &header, out)?,
            kind => {
                return Err(StoreError::log(
                    header.index,
                    format!("this eraft does not know entries of kind {kind}"),
                ));
            }
        };
        if self.context.mode.results {
            let bytes = (out.len() - start - 24) as u32;
            out[start + 16..start + 20].copy_from_slice(&count.to_le_bytes());
            out[start + 20..start + 24].copy_from_slice(&bytes.to_le_bytes());
        }
        let revision = self
            .open
            .applied
            .revision
            .max(header.next_revision().saturating_sub(1));
        self.open.applied = Applied {
            index: header.index,
            term: header.term,
            time: header.time,
            revision,
        };
        Ok(())
    }

    /// The record is the next one of this group.
    fn check(&self, header: &Header) -> Result<(), StoreError> {
        let before = &self.open.applied;
        if header.group != self.context.group
            || header.index != before.index + 1
            || header.term < before.term
        {
            let found = format!(
                "group {}, index {}, term {}",
                header.group, header.index, header.term
            );
            return Err(StoreError::log(
                before.index + 1,
                format!("the next record has {found}"),
            ));
        }
        let revisions = header.first_revision.checked_add(u64::from(header.count));
        if header.count > 0 && (header.first_revision <= before.revision || revisions.is_none()) {
            let what = format!("revision {} comes again", header.first_revision);
            return Err(StoreError::log(header.index, what));
        }
        Ok(())
    }

    /// The batches of a commands record; returns how many.
    fn payload(
        &mut self,
        payload: &[u8],
        header: &Header,
        out: &mut Vec<u8>,
    ) -> Result<u32, StoreError> {
        let mut revision = header.first_revision;
        let mut count = 0;
        for bytes in batches(payload) {
            let bytes = bytes.map_err(|error| StoreError::log(header.index, error.to_string()))?;
            let batch = parse_batch(bytes)
                .map_err(|error| StoreError::log(header.index, error.to_string()))?;
            let start = out.len();
            if self.context.mode.results {
                out.extend_from_slice(&[0; 8]);
            }
            self.batch(&batch, revision, out)?;
            if self.context.mode.results {
                let length = (out.len() - start - 8) as u32;
                out[start..start + 4].copy_from_slice(&length.to_le_bytes());
                out.resize(start + 8 + (length as usize).next_multiple_of(8), 0);
            }
            revision += u64::from(batch.count);
            count += 1;
        }
        if revision != header.next_revision() {
            let what = format!(
                "its header counts {} commands, its batches {}",
                header.count,
                revision - header.first_revision
            );
            return Err(StoreError::log(header.index, what));
        }
        Ok(count)
    }

    fn batch(
        &mut self,
        batch: &BatchView<'_>,
        revision: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if batch.session == 0 {
            if batch.register {
                let sessions_max = self.context.limits.sessions_max;
                let table = self.context.sessions;
                self.open.drafts.register(table, sessions_max, revision);
            } else {
                self.evaluate(batch, revision, self.context.mode.results)?;
            }
            self.reply(out, batch, STATUS_APPLIED, revision, 0);
            return Ok(());
        }
        let (verdict, last_sequence) =
            self.open
                .drafts
                .admit(self.context.sessions, batch, revision);
        match verdict {
            Verdict::Unknown => self.refuse(out, batch, STATUS_UNKNOWN, 0),
            Verdict::Gap => self.refuse(out, batch, STATUS_GAP, last_sequence),
            Verdict::Forgotten => self.refuse(out, batch, STATUS_FORGOTTEN, last_sequence),
            Verdict::Apply => {
                self.evaluate(batch, revision, true)?;
                self.open.keep(batch, revision, &self.rows);
                self.reply(out, batch, STATUS_APPLIED, revision, last_sequence);
            }
            Verdict::Again(answer) if self.context.mode.results => {
                let applied = answer.kept != Kept::Nowhere;
                let head = ResultHead {
                    status: if applied {
                        STATUS_APPLIED
                    } else {
                        STATUS_FORGOTTEN
                    },
                    first_revision: answer.first_revision,
                    count: answer.count,
                    last_sequence,
                };
                self.repeat(batch, head, answer.kept, out)?;
            }
            Verdict::Again(_) => {}
        }
        Ok(())
    }

    fn refuse(&self, out: &mut Vec<u8>, batch: &BatchView<'_>, status: u8, last_sequence: u64) {
        if self.context.mode.results {
            result_batch(
                out,
                ResultHead {
                    status,
                    first_revision: 0,
                    count: batch.count,
                    last_sequence,
                },
                &[],
                &[],
            );
        }
    }

    fn reply(
        &self,
        out: &mut Vec<u8>,
        batch: &BatchView<'_>,
        status: u8,
        first_revision: u64,
        last_sequence: u64,
    ) {
        if self.context.mode.results {
            let head = ResultHead {
                status,
                first_revision,
                count: batch.count,
                last_sequence,
            };
            let (results, data) = if batch.plain {
                (&[][..], &[][..])
            } else {
                (self.rows.results(), self.rows.data())
            };
            result_batch(out, head, results, data);
        }
    }

    /// Answers a duplicate as its first copy was answered.
    fn repeat(
        &self,
        batch: &BatchView<'_>,
        head: ResultHead,
        kept: Kept,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        if kept != Kept::Stored {
            result_batch(out, head, &[], &[]);
            return Ok(());
        }
        if let Some(stored) = self.open.drafts.results_of(batch) {
            let (results, data) = open_results(stored)?;
            result_batch(out, head, results, data);
            return Ok(());
        }
        if self.context.is_behind {
            return Err(StoreError::Busy);
        }
        let stored = self.context.database.session_result(
            self.context.group,
            batch.session,
            batch.sequence,
            self.options(),
        )?;
        let (results, data) = open_results(&stored)?;
        result_batch(out, head, results, data);
        Ok(())
    }

    fn options(&self) -> &'a ReadOptions {
        let database = self.context.database;
        if self.context.mode.no_slowdown {
            &database.read_memory
        } else {
            &database.read_all
        }
    }

    /// What `key` holds now: what the burst wrote last, or what RocksDB has. `Busy` when that waits, for a disk or a write.
    pub(super) fn current(&mut self, key: &[u8]) -> Result<Current<'a>, StoreError> {
        if let Some(at) = self.open.overlay.find(key) {
            return Ok(Current::Written(at));
        }
        if self.context.is_behind {
            return Err(StoreError::Busy);
        }
        self.key.truncate(PREFIX_BYTES);
        self.key.extend_from_slice(key);
        Ok(
            match self.context.database.get(&self.key, self.options())? {
                None => Current::Absent,
                Some(stored) => {
                    open_value(&stored)?;
                    Current::Stored(stored)
                }
            },
        )
    }

    /// Whether the record itself has made this value by an append: the next append only adds to it.
    pub(super) fn made_here(&self, current: &Current<'a>) -> bool {
        match current {
            Current::Written(at) => {
                *at >= self.record_from
                    && matches!(self.open.overlay.writes()[*at].value, Value::Buffer { .. })
            }
            _ => false,
        }
    }

    /// Accounts for bytes that a command makes, which may be many more than it carries. False: over the limit.
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        let fits = self.record_made + bytes <= RECORD_MADE_BYTES_MAX;
        self.record_made += if fits { bytes } else { 0 };
        fits
    }

    /// For undoing a transaction: what it was charged is given back.
    pub(super) fn made(&mut self) -> &mut usize {
        &mut self.record_made
    }
}
