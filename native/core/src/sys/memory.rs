//! A file system in memory that behaves as badly as a disk may, and no worse.
//!
//! Survivable faults, hence injected:
//! - at a crash any subset of the 512-byte sectors written since the file's last `sync` is there, each as it was at
//!   some moment since then; sectors are never mixed, and synced ones never touched;
//! - a length changed since the last `sync` may be any that the file had since then;
//! - of the names created, renamed or removed since the folder's last `sync_dir`, any subset of the changes is there;
//! - an operation fails, a write is short, the disk is full;
//! - after a failed `sync` the bytes that it should have saved read back well, and may be gone after a crash whatever
//!   succeeds later (as Linux does it: the pages are marked clean).
//!
//! What is durable stays as it is, unless a test rots it (`rot`): that is damage, and has to be found.
//!
//! Folders are durable at once: their loss is the loss of everything, which nobody survives.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::memory_state::{Disk, NameChange};
use super::{File, FileSystem, Lock, Open};

/// What happens at a chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device fails (`EIO`). A write may have written its first half; a sync has lost some of what it should save.
    Error,
    /// No space (`ENOSPC`), whatever the operation.
    Full,
    /// A write writes its first half only, and says so. Other operations go well.
    Short,
    /// The power goes: this operation may or may not have happened, and every later one fails. Then call `crash`.
    PowerLoss,
}

/// A disk in memory; clones share it.
#[derive(Clone, Default)]
pub struct MemoryFileSystem {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryFileSystem {
    /// An empty disk that never fails and never is full.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations were asked for so far, reads included.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// Lets operation number `operation` meet `fault`; the first of all is number 1.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk.lock().faults.insert(operation, fault);
    }

    /// Limits the sum of the lengths of all files. `None`: unlimited.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity = bytes;
    }

    /// Sum of the lengths of all files.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }

    /// The files on the disk, by path.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk.lock().names.keys().cloned().collect()
    }

    /// Whether somebody holds a lock file on it.
    pub fn is_locked(&self) -> bool {
        !self.disk.lock().locked.is_empty()
    }

    /// The medium rots: the bits of `mask` change in one byte, as reads see it and as a crash leaves it. No operation.
    ///
    /// Panics if the file has no such durable byte.
    pub fn rot(&self, path: &Path, offset: u64, mask: u8) {
        let mut disk = self.disk.lock();
        let inode = disk.names[path];
        disk.inodes[inode].rot(offset as usize, mask);
    }

    /// What a machine finds when it starts after a crash now: everything synced, and of the rest what `seed` says.
    /// This disk stays as it is.
    pub fn crash(&self, seed: u64) -> Self {
        Self {
            disk: Arc::new(Mutex::new(self.disk.lock().crashed(seed))),
        }
    }

    /// A copy of what reads see now, all of it durable: the disk after a clean stop, or after the end of the process
    /// alone.
    pub fn copy(&self) -> Self {
        Self {
            disk: Arc::new(Mutex::new(self.disk.lock().settled())),
        }
    }
}

impl FileSystem for MemoryFileSystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        disk.folders.extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        if !disk.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = disk
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk.lock();
        let lost = disk.begin_change()?;
        let inode = match (mode, disk.names.get(path)) {
            (Open::Direct, _) => return Err(io::ErrorKind::InvalidInput.into()),
            (Open::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Open::Create, None) => {
                if !path
                    .parent()
                    .is_some_and(|folder| disk.folders.contains(folder))
                {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = disk.new_inode();
                disk.change_name(NameChange::Create {
                    path: path.to_path_buf(),
                    inode,
                });
                inode
            }
            (_, Some(inode)) => *inode,
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        lost?;
        Ok(Arc::new(MemoryFile {
            disk: self.disk.clone(),
            inode,
            writable: mode != Open::Read,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let lost = disk.begin_change()?;
        let inode = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.change_name(NameChange::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
            inode,
        });
        lost
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let lost = disk.begin_change()?;
        if !disk.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_name(NameChange::Remove {
            path: path.to_path_buf(),
        });
        lost
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        disk.sync_names(folder);
        Ok(())
    }

    fn lock(&self, path: &Path, text: &str) -> io::Result<Box<dyn Lock>> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        if disk.locked.contains(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let inode = match disk.names.get(path) {
            Some(inode) => *inode,
            None => {
                let inode = disk.new_inode();
                disk.change_name(NameChange::Create {
                    path: path.to_path_buf(),
                    inode,
                });
                inode
            }
        };
        disk.set_len(inode, 0)?;
        disk.write(inode, 0, text.as_bytes())?;
        disk.locked.insert(path.to_path_buf());
        Ok(Box::new(MemoryLock {
            disk: self.disk.clone(),
            path: path.to_path_buf(),
        }))
    }
}

struct MemoryLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.lock().locked.remove(&self.path);
    }
}

struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    writable: bool,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        match self.writable {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        Ok(disk.inodes[self.inode].content.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.begin()?;
        let content = &disk.inodes[self.inode].content;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_writable()?;
        let mut bytes = parts
            .iter()
            .map(|part| &**part)
            .collect::<Vec<_>>()
            .concat();
        let half = bytes.len().div_ceil(2);
        let mut disk = self.disk.lock();
        match disk.next_fault()? {
            None => {}
            Some(Fault::Short) => bytes.truncate(half),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(fault) => {
                // After a power loss the whole write is left in the cache: `crash` decides what was saved.
                bytes.truncate(if fault == Fault::PowerLoss {
                    bytes.len()
                } else {
                    half
                });
                disk.write(self.inode, offset, &bytes)?;
                return Err(Disk::device_error());
            }
        }
        disk.write(self.inode, offset, &bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = self.disk.lock();
        let lost = disk.begin_change()?;
        disk.set_len(self.inode, bytes)?;
        lost
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = self.len()?;
        if bytes > length {
            self.set_len(bytes)
        } else {
            Ok(())
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        match disk.next_fault()? {
            None | Some(Fault::Short) => {
                disk.sync(self.inode);
                Ok(())
            }
            Some(Fault::PowerLoss) => Err(Disk::device_error()),
            Some(fault) => {
                disk.lose(self.inode);
                Err(Disk::error_of(fault))
            }
        }
    }
}
