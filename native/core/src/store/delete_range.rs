//! deleteRange: one delete for each key that is there.
//!
//! Not a range tombstone of RocksDB: many of them slow every read (facebook/rocksdb#3959), and the number of deleted
//! keys is part of the answer anyway.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use rocksdb::{DBRawIterator, ErrorKind, ReadOptions, ReadTier};

use super::StoreError;
use super::burst::Burst;
use super::keys::{PREFIX_BYTES, data_end, data_prefix};
use super::overlay::Lookup;
use super::rows::{OVER_LIMIT, Outcome};
use crate::command::{Command, flag};

/// What a deleted key costs besides its bytes.
const KEY_BYTES: usize = 32;

impl Burst<'_> {
    pub(super) fn delete_range(
        &mut self,
        command: &Command<'_>,
        revision: u64,
    ) -> Result<(), StoreError> {
        let outcome = match self.keys_to_delete(command)? {
            Some(keys) if self.charge(keys.iter().map(|key| key.len() + KEY_BYTES).sum()) => {
                for key in &keys {
                    self.open.overlay.delete(key, revision);
                }
                Outcome::number(keys.len() as i64)
            }
            _ => Outcome::refused(OVER_LIMIT),
        };
        self.rows.outcome(outcome);
        Ok(())
    }

    /// None: more than one command may delete.
    fn keys_to_delete(
        &mut self,
        command: &Command<'_>,
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let (first, end) = (command.key, command.value);
        if command.number == 0 || (!end.is_empty() && first >= end) {
            return Ok(Some(Vec::new()));
        }
        if self.context.is_behind {
            return Err(StoreError::Busy);
        }
        let from_end = command.flags & flag::FROM_END != 0;
        let options = range_options(
            self.context.group,
            self.context.mode.no_slowdown,
            first,
            end,
        );
        let stored = StoredKeys::new(self.context.database.db.raw_iterator_opt(options), from_end);
        let bounds = (
            Bound::Included(first),
            if end.is_empty() {
                Bound::Unbounded
            } else {
                Bound::Excluded(end)
            },
        );
        let keys_max = self.context.limits.delete_range_keys_max;
        let limit = usize::try_from(command.number).ok();
        let take = limit.unwrap_or(keys_max + 1); // one more than allowed tells that there are more
        let (written, lookup) = self.open.overlay.keys_within(bounds);
        let keys = if from_end {
            merge(written.rev(), &lookup, stored, Ordering::Greater, take)
        } else {
            merge(written, &lookup, stored, Ordering::Less, take)
        }?;
        Ok((limit.is_some() || keys.len() <= keys_max).then_some(keys))
    }
}

/// The first `take` keys that are there, of the burst's own and the stored ones, both sorted so that `first` comes first.
fn merge<'o>(
    written: impl Iterator<Item = &'o [u8]>,
    lookup: &Lookup<'o>,
    mut stored: StoredKeys<'_>,
    first: Ordering,
    take: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut written: Peekable<_> = written.peekable();
    let mut keys = Vec::new();
    while keys.len() < take {
        let order = match (written.peek(), stored.key()) {
            (None, None) => break,
            (Some(_), None) => first,
            (None, Some(_)) => first.reverse(),
            (Some(written), Some(stored)) => (*written).cmp(stored),
        };
        let on_disk = order != first;
        if order != first.reverse() {
            let key = written.next().expect("peeked");
            // What the burst has done to the key counts, whatever RocksDB has.
            if lookup.present(key) {
                keys.push(key.to_vec());
            }
        } else if let Some(key) = stored.key() {
            keys.push(key.to_vec());
        }
        if on_disk {
            stored.advance();
        }
    }
    stored.finish()?;
    Ok(keys)
}

/// The keys of a range in RocksDB, as clients know them.
struct StoredKeys<'d> {
    iterator: DBRawIterator<'d>,
    from_end: bool,
}

impl<'d> StoredKeys<'d> {
    fn new(mut iterator: DBRawIterator<'d>, from_end: bool) -> StoredKeys<'d> {
        if from_end {
            iterator.seek_to_last()
        } else {
            iterator.seek_to_first()
        }
        StoredKeys { iterator, from_end }
    }

    fn key(&self) -> Option<&[u8]> {
        self.iterator.key().map(|key| &key[PREFIX_BYTES..])
    }

    fn advance(&mut self) {
        if self.from_end {
            self.iterator.prev()
        } else {
            self.iterator.next()
        }
    }

    /// The iterator ended because there is no more, not because it failed.
    fn finish(self) -> Result<(), StoreError> {
        match self.iterator.status() {
            Err(error) if error.kind() == ErrorKind::Incomplete => Err(StoreError::Busy),
            status => Ok(status?),
        }
    }
}

fn range_options(group: u32, memory_only: bool, first: &[u8], end: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound([&data_prefix(group)[..], first].concat());
    options.set_iterate_upper_bound(match end {
        [] => data_end(group).to_vec(),
        end => [&data_prefix(group)[..], end].concat(),
    });
    if memory_only {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}
