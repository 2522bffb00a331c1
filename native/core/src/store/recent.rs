//! Values that were read lately, by key: one look at a table instead of RocksDB's search through memtables and files.
//!
//! SAFETY: a value from here is what the reader's snapshot holds.
//! Claim:   `find(key, n)` gives a value only if that is what a snapshot of sequence number `n` has under `key`.
//! Why:     an entry is what a snapshot of some number `m` had. Before a write goes to RocksDB, the number from which on it
//!          is visible is noted for each of its keys. An entry counts only if the last number noted for its key is at most
//!          `n` and at most `m`: then no write of the key lies between the two snapshots, whichever of them is older.
//! Rests:   there is one writer, whose numbers grow. A snapshot that holds a write was taken after RocksDB had published it,
//!          which the note precedes, so who reads over that snapshot sees the note. Keys that share a note only miss more.
//! Checked: `store_concurrent.rs`, where readers take values from each other during writes; the tests below.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxBuildHasher;

/// Keys share so many notes.
const NOTES: usize = 1 << 16;
/// Entries of a bucket, one line of the processor's cache.
const WAYS: usize = 4;
/// There is a slot for so many bytes of memory.
const BYTES_PER_SLOT: usize = 128;
/// A larger value, in parts of the memory, would drive out too many others.
const LARGEST_SHARE: usize = 64;
const ENTRY_HEAD_BYTES: usize = 12;

pub(super) struct RecentValues {
    notes: Box<[AtomicU64]>,
    values: Mutex<Values>,
}

/// Entries in the order in which they came, in memory that goes round; and where to find them.
///
/// ```text
/// entry: | sequence number u64 | key length u32 | key | value as stored |
/// ```
pub(super) struct Values {
    capacity: usize,
    /// Empty until there is something to keep.
    memory: Vec<u8>,
    buckets: Vec<[Slot; WAYS]>,
    /// Bytes that were ever used: the next entry stands there, modulo the capacity.
    end: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    at: u64,
    /// 0: empty.
    length: u32,
    tag: u32,
}

/// The hash of a key as it is stored.
pub(super) fn hash(key: &[u8]) -> u64 {
    FxBuildHasher.hash_one(key)
}

impl RecentValues {
    /// In at most about `capacity` bytes.
    pub(super) fn new(capacity: usize) -> RecentValues {
        RecentValues {
            notes: (0..NOTES).map(|_| AtomicU64::new(0)).collect(),
            values: Mutex::new(Values {
                capacity,
                memory: Vec::new(),
                buckets: Vec::new(),
                end: 0,
            }),
        }
    }

    /// Notes a write of the keys with these hashes that is going to be visible from sequence number `number` on.
    pub(super) fn note(&self, hashes: &[u64], number: u64) {
        for &hash in hashes {
            self.notes[note_of(hash)].store(number, Ordering::Release);
        }
    }

    /// As `note`, of every key there is.
    pub(super) fn note_all(&self, number: u64) {
        for note in &self.notes {
            note.store(number, Ordering::Release);
        }
    }

    /// None while another thread looks: it is only a shortcut.
    pub(super) fn look(&self) -> Option<Look<'_>> {
        let values = self.values.try_lock()?;
        Some(Look {
            notes: &self.notes,
            values,
        })
    }
}

fn note_of(hash: u64) -> usize {
    (hash >> 48) as usize % NOTES
}

pub(super) struct Look<'c> {
    notes: &'c [AtomicU64],
    values: MutexGuard<'c, Values>,
}

impl Look<'_> {
    /// What a snapshot of sequence number `number` holds under `key`, if that is known.
    pub(super) fn find(&self, key: &[u8], hash: u64, number: u64) -> Option<&[u8]> {
        let (seen, value) = self.values.find(key, hash)?;
        let noted = self.notes[note_of(hash)].load(Ordering::Acquire);
        (noted <= number.min(seen)).then_some(value)
    }

    /// Keeps what a snapshot of sequence number `number` holds under `key`.
    pub(super) fn keep(&mut self, key: &[u8], hash: u64, number: u64, value: &[u8]) {
        self.values.keep(key, hash, number, value);
    }
}

