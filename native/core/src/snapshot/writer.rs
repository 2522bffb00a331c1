//! Makes a snapshot file, row by row.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SnapshotError;
use super::compress::compress;
use super::format::{
    CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, CHUNK_TARGET_BYTES, CONF_BYTES_MAX, ChunkHead, Header,
    Trailer, get_u32,
};
use super::rows::{push_row, row_bytes};
use super::verify::Summary;
use crate::sys::{self, File, FileSystem, Open};

/// Written and not synced, at most: one large sync at the end would hold up the log's syncs on the same device.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// A snapshot in the making: under a temporary name until `finish`.
pub struct Writer {
    file: Arc<dyn File>,
    part_path: PathBuf,
    path: PathBuf,
    written: u64,
    synced: u64,
    raw: Vec<u8>,
    rows: u32,
    seen: Summary,
    all: u32,
    part: Vec<u8>,
}

impl Writer {
    /// Begins `path` under the name `part_path`, in the same folder, which exists; an older one of that name goes.
    pub fn begin(
        fs: &dyn FileSystem,
        path: &Path,
        part_path: &Path,
        header: &Header,
    ) -> Result<Writer, SnapshotError> {
        if header.conf.len() > CONF_BYTES_MAX {
            return Err(SnapshotError::refused(
                "the membership is too large for a snapshot",
            ));
        }
        remove_if_there(fs, part_path)?;
        let file = fs
            .open(part_path, Open::Create)
            .map_err(SnapshotError::io("create", part_path))?;
        let encoded = header.encode();
        let checksum = get_u32(&encoded, encoded.len() - 8);
        let mut writer = Writer {
            file,
            part_path: part_path.to_path_buf(),
            path: path.to_path_buf(),
            written: 0,
            synced: 0,
            raw: Vec::with_capacity(CHUNK_TARGET_BYTES),
            rows: 0,
            seen: Summary::default(),
            all: crc32c::crc32c(&checksum.to_le_bytes()),
            part: Vec::new(),
        };
        match writer.write(&encoded) {
            Ok(()) => Ok(writer),
            Err(error) => {
                writer.abandon(fs);
                Err(error)
            }
        }
    }

    /// Adds a row; keys ascend. True: the chunk is full, and `end_chunk` is due before the next row.
    ///
    /// Panics if the row is larger than a chunk may be, which no row within the limits is.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> bool {
        assert!(
            row_bytes(key, value) <= CHUNK_BYTES_MAX - CHUNK_TARGET_BYTES,
            "a row larger than the limits"
        );
        push_row(&mut self.raw, key, value);
        self.rows += 1;
        self.raw.len() >= CHUNK_TARGET_BYTES
    }

    /// Writes the rows since the last call as a chunk.
    pub fn end_chunk(&mut self) -> Result<(), SnapshotError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        part.resize(CHUNK_HEAD_BYTES, 0);
        let compression = compress(&self.raw, &mut part);
        let head = ChunkHead {
            sequence: self.seen.chunks,
            compression,
            rows: self.rows,
            raw_length: self.raw.len() as u32,
            stored_length: (part.len() - CHUNK_HEAD_BYTES) as u32,
        };
        part.resize(head.part_bytes(), 0);
        let checksum = head.seal(&mut part);
        self.write(&part)?;
        self.part = part;
        self.all = crc32c::crc32c_append(self.all, &checksum.to_le_bytes());
        self.seen.chunks += 1;
        self.seen.rows += u64::from(self.rows);
        self.seen.raw_bytes += u64::from(head.raw_length);
        self.raw.clear();
        self.rows = 0;
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Completes the file: durable under its own name when this returns. One that had the name before is replaced.
    ///
    /// SAFETY: a file named `.snap` is a whole snapshot.
    /// Claim:   after a crash at any moment, `path` names nothing, what it named before, or all of this.
    /// Why:     the bytes are synced before the name is given, and the name is synced before anybody is told.
    /// Rests:   renaming is atomic (`sys`); a failed sync is never tried again: the file is given up.
    /// Checked: snapshot_crash_making.rs, snapshot_receive.rs, at every file operation.
    pub fn finish(mut self, fs: &dyn FileSystem) -> Result<Summary, SnapshotError> {
        self.end_chunk()?;
        let trailer = Trailer {
            chunks: self.seen.chunks,
            rows: self.seen.rows,
            raw_bytes: self.seen.raw_bytes,
            all: self.all,
        };
        self.write(&trailer.encode())?;
        publish(fs, &*self.file, &self.part_path, &self.path)?;
        Ok(self.seen)
    }

    /// Gives up: the temporary file goes. A folder that cannot even remove it is cleaned when it is opened again.
    pub fn abandon(self, fs: &dyn FileSystem) {
        let _ = fs.remove(&self.part_path);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        append(&*self.file, &self.part_path, self.written, bytes)?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_BYTES {
            self.file
                .sync()
                .map_err(SnapshotError::io("sync", &self.part_path))?;
            self.synced = self.written;
        }
        Ok(())
    }
}

pub(super) fn append(
    file: &dyn File,
    path: &Path,
    offset: u64,
    bytes: &[u8],
) -> Result<(), SnapshotError> {
    sys::write_all_at(file, offset, &mut [IoSlice::new(bytes)])
        .map_err(SnapshotError::io("write", path))
}

pub(super) fn publish(
    fs: &dyn FileSystem,
    file: &dyn File,
    from: &Path,
    to: &Path,
) -> Result<(), SnapshotError> {
    file.sync().map_err(SnapshotError::io("sync", from))?;
    fs.rename(from, to)
        .map_err(SnapshotError::io("rename", from))?;
    let folder = to.parent().expect("a file has a folder");
    fs.sync_dir(folder)
        .map_err(SnapshotError::io("sync", folder))
}

pub(super) fn remove_if_there(fs: &dyn FileSystem, path: &Path) -> Result<(), SnapshotError> {
    match fs.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SnapshotError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
