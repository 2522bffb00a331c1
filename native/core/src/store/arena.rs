//! Bytes that a burst makes and keeps until it is written: keys of ranges, texts of numbers.

use std::cell::RefCell;

const CHUNK_BYTES: usize = 64 * 1024;

/// Grows only, and frees everything at once. Bytes handed out never move.
#[derive(Default)]
pub(super) struct Arena {
    chunks: RefCell<Vec<Vec<u8>>>,
}

impl Arena {
    /// A copy of `bytes` that lives as long as the arena.
    pub(super) fn copy(&self, bytes: &[u8]) -> &[u8] {
        let mut chunks = self.chunks.borrow_mut();
        let fits = chunks
            .last()
            .is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes.len());
        if !fits {
            chunks.push(Vec::with_capacity(CHUNK_BYTES.max(bytes.len())));
        }
        let chunk = chunks.last_mut().expect("a chunk was just made");
        let start = chunk.len();
        chunk.extend_from_slice(bytes);
        let copy: *const [u8] = &chunk[start..];
        // SAFETY: the slice lives as long as `&self`, and nothing writes to it.
        // Claim:   `copy` stays valid and unchanged until the arena is dropped, which the borrow of `self` prevents.
        // Why:     a chunk is never extended beyond its capacity (`fits`), so its buffer never moves; the `Vec` itself
        //          may move inside `chunks`, its buffer does not. Later writes go behind the bytes handed out.
        // Rests:   chunks are neither removed nor shortened; `Arena` is not Sync, so no other thread appends.
        // Checked: `store_burst.rs`, ranges over many chunks.
        unsafe { &*copy }
    }
}
