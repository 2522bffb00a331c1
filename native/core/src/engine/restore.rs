//! A data folder made of a backup: a new replica of a new cluster that begins with the backup's state.
//!
//! SAFETY: a folder is not taken for a replica before all of the backup is in it.
//! Claim:   after a crash the folder is empty, or is refused, or opens as the restored replica.
//! Why:     the file is verified before the folder exists. Then the marker is made durable, then the snapshot under its name,
//!          and the identity last: a folder with a marker and without identity is refused, and one with both is an installation
//!          that was interrupted, which opening completes.
//! Rests:   `snapshots/install.rs`; the folder was empty, which is checked under its lock.
//! Checked: engine_restore.rs, where the power fails at every file operation.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Engine;
use super::disk;
use super::error::{EngineError, ErrorCode};
use super::identity::{Identity, restored_cluster};
use super::lock::{FolderLock, LOCK_FILE, io_error};
use super::options::Options;
use super::snapshots::{Marker, Origin, SNAPSHOT_FOLDER, snapshot_error};
use crate::snapshot::{CONF_BYTES_MAX, Header, Reader, snapshot_name, verify};
use crate::store::Store;
use crate::sys::{self, FileSystem, Open, RealFileSystem};

/// Makes the folder of `options`, which must be absent or empty, out of the snapshot `file`: with the given replica and cluster,
/// and `conf` as its membership. Revisions go on behind those of the backup. Blocks.
///
/// @throws ERAFT_DATA_DAMAGED, ERAFT_DATA_VERSION (nothing was touched then), ERAFT_CONFIG, ERAFT_IO, ERAFT_DISK_FULL
pub fn restore_folder(file: &Path, conf: Vec<u8>, options: Options) -> Result<(), EngineError> {
    let Some(cluster) = options.cluster else {
        return Err(EngineError::new(
            ErrorCode::Config,
            "a restored folder needs the id of its cluster",
        ));
    };
    if conf.len() > CONF_BYTES_MAX {
        return Err(EngineError::new(
            ErrorCode::Config,
            "the membership is too large",
        ));
    }
    let fs: Arc<dyn FileSystem> = match &options.memory {
        Some(name) => disk::disk(name)?.files,
        None => Arc::new(RealFileSystem),
    };
    let verified = verify(&*fs, file, &mut |(key, value)| Store::is_row(key, value));
    let (header, _) = verified.map_err(|e| snapshot_error(&e))?;
    let dir = options.dir.clone();
    fs.create_dir(&dir).map_err(|e| io_error(&dir, &e))?;
    let lock = FolderLock::take(&*fs, &dir, options.memory.as_deref())?;
    check_empty(&*fs, &dir)?;
    let marker = Marker {
        origin: Origin::Backup,
        group: header.group,
        index: header.index,
        term: header.term,
        id: header.id,
        conf_index: header.index,
        conf,
    };
    marker.write(&*fs, &dir).map_err(|e| io_error(&dir, &e))?;
    copy(&*fs, file, &dir, &header)?;
    let identity = Identity {
        cluster: restored_cluster(cluster, header.id),
        replica: options.replica,
        uid: options.entropy_u64(16).max(1), // 0 stands for nobody
        blank: true,
        backup: header.id,
    };
    identity.write(&*fs, &dir)?;
    drop(lock);
    Engine::open(options)?.close(true);
    Ok(())
}

fn check_empty(fs: &dyn FileSystem, dir: &Path) -> Result<(), EngineError> {
    let inside = ["", "log", "store", SNAPSHOT_FOLDER];
    for folder in inside.map(|name| {
        if name.is_empty() {
            dir.to_path_buf()
        } else {
            dir.join(name)
        }
    }) {
        let names = match fs.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error(&folder, &error)),
        };
        if let Some(name) = names.iter().find(|name| *name != LOCK_FILE) {
            return Err(EngineError::told(
                ErrorCode::Config,
                &format!("cannot restore into {}: it is not empty", dir.display()),
                &format!("it holds {}", folder.join(name).display()),
                "name a folder that does not exist yet, or an empty one",
                "nothing was changed",
            ));
        }
    }
    Ok(())
}

/// The file under the name that snapshots have in a folder; durable when this returns.
fn copy(fs: &dyn FileSystem, file: &Path, dir: &Path, header: &Header) -> Result<(), EngineError> {
    let folder = dir.join(SNAPSHOT_FOLDER);
    fs.create_dir(&folder).map_err(|e| io_error(&folder, &e))?;
    let path: PathBuf = folder.join(snapshot_name(header.index, header.term));
    let reader = Reader::open(fs, file).map_err(|e| snapshot_error(&e))?;
    let write = |target: &dyn sys::File, offset: u64, part: &[u8]| {
        sys::write_all_at(target, offset, &mut [IoSlice::new(part)])
            .map_err(|e| io_error(&path, &e))
    };
    let target = fs
        .open(&path, Open::Create)
        .map_err(|e| io_error(&path, &e))?;
    let mut part = Vec::new();
    let mut offset = 0;
    for number in 0..reader.parts() {
        part.clear();
        reader
            .read_part(number, &mut part)
            .map_err(|e| snapshot_error(&e))?;
        write(&*target, offset, &part)?;
        offset += part.len() as u64;
    }
    target.sync().map_err(|e| io_error(&path, &e))?;
    fs.sync_dir(&folder).map_err(|e| io_error(&folder, &e))
}
