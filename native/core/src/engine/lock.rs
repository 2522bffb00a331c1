//! One opener for each data folder: across processes by flock, within this one by a registry.
//!
//! Why both: flock belongs to an open file, so it also keeps a second opener of this process out on Linux, but where
//! it is emulated (network file systems) it belongs to the process and would let it in. The kernel drops the lock with
//! the process, however it dies, so there are no stale locks; the file itself stays, since removing it would let two
//! openers lock two files of one name.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::error::{EngineError, ErrorCode};
use crate::sys::{self, FileSystem, Lock};

pub const LOCK_FILE: &str = "LOCK";

static OPEN_HERE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Held while a folder is open; dropping it lets the next opener in.
pub struct FolderLock {
    file: Option<Box<dyn Lock>>,
    key: PathBuf,
}

impl FolderLock {
    /// Locks the existing folder `dir`; `disk` names the in-memory disk that it lies on, None is the real one.
    ///
    /// @throws ERAFT_DATA_LOCKED with the holder's pid; ERAFT_IO when the lock file cannot be made
    pub fn take(
        fs: &dyn FileSystem,
        dir: &Path,
        disk: Option<&str>,
    ) -> Result<FolderLock, EngineError> {
        let key = match disk {
            // Not `join`: an absolute folder would replace the disk's name.
            Some(name) => PathBuf::from(format!("memory:{name}:{}", dir.display())),
            None => dir.canonicalize().map_err(|e| io_error(dir, &e))?,
        };
        if !OPEN_HERE.lock().get_or_insert_default().insert(key.clone()) {
            return Err(locked(dir, &std::process::id().to_string()));
        }
        let mut lock = FolderLock { file: None, key };
        let path = dir.join(LOCK_FILE);
        match fs.lock(&path, &format!("{}\n", std::process::id())) {
            Ok(file) => lock.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let text = sys::read_file(fs, &path).unwrap_or_default(); // without the pid the refusal stands all the same
                return Err(locked(dir, String::from_utf8_lossy(&text).trim()));
            }
            Err(error) => return Err(io_error(&path, &error)),
        }
        Ok(lock)
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        self.file = None; // unlocks, before the registry lets a successor try
        OPEN_HERE.lock().get_or_insert_default().remove(&self.key);
    }
}

fn locked(dir: &Path, holder: &str) -> EngineError {
    let own = holder == std::process::id().to_string();
    let (by, remedy) = match (holder, own) {
        ("", _) => (
            "another process holds it".to_owned(),
            "stop the other process, or use another folder".to_owned(),
        ),
        (_, true) => (
            format!("this process (pid {holder}) has it open already"),
            "close the first one, share it, or use another folder; worker threads use `Client`"
                .to_owned(),
        ),
        (pid, false) => (
            format!("another eraft holds it (pid {pid})"),
            format!("stop pid {pid}, or use another folder"),
        ),
    };
    EngineError::told(
        ErrorCode::DataLocked,
        &format!("cannot open {}: {by}", dir.display()),
        "two writers on one log would corrupt it",
        &remedy,
        "nothing was changed",
    )
}

/// An operating system's refusal, told with the path it is about.
pub fn io_error(path: &Path, error: &io::Error) -> EngineError {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "give the user that runs eraft read and write permission, or use another folder"
        }
        io::ErrorKind::NotFound => "create the parent folder, or use another one",
        io::ErrorKind::StorageFull => "free space on this file system",
        _ => "see the operating system's log for this device or path",
    };
    EngineError::told(
        ErrorCode::Io,
        &format!("cannot use {}", path.display()),
        &error.to_string(),
        remedy,
        "what is acknowledged stays as it is",
    )
}
