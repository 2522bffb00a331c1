//! What a burst has written so far, over what RocksDB holds.
//!
//! Writes are kept in log order and never changed: the last one of a key counts, and undoing is forgetting the last few. A
//! burst of blind puts costs one push each; the index of keys is built when a command first looks.
//!
//! Keys and values are copied, since the burst outlives the call that brings them and the log's memory that they lie in.
//! Borrowing would spare some 20 ns a command, and would keep whole chunks of the log alive for the few bytes that count.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// No earlier write.
const NONE: u32 = u32::MAX;
/// What a write costs besides its key and value; for limits on memory, not exact.
const WRITE_BYTES: usize = 32;
/// More than this is not kept for the next burst.
const KEEP_BYTES: usize = 16 * 1024 * 1024;
const KEEP_WRITES: usize = 256 * 1024;

/// A range of the overlay's bytes. A burst is bounded far below 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// What a write leaves behind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Absent,
    Bytes(Span),
    /// The first `length` bytes of an overlay's buffer: the result of appends.
    Buffer {
        buffer: u32,
        length: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    key: Span,
    pub(super) revision: u64,
    pub(super) value: Value,
    /// The write before this one whose key has the same hash. Known once the write is indexed.
    previous: u32,
}

#[derive(Default)]
pub(super) struct Overlay {
    writes: Vec<Write>,
    /// Keys and values.
    bytes: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    /// By the hash of a key, the last such write among the first `indexed`.
    index: FxHashMap<u64, u32>,
    indexed: usize,
    /// The keys of the first `ordered` writes, which are indexed.
    keys: BTreeSet<Box<[u8]>>,
    ordered: usize,
    batch_bytes: usize,
}

/// A place to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    writes: usize,
    bytes: usize,
    buffers: usize,
    batch_bytes: usize,
}

impl Overlay {
    #[inline]
    pub(super) fn put(&mut self, key: &[u8], revision: u64, value: &[u8]) {
        let value = self.keep(value);
        self.push(key, revision, Value::Bytes(value));
    }

    #[inline]
    pub(super) fn delete(&mut self, key: &[u8], revision: u64) {
        self.push(key, revision, Value::Absent);
    }

    /// Puts `head` and `suffix` as one value.
    pub(super) fn put_joined(&mut self, key: &[u8], revision: u64, head: &[u8], suffix: &[u8]) {
        let value = self.buffer([head, suffix].concat());
        self.push(key, revision, value);
    }

    /// Puts the value of the write at `at`, the last one of `key`, with `suffix` behind it.
    ///
    /// A buffer grows in place: older writes see its first bytes only, and what stands behind those of the last write is
    /// left from one that was undone.
    pub(super) fn put_extended(&mut self, key: &[u8], revision: u64, at: usize, suffix: &[u8]) {
        let value = match self.writes[at].value {
            Value::Absent => Value::Bytes(self.keep(suffix)),
            Value::Bytes(span) => {
                let joined = [self.span(span), suffix].concat();
                self.buffer(joined)
            }
            Value::Buffer { buffer, length } => {
                let bytes = &mut self.buffers[buffer as usize];
                bytes.truncate(length as usize);
                bytes.extend_from_slice(suffix);
                Value::Buffer {
                    buffer,
                    length: bytes.len() as u32,
                }
            }
        };
        self.push(key, revision, value);
    }

    fn buffer(&mut self, bytes: Vec<u8>) -> Value {
        let value = Value::Buffer {
            buffer: self.buffers.len() as u32,
            length: bytes.len() as u32,
        };
        self.buffers.push(bytes);
        value
    }

