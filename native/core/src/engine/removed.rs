//! Large files that were removed go back to the file system in pieces.
//!
//! RocksDB removes the files that a compaction has read, 64 MiB each, and a snapshot goes when there is a newer one. What that
//! costs at once is told in `sys/shrinking.rs`. So large files are held open here: whoever removes one removes its name, and the
//! bytes go as `Removed` shortens it.
//!
//! SAFETY: a file that is in use is shortened.
//! Claim:   only bytes that no name leads to any more are taken away.
//! Why:     a file without a name (no link) never gets one again. Who still reads it had it open before, and nobody here
//!          removes a name before the last reader is gone: RocksDB keeps a file as long as a version or an iterator has it, and
//!          a snapshot that is read is held (`snapshots/catalog.rs`). Another process that reads one just then finds it cut off.
//! Rests:   the log's own segments are not held here (`wal/spares.rs`).
//! Checked: below.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::core::Core;
use super::snapshots;
use crate::sys::{PIECE_BYTES, Shrinking};

/// How often to look for new files, and for removed ones.
const LOOK: Duration = Duration::from_millis(500);
/// Between two pieces.
const REST: Duration = Duration::from_millis(6);
/// Smaller files take no time to speak of.
const LARGE_BYTES: u64 = 8 * PIECE_BYTES;
/// Descriptors that this takes at most.
const HELD_MAX: usize = 256;
/// Files that wait to be shortened; more go at once.
const WAITING_MAX: usize = 32;

/// What wakes the thread when the engine stops.
#[derive(Default)]
pub(crate) struct Stopping {
    lock: Mutex<()>,
    wake: Condvar,
}

impl Stopping {
    pub fn interrupt(&self) {
        let _held = self.lock.lock();
        self.wake.notify_all();
    }
}

/// Body of the thread. Returns when the engine stops; what is left then goes at once.
pub(crate) fn run(core: &Core) {
    let mut removed = Removed::new(vec![core.dir.join("store"), snapshots::folder(&core.dir)]);
    while !core.stopped() {
        if removed.shrinking.is_empty() {
            removed.look();
        }
        let amid = removed.shrinking.give_back();
        if core.store_full.load(Ordering::Relaxed) {
            removed.shrinking.keep_newest(0);
        }
        let mut held = core.removed.lock.lock();
        if !core.stopped() {
            core.removed
                .wake
                .wait_for(&mut held, if amid { REST } else { LOOK });
        }
    }
}

struct Removed {
    folders: Vec<PathBuf>,
    held: HashMap<PathBuf, File>,
    shrinking: Shrinking<File>,
}

impl Removed {
    fn new(folders: Vec<PathBuf>) -> Removed {
        Removed {
            folders,
            held: HashMap::new(),
            shrinking: Shrinking::new(File::set_len),
        }
    }

    /// Takes hold of files that are new, and finds those that have no name any more. What cannot be looked at is left alone.
    fn look(&mut self) {
        let gone: Vec<_> = self
            .held
            .extract_if(|_, file| file.metadata().is_ok_and(|of| of.nlink() == 0))
            .collect();
        for (_, file) in gone {
            let bytes = file.metadata().map_or(0, |of| of.len());
            self.shrinking.push(file, bytes);
        }
        self.shrinking.keep_newest(WAITING_MAX);
        for folder in self.folders.clone() {
            self.hold(&folder);
        }
    }

    fn hold(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let large = entry
                .metadata()
                .is_ok_and(|of| of.is_file() && of.len() >= LARGE_BYTES);
            if !large || self.held.len() >= HELD_MAX || self.held.contains_key(&path) {
                continue;
            }
            let file = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path);
            if let Ok(file) = file {
                self.held.insert(path, file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: u64) {
        File::create(path).unwrap().set_len(bytes).unwrap();
    }

    #[test]
    fn a_large_file_goes_in_pieces_once_its_last_name_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let [large, small, link] = ["000001.sst", "000002.sst", "link"].map(|n| dir.path().join(n));
        write(&large, LARGE_BYTES);
        write(&small, LARGE_BYTES - 1);
        let mut removed = Removed::new(vec![dir.path().into(), dir.path().join("missing")]);
        removed.look();
        assert_eq!(removed.held.keys().collect::<Vec<_>>(), [&large]);
        let witness = File::open(&large).unwrap();
        let bytes = || witness.metadata().unwrap().len();

        fs::hard_link(&large, &link).unwrap();
        fs::remove_file(&large).unwrap();
        fs::rename(&link, dir.path().join("x").with_extension("tiny")).unwrap();
        removed.look();
        assert!(!removed.shrinking.give_back());
        assert_eq!(bytes(), LARGE_BYTES, "it has another name");

        fs::remove_file(dir.path().join("x.tiny")).unwrap();
        removed.look();
        assert!(removed.shrinking.give_back());
        assert_eq!(bytes(), LARGE_BYTES - PIECE_BYTES);
        while removed.shrinking.give_back() {}
        assert!(bytes() <= PIECE_BYTES && !dir.path().join("x.tiny").exists());
        removed.look();
        assert!(removed.held.is_empty() && removed.shrinking.is_empty());
    }
}
