//! Prepares the next segment before it is needed, and recycles those that nobody needs.
//!
//! A file is written with zeros and synced before frames go into it, so that a frame's sync has no metadata to commit,
//! and no append can meet a full disk. A recycled file keeps its old bytes: they never validate, since frames carry the
//! segment's number and the salt of the opening.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::WalError;
use super::shared::{Shared, spare_path, temporary_path};
use super::state::{Segment, Spare};
use crate::sys::{self, File, Open, PIECE_BYTES, Shrinking};

/// Numbers the prepared files.
pub struct Spares {
    /// Of the last one; never used twice in a life, so that a removed name cannot meet a new one.
    number: u64,
    shrinking: Shrinking<Arc<dyn File>>,
    preparing: Option<Preparing>,
}

/// While one waits for the next rotation, a segment that nobody needs any more is kept as another: a log that grows and is cut
/// at the same pace then goes round among the same files, and zeroes and removes none.
pub const SPARES_KEPT: usize = 2;

/// What becomes a spare. Its name is the last that was given.
struct Preparing {
    path: PathBuf,
    file: Arc<dyn File>,
    /// That were written and synced.
    zeros: u64,
}

impl Spares {
    /// Files are numbered from `number + 1` on.
    pub fn after(number: u64) -> Spares {
        Spares {
            number,
            shrinking: Shrinking::new(|file, bytes| file.set_len(bytes)),
            preparing: None,
        }
    }

    /// Is a file prepared or given back piece by piece? Then the disk is to have a rest between them.
    pub fn is_amid(&self) -> bool {
        self.preparing.is_some() || !self.shrinking.is_empty()
    }

    /// Recycles or removes one old segment; or prepares a piece of a spare if there is none; or gives a piece of a removed file back.
    /// False: nothing to do, or no space.
    pub fn turn(&mut self, shared: &Shared) -> Result<bool, WalError> {
        let (retired, spares) = {
            let mut state = shared.state.lock();
            if state.failure.is_some() {
                return Ok(false);
            }
            (state.retired.pop_front(), state.spares.len())
        };
        match retired {
            Some(segment) => self
                .recycle(shared, segment, spares < SPARES_KEPT)
                .map(|()| true),
            None if spares == 0 => self.prepare(shared),
            None => Ok(self.shrinking.give_back()),
        }
    }

    fn recycle(
        &mut self,
        shared: &Shared,
        segment: Arc<Segment>,
        wanted: bool,
    ) -> Result<(), WalError> {
        let whole = segment.bytes.load(Ordering::Relaxed) == shared.options.segment_bytes;
        // A reader that still holds the file must not see it change. No new one can come: the log has forgotten it.
        let free = Arc::strong_count(&segment) == 1;
        if !(wanted && whole && free) {
            shared
                .fs
                .remove(&segment.path)
                .map_err(WalError::io("remove", &segment.path))?;
            let bytes = segment.bytes.load(Ordering::Relaxed);
            if free && bytes > PIECE_BYTES {
                self.shrinking.push(segment.file.clone(), bytes);
            }
            return Ok(());
        }
        self.number += 1;
        let path = spare_path(&shared.dir, self.number);
        shared
            .fs
            .rename(&segment.path, &path)
            .map_err(WalError::io("rename", &segment.path))?;
        // Before its bytes change: or a crash could leave them under the old name as well as under a new one.
        shared
            .fs
            .sync_dir(&shared.dir)
            .map_err(WalError::io("sync", &shared.dir))?;
        self.offer(
            shared,
            Spare {
                path,
                file: segment.file.clone(),
            },
        );
        Ok(())
    }

    /// A piece of it. False if there is no space: `disk_full` says so until it succeeds.
    fn prepare(&mut self, shared: &Shared) -> Result<bool, WalError> {
        let bytes = shared.options.segment_bytes;
        let prepared = match self.preparing.take() {
            None => self.begin(shared, bytes),
            Some(preparing) => preparing.go_on(shared, bytes),
        };
        match prepared {
            Ok(preparing) if preparing.zeros < bytes => self.preparing = Some(preparing),
            Ok(preparing) => self.finish(shared, preparing)?,
            Err(error) if error.is_full() => {
                remove_if_there(shared, &temporary_path(&shared.dir, self.number))?;
                return Ok(self.meet_full_disk(shared));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn begin(&mut self, shared: &Shared, bytes: u64) -> Result<Preparing, WalError> {
        self.number += 1;
        let path = temporary_path(&shared.dir, self.number);
        let file = shared
            .fs
            .open(&path, Open::Create)
            .map_err(WalError::io("create", &path))?;
        file.allocate(bytes)
            .map_err(WalError::io("allocate", &path))?;
        Preparing {
            path,
            file,
            zeros: 0,
        }
        .go_on(shared, bytes)
    }

    fn finish(&mut self, shared: &Shared, preparing: Preparing) -> Result<(), WalError> {
        let Preparing {
            path: temporary,
            file,
            ..
        } = preparing;
        let path = spare_path(&shared.dir, self.number);
        shared
            .fs
            .rename(&temporary, &path)
            .map_err(WalError::io("rename", &temporary))?;
        shared
            .fs
            .sync_dir(&shared.dir)
            .map_err(WalError::io("sync", &shared.dir))?;
        self.offer(shared, Spare { path, file });
        Ok(())
    }

    /// True: there may be space now.
    fn meet_full_disk(&mut self, shared: &Shared) -> bool {
        if !self.shrinking.is_empty() {
            self.shrinking.keep_newest(0);
            return true;
        }
        let news = !std::mem::replace(&mut shared.state.lock().disk_full, true);
        if news {
            (shared.notify)();
        }
        false
    }

    /// The log ends: nobody needs what is not ready.
    pub fn abandon(&mut self, shared: &Shared) -> Result<(), WalError> {
        match self.preparing.take() {
            Some(preparing) => remove_if_there(shared, &preparing.path),
            None => Ok(()),
        }
    }

    fn offer(&self, shared: &Shared, spare: Spare) {
        let news = {
            let mut state = shared.state.lock();
            state.spare_wanted = false;
            state.spares.push(spare);
            shared.wake_writer.notify_all();
            std::mem::replace(&mut state.disk_full, false)
        };
        if news {
            (shared.notify)();
        }
    }
}

fn remove_if_there(shared: &Shared, path: &Path) -> Result<(), WalError> {
    match shared.fs.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(WalError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

impl Preparing {
    /// One piece more.
    fn go_on(mut self, shared: &Shared, bytes: u64) -> Result<Preparing, WalError> {
        debug_assert!(self.zeros < bytes && bytes <= shared.options.segment_bytes);
        let zeros = vec![0; PIECE_BYTES.min(bytes - self.zeros) as usize];
        let mut parts = [IoSlice::new(&zeros)];
        sys::write_all_at(&*self.file, self.zeros, &mut parts)
            .map_err(WalError::io("write", &self.path))?;
        self.file.sync().map_err(WalError::io("sync", &self.path))?;
        self.zeros += zeros.len() as u64;
        Ok(self)
    }
}