impl Values {
    fn find(&self, key: &[u8], hash: u64) -> Option<(u64, &[u8])> {
        if self.buckets.is_empty() {
            return None;
        }
        let bucket = &self.buckets[hash as usize % self.buckets.len()];
        bucket.iter().find_map(|slot| {
            let entry = self.entry(slot, hash)?;
            let (number, rest) = entry.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (kept, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            (kept == key).then_some((u64::from_le_bytes(*number), value))
        })
    }

    /// The bytes of a slot's entry, unless that is another key's, or was written over.
    fn entry(&self, slot: &Slot, hash: u64) -> Option<&[u8]> {
        if slot.length == 0 || slot.tag != tag_of(hash) || !self.is_alive(slot) {
            return None;
        }
        let at = (slot.at % self.capacity as u64) as usize;
        Some(&self.memory[at..at + slot.length as usize])
    }

    fn is_alive(&self, slot: &Slot) -> bool {
        slot.at + self.capacity as u64 >= self.end
    }

    fn keep(&mut self, key: &[u8], hash: u64, number: u64, value: &[u8]) {
        let length = ENTRY_HEAD_BYTES + key.len() + value.len();
        if length > self.capacity / LARGEST_SHARE {
            return;
        }
        if self.buckets.is_empty() {
            self.memory = vec![0; self.capacity];
            let buckets = (self.capacity / BYTES_PER_SLOT / WAYS).max(1);
            self.buckets = vec![Default::default(); buckets];
        }
        let mut at = (self.end % self.capacity as u64) as usize;
        if at + length > self.capacity {
            self.end += (self.capacity - at) as u64; // entries do not go round the corner
            at = 0;
        }
        let (head, bytes) = self.memory[at..at + length].split_at_mut(ENTRY_HEAD_BYTES);
        head[..8].copy_from_slice(&number.to_le_bytes());
        head[8..].copy_from_slice(&(key.len() as u32).to_le_bytes());
        bytes[..key.len()].copy_from_slice(key);
        bytes[key.len()..].copy_from_slice(value);
        let slot = Slot {
            at: self.end,
            length: length as u32,
            tag: tag_of(hash),
        };
        self.end += length as u64;
        let buckets = self.buckets.len();
        let bucket = &mut self.buckets[hash as usize % buckets];
        // Of the same key, most likely; else the one that goes first, which an empty one does.
        let same = bucket.iter().position(|old| old.tag == slot.tag);
        let oldest = || (0..WAYS).min_by_key(|&way| bucket[way].at).unwrap_or(0);
        bucket[same.unwrap_or_else(oldest)] = slot;
    }
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::{RecentValues, hash};

    fn find(recent: &RecentValues, key: &[u8], number: u64) -> Option<Vec<u8>> {
        let look = recent.look().expect("nobody else looks");
        look.find(key, hash(key), number).map(<[u8]>::to_vec)
    }

    fn keep(recent: &RecentValues, key: &[u8], number: u64, value: &[u8]) {
        let mut look = recent.look().expect("nobody else looks");
        look.keep(key, hash(key), number, value);
    }

    #[test]
    fn an_entry_counts_on_the_side_of_a_write_on_which_it_was_seen() {
        let recent = RecentValues::new(1 << 20);
        keep(&recent, b"key", 10, b"old");
        assert_eq!(find(&recent, b"key", 9), Some(b"old".to_vec()));
        assert_eq!(find(&recent, b"key", 30), Some(b"old".to_vec()));
        recent.note(&[hash(b"key")], 20);
        for number in [10, 19, 20, 30] {
            assert_eq!(find(&recent, b"key", number), None, "{number}");
        }
        keep(&recent, b"key", 25, b"new");
        assert_eq!(find(&recent, b"key", 20), Some(b"new".to_vec()));
        assert_eq!(find(&recent, b"key", 19), None);
        keep(&recent, b"key", 19, b"old"); // by a reader that was late
        for number in [18, 19, 20, 25] {
            assert_eq!(find(&recent, b"key", number), None, "{number}");
        }
    }

    #[test]
    fn what_does_not_fit_is_forgotten_and_never_mistaken() {
        let recent = RecentValues::new(64 * 1024);
        let value = |at: u32, bytes: usize| vec![at as u8; bytes];
        let mut found = 0;
        for at in 0..20_000u32 {
            let key = at.to_be_bytes();
            keep(&recent, &key, 1, &value(at, at as usize % 900));
            assert_eq!(find(&recent, &key, 1), Some(value(at, at as usize % 900)));
            let other = at / 2;
            let was = find(&recent, &other.to_be_bytes(), 1);
            found += u32::from(was.is_some());
            assert!(was.is_none_or(|was| was == value(other, other as usize % 900)));
        }
        assert!(found < 20_000 / 10, "{found}");
        keep(&recent, b"large", 1, &[0; 2048]);
        assert_eq!(find(&recent, b"large", 1), None);
    }
}
