//! A RocksDB WriteBatch, built as bytes: one copy for each write, and no foreign call.
//!
//! ```text
//! 0          8       12
//! | sequence | count | records …
//! put:    | 1 | varint key length | key | varint value length | value |
//! delete: | 0 | varint key length | key |
//! ```
//! Source: RocksDB `db/write_batch.cc`; the layout is what its own write-ahead log stores, hence stable.

use rocksdb::WriteBatch;

use super::keys::{Prefix, value_header};
use super::overlay::{Overlay, Value, Write};

const HEADER_BYTES: usize = 12;
const TAG_DELETE: u8 = 0;
const TAG_PUT: u8 = 1;
/// More than this is not kept for the next burst.
const KEEP_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Representation {
    bytes: Vec<u8>,
    count: u32,
    order: Vec<Place>,
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
    }

    /// Writes so far; each takes one of RocksDB's sequence numbers.
    pub(super) fn count(&self) -> u32 {
        self.count
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

    #[inline]
    fn record(&mut self, tag: u8, prefix: &Prefix, key: &[u8]) {
        self.count += 1;
        self.bytes.push(tag);
        varint(&mut self.bytes, prefix.len() + key.len());
        self.bytes.extend_from_slice(prefix);
        self.bytes.extend_from_slice(key);
    }

    /// The last write of each key, in key order: a sorted batch finds its places in the memtable faster.
    pub(super) fn overlay(&mut self, prefix: &Prefix, overlay: &Overlay<'_>) {
        let writes = overlay.writes();
        self.sort(writes);
        self.bytes.reserve(overlay.bytes());
        let order = std::mem::take(&mut self.order);
        for (position, place) in order.iter().enumerate() {
            let write = &writes[place.at as usize];
            let next = order.get(position + 1);
            if next.is_some_and(|next| {
                next.head == place.head && writes[next.at as usize].key == write.key
            }) {
                continue; // a later write of the same key
            }
            match write.value {
                Value::Absent => self.delete(prefix, write.key),
                value => {
                    let bytes = overlay.resolve(value).expect("present");
                    self.put(prefix, write.key, &value_header(write.revision), bytes);
                }
            }
        }
        self.order = order;
    }

    /// By key, then in log order.
    fn sort(&mut self, writes: &[Write<'_>]) {
        let common = common_prefix(writes);
        self.order.clear();
        self.order
            .extend(writes.iter().enumerate().map(|(at, write)| Place {
                head: head(&write.key[common..]),
                at: at as u32,
            }));
        self.order.sort_unstable_by(|a, b| {
            a.head
                .cmp(&b.head)
                .then_with(|| writes[a.at as usize].key.cmp(writes[b.at as usize].key))
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
fn common_prefix(writes: &[Write<'_>]) -> usize {
    let Some(first) = writes.first() else {
        return 0;
    };
    let mut common = first.key.len();
    for write in writes {
        let same = first.key[..common]
            .iter()
            .zip(write.key)
            .take_while(|(a, b)| a == b)
            .count();
        common = common.min(same);
    }
    common
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
