//! The file system behind a trait, so that tests can break it.
//!
//! In:   paths, offsets, bytes.
//! Out:  bytes and `io::Error`s, as the operating system gives them. Nothing is tried again here.
//! Not:  what the files mean (`wal`, `engine`), threads, clocks.
//! May import: nothing of this crate.
//!
//! `RealFileSystem` is the operating system's. `MemoryFileSystem` holds everything in memory, loses at a crash what was
//! not synced, and fails where a test tells it to. Start with the two traits below.

mod memory;
mod memory_state;
mod real;
mod shrinking;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use memory::{Fault, MemoryFileSystem};
pub(crate) use memory_state::Random;
pub use real::RealFileSystem;
pub(crate) use shrinking::{PIECE_BYTES, Shrinking};

/// How `FileSystem::open` opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file that must not exist yet, for reading and writing; only its owner may read it.
    Create,
    /// `Write` past the page cache (`O_DIRECT`): offsets, lengths and addresses are multiples of `DIRECT_ALIGN`. Fails
    /// with `InvalidInput` where the file system cannot.
    Direct,
}

/// What `Open::Direct` aligns to.
pub const DIRECT_ALIGN: usize = 4096;

/// An open file. Reads and writes name their offset, so one handle serves many threads.
pub trait File: Send + Sync {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;

    /// True if the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buffer.len()` bytes; 0 at the end of the file. May be short.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes `parts` one behind the other. Returns how many bytes were written: may be short, never 0 of some.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Makes the file so long. New bytes read as zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Reserves space for the first `bytes` bytes and makes the file that long, where the file system can; else does
    /// nothing. Fails with `StorageFull` if there is none.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Returns when every byte written before is durable (`fdatasync`). After an error nothing may be assumed of any
    /// byte since the last success, and a later success proves nothing: the kernel has forgotten what it lost.
    fn sync(&self) -> io::Result<()>;
}

/// Files and folders. A new, renamed or removed name is durable only after `sync_dir` of its folder.
pub trait FileSystem: Send + Sync {
    /// Creates a folder (0700) and those above it; one that exists already is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file, or creates it.
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, atomically, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name; open handles stay usable.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// Takes the lock file `path` and writes `text` into it, for people to read. The lock lasts until the result is
    /// dropped or the process ends, however it ends.
    ///
    /// Fails with `WouldBlock` while another holds it; `read_file` then tells what that one wrote.
    fn lock(&self, path: &Path, text: &str) -> io::Result<Box<dyn Lock>>;
}

/// A held lock; released on drop.
pub trait Lock: Send + Sync {}

/// Reads exactly `buffer.len()` bytes; `UnexpectedEof` if the file ends before.
pub fn read_exact_at(file: &dyn File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(offset, buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                offset += read as u64;
                buffer = &mut buffer[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `parts`, going on after short writes. The operating system takes 1024 parts at a time.
pub fn write_all_at(
    file: &dyn File,
    mut offset: u64,
    mut parts: &mut [IoSlice<'_>],
) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0); // drops empty parts at the front
    while !parts.is_empty() {
        match file.write_at(offset, &parts[..parts.len().min(PARTS_MAX)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// IOV_MAX of Linux and macOS.
const PARTS_MAX: usize = 1024;

/// The whole of a small file.
pub fn read_file(fs: &dyn FileSystem, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Open::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    read_exact_at(&*file, 0, &mut bytes)?;
    Ok(bytes)
}

/// Replaces the file at `path` by `bytes`: after a crash it holds the old bytes or the new ones, and the new ones if
/// this has returned. Uses `<path>.tmp` beside it.
pub fn write_file_durably(fs: &dyn FileSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = PathBuf::from(format!("{}.tmp", path.display()));
    match fs.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = fs.open(&temporary, Open::Create)?;
    write_all_at(&*file, 0, &mut [IoSlice::new(bytes)])?;
    file.sync()?;
    fs.rename(&temporary, path)?;
    fs.sync_dir(path.parent().expect("a file has a folder"))
}

/// True for the errors that mean "no space": they pass when space returns.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
