//! One short text for the whole state of a group, to compare replicas by.
//!
//! SAFETY: replicas that have applied the same records have the same digest, and only those.
//! Claim:   the digest follows from the log up to the applied index; another byte anywhere gives another digest.
//! Why:     it covers every row of the group: applied index, term, log time and revision, sessions, their stored results, data. Each
//!          of them follows from the log, however it is cut into bursts. Not covered are the group's number, which is a part
//!          of every key, and the store's identity, which belongs to group 0 and says which replica this is. Both hashes map
//!          different states to different states when they take one byte, so that one differing byte is never lost.
//! Rests:   `store.rs`, whose results are those of the log; nothing else is ever written under a group's prefix.
//! Checked: tests/store_digest.rs.

use rocksdb::ReadOptions;

use super::database::decode_applied;
use super::keys::applied_key;
use super::{Applied, Store, StoreError};

const GROUP_BYTES: usize = 4;
/// FNV-1a, 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// What `Store::digest` told last, and of which sequence number of RocksDB: every write takes another.
pub(super) struct Digested {
    group: u32,
    sequence: u64,
    applied: Applied,
    digest: String,
}

struct Digest {
    crc32c: u32,
    fnv: u64,
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        for byte in bytes {
            self.fnv = (self.fnv ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }

    /// A key or value: its length first, so that no bytes can move from one to the next.
    fn add_field(&mut self, bytes: &[u8]) {
        self.add(&(bytes.len() as u32).to_le_bytes());
        self.add(bytes);
    }
}

impl Store {
    /// How far the group is applied, and 24 hexadecimal digits that say to what state: equal on all replicas there.
    ///
    /// Reads every row of the group, from the disk where it is there, unless nothing was written or flushed since it did so.
    /// What is evaluated and not written does not count.
    pub fn digest(&self, group: u32) -> Result<(Applied, String), StoreError> {
        // Asked before the snapshot is made: a write between them makes what is kept useless, not wrong.
        let sequence = self.database().db.latest_sequence_number();
        if let Some(known) = &*self.digested.lock()
            && (known.group, known.sequence) == (group, sequence)
        {
            return Ok((known.applied, known.digest.clone()));
        }
        let (applied, digest) = self.digest_rows(group)?;
        *self.digested.lock() = Some(Digested {
            group,
            sequence,
            applied,
            digest: digest.clone(),
        });
        Ok((applied, digest))
    }

    fn digest_rows(&self, group: u32) -> Result<(Applied, String), StoreError> {
        let snapshot = self.database().db.snapshot();
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(group.to_be_bytes());
        if let Some(next) = group.checked_add(1) {
            options.set_iterate_upper_bound(next.to_be_bytes());
        }
        options.fill_cache(false);
        let mut rows = snapshot.raw_iterator_opt(options);
        let mut digest = Digest {
            crc32c: 0,
            fnv: FNV_OFFSET,
        };
        let mut applied = Applied::default();
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            if key == applied_key(group) {
                applied = decode_applied(value)?;
            }
            digest.add_field(&key[GROUP_BYTES..]);
            digest.add_field(value);
            rows.next();
        }
        rows.status()?;
        Ok((applied, format!("{:08x}{:016x}", digest.crc32c, digest.fnv)))
    }
}