    #[inline]
    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = u32::try_from(self.bytes.len()).expect("a burst is bounded");
        Span { start, end }
    }

    #[inline]
    fn push(&mut self, key: &[u8], revision: u64, value: Value) {
        let length = match value {
            Value::Absent => 0,
            Value::Bytes(span) => (span.end - span.start) as usize,
            Value::Buffer { length, .. } => length as usize,
        };
        self.batch_bytes += key.len() + length + WRITE_BYTES;
        let key = self.keep(key);
        self.writes.push(Write {
            key,
            revision,
            value,
            previous: NONE,
        });
    }

    /// The bytes that the writes will take in a WriteBatch, overwritten ones included.
    pub(super) fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    pub(super) fn writes(&self) -> &[Write] {
        &self.writes
    }

    #[inline]
    fn span(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    #[inline]
    pub(super) fn key(&self, write: &Write) -> &[u8] {
        self.span(write.key)
    }

    /// The bytes that a value stands for.
    pub(super) fn resolve(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Absent => None,
            Value::Bytes(span) => Some(self.span(span)),
            Value::Buffer { buffer, length } => {
                Some(&self.buffers[buffer as usize][..length as usize])
            }
        }
    }

    /// The position of the last write of `key`.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<usize> {
        if self.writes.is_empty() {
            return None;
        }
        self.index_all();
        self.lookup(key)
    }

    fn index_all(&mut self) {
        for at in self.indexed..self.writes.len() {
            let hash = hash(self.key(&self.writes[at]));
            let previous = self.index.insert(hash, at as u32);
            self.writes[at].previous = previous.unwrap_or(NONE);
        }
        self.indexed = self.writes.len();
    }

    fn lookup(&self, key: &[u8]) -> Option<usize> {
        let mut at = *self.index.get(&hash(key))?;
        while at != NONE {
            let write = &self.writes[at as usize];
            if self.key(write) == key {
                return Some(at as usize);
            }
            at = write.previous;
        }
        None
    }

    /// The keys between the bounds that have a write, in order; and what the writes left.
    pub(super) fn keys_within(
        &mut self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> (impl DoubleEndedIterator<Item = &[u8]>, Lookup<'_>) {
        self.index_all();
        for at in self.ordered..self.writes.len() {
            let key = self.key(&self.writes[at]).into();
            self.keys.insert(key);
        }
        self.ordered = self.writes.len();
        let this: &Overlay = self;
        let keys = this.keys.range::<[u8], _>(bounds);
        (keys.map(|key| &key[..]), Lookup(this))
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            writes: self.writes.len(),
            bytes: self.bytes.len(),
            buffers: self.buffers.len(),
            batch_bytes: self.batch_bytes,
        }
    }

    /// Forgets what was written since the mark.
    pub(super) fn undo(&mut self, mark: Mark) {
        while self.writes.len() > mark.writes {
            let write = self.writes.pop().expect("longer than the mark");
            if self.writes.len() < self.indexed {
                self.unindex(&write);
            }
        }
        self.indexed = self.indexed.min(mark.writes);
        self.ordered = self.ordered.min(mark.writes);
        self.bytes.truncate(mark.bytes);
        self.buffers.truncate(mark.buffers);
        self.batch_bytes = mark.batch_bytes;
    }

    /// `write`: the last one of those that are indexed, and no longer among the writes.
    fn unindex(&mut self, write: &Write) {
        let hash = hash(self.key(write));
        match write.previous {
            NONE => self.index.remove(&hash),
            previous => self.index.insert(hash, previous),
        };
        if self.writes.len() < self.ordered && self.lookup(self.key(write)).is_none() {
            let span = write.key.start as usize..write.key.end as usize;
            self.keys.remove(&self.bytes[span]);
        }
    }

    /// Forgets everything and keeps the memory, within bounds.
    pub(super) fn clear(&mut self) {
        self.writes.clear();
        self.writes.shrink_to(KEEP_WRITES);
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.buffers.clear();
        self.index.clear();
        self.index.shrink_to(KEEP_WRITES);
        self.keys.clear();
        (self.indexed, self.ordered, self.batch_bytes) = (0, 0, 0);
    }
}

fn hash(key: &[u8]) -> u64 {
    FxBuildHasher.hash_one(key)
}

/// Looks into an overlay whose every write is indexed.
pub(super) struct Lookup<'o>(&'o Overlay);

impl Lookup<'_> {
    /// Whether the last write of `key` left an entry. `key` has a write.
    pub(super) fn present(&self, key: &[u8]) -> bool {
        let at = self.0.lookup(key).expect("a key with a write");
        !matches!(self.0.writes[at].value, Value::Absent)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::Overlay;

    /// What an overlay says of its keys, one by one and in order.
    fn told(overlay: &mut Overlay) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let (keys, _) = overlay.keys_within((Bound::Unbounded, Bound::Unbounded));
        let keys: Vec<Vec<u8>> = keys.map(<[u8]>::to_vec).collect();
        keys.into_iter()
            .map(|key| {
                let at = overlay.find(&key).expect("a write");
                let value = overlay.resolve(overlay.writes()[at].value);
                let value = value.map(<[u8]>::to_vec);
                (key, value)
            })
            .collect()
    }

    #[test]
    fn an_undo_leaves_what_was_there_before_indexed_and_ordered_or_not() {
        for (look_before, look_after) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut overlay = Overlay::default();
            overlay.put(b"a", 1, b"1");
            overlay.put_joined(b"b", 2, b"2", b"2");
            overlay.delete(b"c", 3);
            let before = look_before.then(|| told(&mut overlay));
            let (mark, bytes) = (overlay.mark(), overlay.batch_bytes());
            overlay.delete(b"a", 4);
            overlay.put(b"c", 5, b"5");
            overlay.put(b"d", 6, b"6");
            let at = overlay.find(b"b").expect("written");
            overlay.put_extended(b"b", 7, at, b"7");
            if look_after {
                assert_eq!(told(&mut overlay).len(), 4);
            }
            overlay.undo(mark);
            let expected = [
                (b"a".to_vec(), Some(b"1".to_vec())),
                (b"b".to_vec(), Some(b"22".to_vec())),
                (b"c".to_vec(), None),
            ];
            assert_eq!(told(&mut overlay), expected);
            assert_eq!(before.unwrap_or(expected.to_vec()), expected);
            assert_eq!((overlay.find(b"d"), overlay.batch_bytes()), (None, bytes));
            let at = overlay.find(b"b").expect("written");
            overlay.put_extended(b"b", 8, at, b"8");
            assert_eq!(told(&mut overlay)[1].1, Some(b"228".to_vec()));
        }
    }
}
