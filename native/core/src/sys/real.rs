//! The operating system's file system (Linux; other Unixes without `O_DIRECT` and `fallocate`).

use std::fs;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{File, FileSystem, Lock, Open};

/// Files are 0600 and never followed through a symbolic link; folders are 0700.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFileSystem;

impl FileSystem for RealFileSystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // A name that is not UTF-8 is none of ours.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).mode(0o600);
        let mut flags = libc::O_NOFOLLOW;
        match mode {
            Open::Read => {}
            Open::Write => {
                options.write(true);
            }
            Open::Create => {
                options.write(true).create_new(true);
            }
            Open::Direct => {
                options.write(true);
                flags |= direct_flag()?;
            }
        }
        Ok(Arc::new(RealFile(options.custom_flags(flags).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path, text: &str) -> io::Result<Box<dyn Lock>> {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        // SAFETY: a system call on a descriptor that `file` owns and keeps open; it touches no memory of ours.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(io::Error::last_os_error());
        }
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        Ok(Box::new(RealLock(file)))
    }
}

/// The lock belongs to the open file: the end of the process releases it, or dropping this.
struct RealLock(fs::File);

impl Lock for RealLock {}

impl Drop for RealLock {
    /// Closing is not enough: a child that another thread has forked holds the same open file until it has reached exec.
    fn drop(&mut self) {
        // SAFETY: the descriptor is open as long as `self.0`; flock touches no memory of ours.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

struct RealFile(fs::File);

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [only] = parts {
            return self.0.write_at(only, offset);
        }
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let count = i32::try_from(parts.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: `IoSlice` has the layout of `iovec` (std guarantees it), `parts` outlives the call, and the kernel
        // only reads `count` of them and the bytes that they borrow.
        let written = unsafe {
            libc::pwritev(
                self.0.as_raw_fd(),
                parts.as_ptr().cast::<libc::iovec>(),
                count,
                offset,
            )
        };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        allocate(&self.0, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(target_os = "linux")]
fn direct_flag() -> io::Result<i32> {
    Ok(libc::O_DIRECT)
}

#[cfg(not(target_os = "linux"))]
fn direct_flag() -> io::Result<i32> {
    Err(io::ErrorKind::InvalidInput.into())
}

#[cfg(target_os = "linux")]
fn allocate(file: &fs::File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: a system call on a descriptor that `file` owns and keeps open; it touches no memory of ours.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Ok(()), // zeros will be written anyway
        _ => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_file: &fs::File, _bytes: u64) -> io::Result<()> {
    Ok(())
}
