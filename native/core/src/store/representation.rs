//! A RocksDB WriteBatch, built as bytes: one copy for each write, and no foreign call.
//!
//! ```text
//! 0          8       12
//! | sequence | count | records …
//! put:    | 1 | varint key length | key | varint value length | value |
//! delete: | 0 | varint key length | key |
//! range:  | 15 | varint length | first key | varint length | key behind the last |
//! ```
//! Source: RocksDB `db/write_batch.cc`; the layout is what its own write-ahead log stores, hence stable.

use rocksdb::WriteBatch;

use super::keys::{PREFIX_BYTES, Prefix, value_header};
use super::overlay::{Overlay, Value};
use super::recent::hash;

const HEADER_BYTES: usize = 12;
const TAG_DELETE: u8 = 0;
const TAG_PUT: u8 = 1;
const TAG_DELETE_RANGE: u8 = 15;
/// More than this is not kept for the next burst.
const KEEP_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Representation {
    bytes: Vec<u8>,
    count: u32,
    order: Vec<Place>,
    /// Of the keys that `overlay` brought, as they are stored.
    hashes: Vec<u64>,
}

/// Where a write stands in key order.
#[derive(Clone, Copy)]
struct Place {
    /// The first bytes of the key that differ between keys, as a number: decides most comparisons.
    head: u64,
    at: u32,
}

impl Representation {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.bytes.resize(HEADER_BYTES, 0);
        self.count = 0;
        self.hashes.clear();
    }

    /// Writes so far; each takes one of RocksDB's sequence numbers.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The hashes of the clients' keys that it writes.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    #[inline]
    pub(super) fn put(&mut self, prefix: &Prefix, key: &[u8], header: &[u8], value: &[u8]) {
        self.record(TAG_PUT, prefix, key);
        varint(&mut self.bytes, header.len() + value.len());
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(value);
    }

    #[inline]
    pub(super) fn delete(&mut self, prefix: &Prefix, key: &[u8]) {
        self.record(TAG_DELETE, prefix, key);
    }

    /// All keys from `from` on that are less than `end`, both with their groups.
    pub(super) fn delete_range(&mut self, from: &[u8], end: &[u8]) {
        self.count += 1;
        self.bytes.push(TAG_DELETE_RANGE);
        for key in [from, end] {
            varint(&mut self.bytes, key.len());
            self.bytes.extend_from_slice(key);
        }
    }

    #[inline]
    fn record(&mut self, tag: u8, prefix: &Prefix, key: &[u8]) {
        self.count += 1;
        self.bytes.push(tag);
        varint(&mut self.bytes, prefix.len() + key.len());
        self.bytes.extend_from_slice(prefix);
        self.bytes.extend_from_slice(key);
    }

    /// The last write of each key, in key order: a sorted batch finds its places in the memtable faster.
    pub(super) fn overlay(&mut self, prefix: &Prefix, overlay: &Overlay) {
        let writes = overlay.writes();
        self.sort(overlay);
        self.bytes.reserve(overlay.batch_bytes());
        let order = std::mem::take(&mut self.order);
        let mut stored_key = prefix.to_vec();
        for (position, place) in order.iter().enumerate() {
            let write = &writes[place.at as usize];
            let key = overlay.key(write);
            let next = order.get(position + 1);
            if next.is_some_and(|next| {
                next.head == place.head && overlay.key(&writes[next.at as usize]) == key
            }) {
                continue; // a later write of the same key
            }
            stored_key.truncate(PREFIX_BYTES);
            stored_key.extend_from_slice(key);
            self.hashes.push(hash(&stored_key));
            match write.value {
                Value::Absent => self.delete(prefix, key),
                value => {
                    let bytes = overlay.resolve(value).expect("present");
                    self.put(prefix, key, &value_header(write.revision), bytes);
                }
            }
        }
        self.order = order;
    }

    /// By key, then in log order.
    fn sort(&mut self, overlay: &Overlay) {
        let writes = overlay.writes();
        let key = |at: u32| overlay.key(&writes[at as usize]);
        let common = common_prefix(overlay);
        self.order.clear();
        self.order.extend((0..writes.len() as u32).map(|at| Place {
            head: head(&key(at)[common..]),
            at,
        }));
        self.order.sort_unstable_by(|a, b| {
            a.head
                .cmp(&b.head)
                .then_with(|| key(a.at).cmp(key(b.at)))
                .then(a.at.cmp(&b.at))
        });
    }

    /// The batch for RocksDB, which copies the bytes.
    pub(super) fn finish(&mut self) -> WriteBatch {
        self.bytes[8..HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        WriteBatch::from_data(&self.bytes)
    }
}

/// How many first bytes all keys share.
fn common_prefix(overlay: &Overlay) -> usize {
    let mut keys = overlay.writes().iter().map(|write| overlay.key(write));
    let Some(first) = keys.next() else {
        return 0;
    };
    keys.fold(first.len(), |common, key| {
        let pairs = first[..common].iter().zip(key);
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// The first eight bytes as a number that sorts like them.
fn head(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(chunk)
        }
    }
}

#[inline]
fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
