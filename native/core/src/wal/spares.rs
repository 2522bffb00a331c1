//! Prepares the next segment before it is needed, and recycles those that nobody needs.
//!
//! A file is written with zeros and synced before frames go into it, so that a frame's sync has no metadata to commit,
//! and no append can meet a full disk. A recycled file keeps its old bytes: they never validate, since frames carry the
//! segment's number and the salt of the opening.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::WalError;
use super::shared::{Shared, spare_path, temporary_path};
use super::state::{Segment, Spare};
use crate::sys::{self, File, Open};

/// Numbers the prepared files.
#[derive(Default)]
pub struct Spares {
    /// Of the last one; never used twice in a life, so that a removed name cannot meet a new one.
    pub number: u64,
}

/// While one waits for the next rotation, a segment that nobody needs any more is kept as another: a log that grows and is cut
/// at the same pace then goes round among the same files, and zeroes and removes none.
pub const SPARES_KEPT: usize = 2;

/// Zeros are written so many at a time, and synced every eighth time, so that the log's own syncs do not wait for them.
const ZEROS_BYTES: usize = 1 << 20;

impl Spares {
    /// Recycles or removes one old segment; or prepares a spare if there is none. False: nothing to do, or no space.
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
            None => Ok(false),
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
            return shared
                .fs
                .remove(&segment.path)
                .map_err(WalError::io("remove", &segment.path));
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

    /// False if there is no space: `disk_full` says so until it succeeds.
    fn prepare(&mut self, shared: &Shared) -> Result<bool, WalError> {
        self.number += 1;
        let temporary = temporary_path(&shared.dir, self.number);
        let path = spare_path(&shared.dir, self.number);
        let prepared = create_zeros(shared, &temporary, shared.options.segment_bytes);
        let file = match prepared {
            Ok(Some(file)) => file,
            Ok(None) => {
                remove_if_there(shared, &temporary)?;
                return Ok(false);
            }
            Err(error) if error.is_full() => {
                remove_if_there(shared, &temporary)?;
                let news = !std::mem::replace(&mut shared.state.lock().disk_full, true);
                if news {
                    (shared.notify)();
                }
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        shared
            .fs
            .rename(&temporary, &path)
            .map_err(WalError::io("rename", &temporary))?;
        shared
            .fs
            .sync_dir(&shared.dir)
            .map_err(WalError::io("sync", &shared.dir))?;
        self.offer(shared, Spare { path, file });
        Ok(true)
    }

    fn offer(&self, shared: &Shared, spare: Spare) {
        let news = {
            let mut state = shared.state.lock();
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

/// `None`: the log ends, nobody needs the file any more.
fn create_zeros(
    shared: &Shared,
    path: &Path,
    bytes: u64,
) -> Result<Option<Arc<dyn File>>, WalError> {
    let file = shared
        .fs
        .open(path, Open::Create)
        .map_err(WalError::io("create", path))?;
    file.allocate(bytes)
        .map_err(WalError::io("allocate", path))?;
    let zeros = vec![0; ZEROS_BYTES.min(bytes as usize)];
    let mut offset = 0;
    while offset < bytes {
        if shared.state.lock().writer_ended {
            return Ok(None);
        }
        let count = (bytes - offset).min(zeros.len() as u64);
        let mut parts = [IoSlice::new(&zeros[..count as usize])];
        sys::write_all_at(&*file, offset, &mut parts).map_err(WalError::io("write", path))?;
        offset += count;
        if offset.is_multiple_of(8 * ZEROS_BYTES as u64) || offset == bytes {
            file.sync().map_err(WalError::io("sync", path))?;
        }
    }
    Ok(Some(file))
}
