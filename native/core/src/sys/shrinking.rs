//! Files without a name, whose bytes go back to the file system a piece at a time.

use std::collections::VecDeque;
use std::io;

/// What is given back at a time, or zeroed (`wal/spares.rs`). To free 64 MiB at once takes ext4 20 ms, and writes to every file
/// wait meanwhile: those of the log, and of other replicas on the machine, which cut their logs at the same time.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// The oldest first, each with how long it still is. What is dropped here goes at once.
pub(crate) struct Shrinking<F> {
    files: VecDeque<(F, u64)>,
    set_len: fn(&F, u64) -> io::Result<()>,
}

impl<F> Shrinking<F> {
    pub fn new(set_len: fn(&F, u64) -> io::Result<()>) -> Shrinking<F> {
        Shrinking {
            files: VecDeque::new(),
            set_len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// `file` has lost its last name, and has so many bytes.
    pub fn push(&mut self, file: F, bytes: u64) {
        self.files.push_back((file, bytes));
    }

    /// All but the `count` newest go at once.
    pub fn keep_newest(&mut self, count: usize) {
        let old = self.files.len().saturating_sub(count);
        self.files.drain(..old);
    }

    /// A piece. False: nothing is left.
    pub fn give_back(&mut self) -> bool {
        let Some((file, bytes)) = self.files.front_mut() else {
            return false;
        };
        *bytes = bytes.saturating_sub(PIECE_BYTES);
        // What cannot be shortened goes when it is closed.
        if *bytes == 0 || (self.set_len)(file, *bytes).is_err() {
            self.files.pop_front();
        }
        true
    }
}
