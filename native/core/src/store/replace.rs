//! One group's state replaced by another, entirely: what installing a snapshot does to the store.
//!
//! SAFETY: nobody ever sees a mixture of two states.
//! Claim:   a read, an evaluation or an opened store finds the old state, the new one, or a refusal.
//! Why:     `replace_begin` refuses views before it writes, and one batch removes the whole old state, the applied index with
//!          it, and leaves a mark. RocksDB's memtables reach the disk in order, so a crash leaves a prefix of the batches:
//!          the old state, or the mark with some of the new rows. `replace_end` removes the mark and writes the
//!          applied index as one batch behind all rows, and flushes. Sessions are read from what is written; values
//!          that were read before do not count any more (`recent.rs`). Older views go on over their own snapshots.
//! Rests:   nobody evaluates or writes meanwhile (the engine's exclusion); the engine's marker file has all of it done again
//!          when it was interrupted, and a store with the mark is not opened without it.
//! Checked: `store_replace.rs`; `snapshot_crash.rs`, which crashes between any two steps.

use super::database::encode_applied;
use super::keys::{APPLIED, GROUP_BYTES, Prefix, REPLACING, check_row, group_end, metadata_prefix};
use super::representation::Representation;
use super::sessions::SessionTable;
use super::store::{Front, Progress};
use super::{Applied, Store, StoreError};

impl Store {
    /// Refuses reads of the group from here on, and removes all that it holds: what is evaluated and not written, too.
    /// Older views keep what they see. After an error, call it again.
    pub fn replace_begin(&self, group: u32) -> Result<(), StoreError> {
        let writing = &mut *self.writing.lock();
        self.published.lock().replacing.insert(group);
        if writing.closed.is_some_and(|(closed, _)| closed == group) {
            writing.closed = None;
        }
        let nothing = Front::new(SessionTable::default(), Applied::default());
        self.fronts.lock().insert(group, nothing);
        self.recent.note_all(u64::MAX);
        let mut batch = Representation::default();
        batch.clear();
        batch.delete_range(&metadata_prefix(group)[..GROUP_BYTES], &group_end(group));
        let prefix = metadata_prefix(group);
        batch.put(&prefix, APPLIED, &encode_applied(Applied::default()), &[]);
        batch.put(&prefix, REPLACING, &[], &[]);
        self.database.write(batch.finish(), false)
    }

    /// Adds rows that `is_row` has found good. After an error, call it again with the same ones.
    pub fn replace_rows<'r>(
        &self,
        group: u32,
        rows: &mut dyn Iterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let mut batch = Representation::default();
        batch.clear();
        let mut prefix = metadata_prefix(group);
        for (key, value) in rows {
            let (kind, rest) = key.split_at(prefix.len() - GROUP_BYTES);
            prefix[GROUP_BYTES..].copy_from_slice(kind);
            batch.put(&prefix, rest, value, &[]);
        }
        self.database.write(batch.finish(), false)
    }

    /// The rows are complete: flushes them, and serves the group again, as of `applied`. After an error, call it again.
    pub fn replace_end(&self, group: u32, applied: Applied) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let prefix: Prefix = metadata_prefix(group);
        let mut batch = Representation::default();
        batch.clear();
        batch.put(&prefix, APPLIED, &encode_applied(applied), &[]);
        batch.delete(&prefix, REPLACING);
        self.database.write(batch.finish(), false)?;
        self.database.flush()?;
        let sessions = SessionTable::load(&self.database, group)?;
        let flushed = self.database.flushed(group)?.index;
        self.fronts
            .lock()
            .insert(group, Front::new(sessions, applied));
        let mut published = self.published.lock();
        self.recent
            .note_all(self.database.db.latest_sequence_number());
        published
            .groups
            .insert(group, Progress { applied, flushed });
        published.replacing.remove(&group);
        published.replaced += 1;
        Ok(())
    }

    /// Between `replace_begin` and `replace_end`, also when a crash has come between them.
    pub fn is_replacing(&self, group: u32) -> bool {
        self.published.lock().replacing.contains(&group)
    }

    /// Could this row, without its group, stand in a store? For whoever reads rows of strangers.
    pub fn is_row(key: &[u8], value: &[u8]) -> bool {
        check_row(key, value)
    }
}
