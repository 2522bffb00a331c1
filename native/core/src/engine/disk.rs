//! In-memory disks by name: what a simulated replica leaves behind when it crashes, and finds when it comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::EngineError;
use crate::store::MemoryDisk;
use crate::sys::MemoryFileSystem;

/// One disk: the log's files, and the store's.
#[derive(Clone)]
pub(crate) struct Disk {
    pub files: Arc<MemoryFileSystem>,
    pub store: MemoryDisk,
}

static DISKS: Mutex<BTreeMap<String, Disk>> = Mutex::new(BTreeMap::new());

/// The disk of this name; an empty one when it is new.
pub(crate) fn disk(name: &str) -> Result<Disk, EngineError> {
    let mut disks = DISKS.lock();
    if let Some(disk) = disks.get(name) {
        return Ok(disk.clone());
    }
    let store = MemoryDisk::new().map_err(|e| super::core::store_error(&e))?;
    let disk = Disk {
        files: Arc::new(MemoryFileSystem::new()),
        store,
    };
    disks.insert(name.to_owned(), disk.clone());
    Ok(disk)
}

/// Puts other files on the disk: what a crash left of the old ones.
pub(crate) fn replace(name: &str, files: MemoryFileSystem) {
    if let Some(disk) = DISKS.lock().get_mut(name) {
        disk.files = Arc::new(files);
    }
}

/// The log's files on the disk of this name, for those who count operations or choose faults.
pub fn memory_files(name: &str) -> Result<Arc<MemoryFileSystem>, EngineError> {
    Ok(disk(name)?.files)
}

/// The store's files on the disk of this name, for those who choose faults.
pub fn memory_store(name: &str) -> Result<MemoryDisk, EngineError> {
    Ok(disk(name)?.store)
}

/// Limits the bytes of the log's files on a disk, and as many for the store's tables. None: unlimited.
pub fn limit_memory(name: &str, bytes: Option<u64>) -> Result<(), EngineError> {
    let disk = disk(name)?;
    disk.files.set_capacity(bytes);
    disk.store.set_capacity(bytes);
    Ok(())
}

/// Stores that are opened on the disk of this name from now on keep so many sessions of a group, instead of `SESSIONS_MAX`.
pub fn limit_memory_sessions(name: &str, sessions: usize) -> Result<(), EngineError> {
    disk(name)?.store.set_sessions_max(sessions);
    Ok(())
}

/// The power fails while no engine has the disk open: during an opening that did not succeed.
pub fn crash_memory(name: &str, seed: u64) -> Result<(), EngineError> {
    let crashed = disk(name)?.files.crash(seed);
    replace(name, crashed);
    Ok(())
}

/// Forgets a disk and what is on it.
pub fn forget_memory(name: &str) {
    DISKS.lock().remove(name);
}
