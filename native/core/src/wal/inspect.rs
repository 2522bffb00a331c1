//! What a closed log holds, told without changing it.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::WalError;
use super::damage::Note;
use super::recovery::recover;
use super::shared::segment_numbers;
use super::types::GroupState;
use crate::sys::{File, FileSystem, Lock, Open};

/// A log as opening it would find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    pub segments: usize,
    /// Of the segments.
    pub bytes: u64,
    pub groups: Vec<GroupState>,
}

/// Reads every retained byte, as opening does, and concludes the same. Errors: `Damaged`, `Version`, `Io`.
pub fn inspect_log(fs: &dyn FileSystem, dir: &Path) -> Result<LogFacts, WalError> {
    let names = fs.list(dir).map_err(WalError::io("list", dir))?;
    let numbers = segment_numbers(&names);
    let note = Note::read(fs, dir)?;
    let found = recover(&ReadOnly(fs), dir, &numbers, note.as_ref())?;
    let state = found.state;
    let sizes = state.segments.values();
    let sizes = sizes.map(|entry| {
        entry
            .segment
            .bytes
            .load(std::sync::atomic::Ordering::Relaxed)
    });
    Ok(LogFacts {
        segments: state.segments.len(),
        bytes: sizes.sum(),
        groups: state
            .groups
            .iter()
            .map(|(number, group)| group.state(*number))
            .collect(),
    })
}

/// Recovery writes one thing, the last frame, as it stands: here that is taken for done. Everything else is refused.
struct ReadOnly<'a>(&'a dyn FileSystem);

struct ReadOnlyFile(Arc<dyn File>);

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl FileSystem for ReadOnly<'_> {
    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        match mode {
            Open::Read | Open::Write => Ok(Arc::new(ReadOnlyFile(self.0.open(path, Open::Read)?))),
            Open::Create | Open::Direct => refused(),
        }
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &Path, _text: &str) -> io::Result<Box<dyn Lock>> {
        refused()
    }
}

impl File for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut there = Vec::new();
        let mut at = offset;
        for part in parts {
            there.resize(part.len(), 0);
            crate::sys::read_exact_at(&*self.0, at, &mut there)?;
            if there != **part {
                return refused(); // not what stands there already
            }
            at += part.len() as u64;
        }
        Ok((at - offset) as usize)
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        refused()
    }

    fn allocate(&self, _bytes: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
