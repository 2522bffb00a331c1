//! What a burst has written so far, over what RocksDB holds.
//!
//! Writes are kept in log order and never changed: the last one of a key counts, and undoing a transaction is forgetting
//! the last few. A burst of blind puts costs one push each; the index of keys is built when a command first looks.

use std::collections::BTreeSet;
use std::ops::Bound;

use rustc_hash::FxHashMap;

/// No earlier write.
const NONE: u32 = u32::MAX;
/// What a write costs besides its key and value; for limits on memory, not exact.
const WRITE_BYTES: usize = 32;

/// What a write leaves behind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Absent,
    Bytes(&'a [u8]),
    /// The first `length` bytes of an overlay's buffer: the result of appends.
    Buffer {
        buffer: u32,
        length: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Write<'a> {
    pub(super) key: &'a [u8],
    pub(super) revision: u64,
    pub(super) value: Value<'a>,
    /// The write of the same key before this one. Known once the write is indexed.
    previous: u32,
}

#[derive(Default)]
pub(super) struct Overlay<'a> {
    writes: Vec<Write<'a>>,
    buffers: Vec<Vec<u8>>,
    /// The last write of each key among the first `indexed`.
    index: FxHashMap<&'a [u8], u32>,
    indexed: usize,
    /// The keys of the first `ordered` writes. An undo never reaches them: ranges are not part of transactions.
    keys: BTreeSet<&'a [u8]>,
    ordered: usize,
    bytes: usize,
}

/// A place to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    writes: usize,
    buffers: usize,
    bytes: usize,
}

impl<'a> Overlay<'a> {
    /// `writes`: an empty vector whose memory is used again.
    pub(super) fn new(writes: Vec<Write<'a>>) -> Overlay<'a> {
        Overlay {
            writes,
            ..Overlay::default()
        }
    }

    #[inline]
    pub(super) fn push(&mut self, key: &'a [u8], revision: u64, value: Value<'a>) {
        let length = match value {
            Value::Absent => 0,
            Value::Bytes(bytes) => bytes.len(),
            Value::Buffer { length, .. } => length as usize,
        };
        self.bytes += key.len() + length + WRITE_BYTES;
        self.writes.push(Write {
            key,
            revision,
            value,
            previous: NONE,
        });
    }

    /// The bytes that the writes will take in a WriteBatch, overwritten ones included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn writes(&self) -> &[Write<'a>] {
        &self.writes
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
            let previous = self.index.insert(self.writes[at].key, at as u32);
            self.writes[at].previous = previous.unwrap_or(NONE);
        }
        self.indexed = self.writes.len();
    }

    fn lookup(&self, key: &[u8]) -> Option<usize> {
        self.index.get(key).map(|&at| at as usize)
    }

    /// The bytes that a value stands for.
    pub(super) fn resolve<'s>(&'s self, value: Value<'a>) -> Option<&'s [u8]> {
        match value {
            Value::Absent => None,
            Value::Bytes(bytes) => Some(bytes),
            Value::Buffer { buffer, length } => {
                Some(&self.buffers[buffer as usize][..length as usize])
            }
        }
    }

    /// A value longer by `suffix` than that of the write at `at`, the last one of its key.
    ///
    /// A buffer grows in place: older writes see its first bytes only, and what stands behind those of the last write is
    /// left from one that was undone.
    pub(super) fn extend(&mut self, at: usize, suffix: &'a [u8]) -> Value<'a> {
        match self.writes[at].value {
            Value::Absent => Value::Bytes(suffix),
            Value::Bytes(bytes) => self.buffer(bytes, suffix),
            Value::Buffer { buffer, length } => {
                let bytes = &mut self.buffers[buffer as usize];
                bytes.truncate(length as usize);
                bytes.extend_from_slice(suffix);
                Value::Buffer {
                    buffer,
                    length: bytes.len() as u32,
                }
            }
        }
    }

    /// A value of two parts.
    pub(super) fn buffer(&mut self, head: &[u8], suffix: &[u8]) -> Value<'a> {
        let mut bytes = Vec::with_capacity(head.len() + suffix.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(suffix);
        let value = Value::Buffer {
            buffer: self.buffers.len() as u32,
            length: bytes.len() as u32,
        };
        self.buffers.push(bytes);
        value
    }

    /// The keys between the bounds that have a write, in order; and what the writes left.
    pub(super) fn keys_within<'s>(
        &'s mut self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> (
        impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 's>,
        Lookup<'s, 'a>,
    ) {
        self.index_all();
        for at in self.ordered..self.writes.len() {
            self.keys.insert(self.writes[at].key);
        }
        self.ordered = self.writes.len();
        let this: &'s Overlay<'a> = self;
        (this.keys.range::<[u8], _>(bounds).copied(), Lookup(this))
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            writes: self.writes.len(),
            buffers: self.buffers.len(),
            bytes: self.bytes,
        }
    }

    /// Forgets what was written since the mark.
    pub(super) fn undo(&mut self, mark: Mark) {
        while self.writes.len() > mark.writes {
            let write = self.writes.pop().expect("longer than the mark");
            if self.writes.len() < self.indexed {
                self.indexed = self.writes.len();
                match write.previous {
                    NONE => self.index.remove(write.key),
                    previous => self.index.insert(write.key, previous),
                };
            }
        }
        debug_assert!(self.ordered <= mark.writes, "a range within what is undone");
        self.buffers.truncate(mark.buffers);
        self.bytes = mark.bytes;
    }

    /// Gives the memory of the writes back.
    pub(super) fn into_writes(self) -> Vec<Write<'a>> {
        self.writes
    }
}

/// Looks into an overlay whose every write is indexed.
pub(super) struct Lookup<'s, 'a>(&'s Overlay<'a>);

impl Lookup<'_, '_> {
    /// Whether the last write of `key` left an entry. `key` has a write.
    pub(super) fn present(&self, key: &[u8]) -> bool {
        let at = self.0.lookup(key).expect("a key with a write");
        !matches!(self.0.writes[at].value, Value::Absent)
    }
}
