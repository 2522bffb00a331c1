//! Takes the parts of a snapshot as they come, verifies each before it is written, and goes on where it was interrupted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SnapshotError;
use super::format::{
    HEADER_BYTES_MIN, Header, PART_BYTES_MAX, SnapshotId, TRAILER_BYTES, is_trailer, part_bytes,
};
use super::rows::Row;
use super::verify::Verifier;
use super::writer::{append, publish, remove_if_there};
use crate::sys::{self, File, FileSystem, Open};

/// As in `writer.rs`.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// What the sender has announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub index: u64,
    pub term: u64,
    pub id: SnapshotId,
    /// Header and trailer included.
    pub parts: u32,
    /// Of the whole file.
    pub bytes: u64,
}

/// A snapshot that comes in. Its file keeps a temporary name until all of it is there, and stays when this is dropped.
pub struct Receiver {
    announced: Received,
    file: Arc<dyn File>,
    part_path: PathBuf,
    path: PathBuf,
    synced: u64,
    next: u32,
    verifier: Verifier,
    done: bool,
}

impl Receiver {
    /// Goes on with the file `part_path` as far as it holds parts of the announced snapshot, or begins it anew. The
    /// folder exists; the complete file will be `path`.
    ///
    /// Errors: `Refused` for an announcement that cannot be, `Full`, `Io`.
    pub fn begin(
        fs: &dyn FileSystem,
        path: &Path,
        part_path: &Path,
        announced: Received,
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<Receiver, SnapshotError> {
        if announced.parts < 2
            || announced.bytes > u64::from(announced.parts) * PART_BYTES_MAX as u64
        {
            return Err(SnapshotError::refused(
                "no snapshot has so many parts or bytes",
            ));
        }
        let mut receiver = match fs.open(part_path, Open::Write) {
            Ok(file) => Receiver::at_start(file, path, part_path, announced),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = fs
                    .open(part_path, Open::Create)
                    .map_err(SnapshotError::io("create", part_path))?;
                Receiver::at_start(file, path, part_path, announced)
            }
            Err(error) => return Err(SnapshotError::io("open", part_path)(error)),
        };
        receiver.resume(check)?;
        if receiver.verifier.is_whole() {
            receiver.finish(fs)?;
        }
        Ok(receiver)
    }

    fn at_start(
        file: Arc<dyn File>,
        path: &Path,
        part_path: &Path,
        announced: Received,
    ) -> Receiver {
        Receiver {
            announced,
            file,
            part_path: part_path.to_path_buf(),
            path: path.to_path_buf(),
            synced: 0,
            next: 0,
            verifier: Verifier::new(part_path),
            done: false,
        }
    }

    pub fn announced(&self) -> &Received {
        &self.announced
    }

    /// The number of the part that is wanted now; the number of parts when the file is complete and durable.
    pub fn next(&self) -> u32 {
        self.next
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    pub fn header(&self) -> Option<&Header> {
        self.verifier.header()
    }

    /// Takes part `number`, the one that is wanted. With the last one the file is completed: durable under its own name.
    ///
    /// Errors: `Refused` for another number or another snapshot, `Damaged` for bytes that are not sound: nothing has changed
    /// then. `Full` and `Io`: this is of no use any more; what was taken before stays, and `begin` goes on from there.
    pub fn part(
        &mut self,
        fs: &dyn FileSystem,
        number: u32,
        part: &[u8],
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<(), SnapshotError> {
        if number != self.next || self.done {
            return Err(SnapshotError::refused(format!(
                "part {number} of a snapshot came, and part {} is wanted",
                self.next
            )));
        }
        let offset = self.verifier.offset();
        self.take(part, check)?;
        append(&*self.file, &self.part_path, offset, part)?;
        if self.verifier.is_whole() {
            return self.finish(fs);
        }
        self.sync_some()
    }

    /// Verifies the next part against what is there and what was announced.
    fn take(
        &mut self,
        part: &[u8],
        check: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<(), SnapshotError> {
        let last = self.next + 1 == self.announced.parts;
        let end = self.verifier.offset() + part.len() as u64;
        let left = u64::from(self.announced.parts - self.next - 1);
        let fits = if last {
            end == self.announced.bytes
        } else {
            end + left * TRAILER_BYTES as u64 <= self.announced.bytes
        };
        if !fits || part.len() > PART_BYTES_MAX {
            return Err(SnapshotError::refused(
                "a part of a snapshot has another length than was announced",
            ));
        }
        if self.next == 0 {
            let (header, ..) = Header::decode(part, &self.part_path)?;
            let Received {
                index, term, id, ..
            } = self.announced;
            if (header.index, header.term, header.id) != (index, term, id) {
                return Err(SnapshotError::refused(
                    "the header of a snapshot is that of another one",
                ));
            }
        }
        // A trailer in front of the last part, or a chunk in place of it.
        if self.next > 0 && last != is_trailer(part) {
            return Err(SnapshotError::refused(
                "a snapshot has another number of parts than was announced",
            ));
        }
        self.verifier.part(part, check)?;
        self.next += 1;
        Ok(())
    }

    /// Takes what the file holds already, up to the first byte that does not belong there; that and all behind it goes.
    ///
    /// SAFETY: a part that was kept counts only if it is there, and stays.
    /// Claim:   `next` never passes a part that the file does not hold, and a sync from here on saves all of them.
    /// Why:     nothing is remembered across a restart: every part is read back and verified as if it came now. What a crash
    ///          has torn or lost fails its checksum, and is asked for again. What is sound may be in the page cache alone, and
    ///          taken for clean by the kernel after a sync that had failed, so it is written again, as it stands.
    /// Rests:   `Verifier`; writing a sector with the bytes that it has cannot tear it.
    /// Checked: snapshot_receive.rs, where the power fails, or a sync does, at every operation.
    fn resume(&mut self, check: &mut dyn FnMut(Row<'_>) -> bool) -> Result<(), SnapshotError> {
        let length = self
            .file
            .len()
            .map_err(SnapshotError::io("measure", &self.part_path))?;
        // Its length, too, may be one that the disk never got: changed there and back, it is written with what follows.
        for bytes in [length + 1, length] {
            self.set_len(bytes)?;
        }
        let mut part = Vec::new();
        while self.next < self.announced.parts {
            let offset = self.verifier.offset();
            if !self.read_kept(offset, length, &mut part)? || self.take(&part, check).is_err() {
                break;
            }
            append(&*self.file, &self.part_path, offset, &part)?;
            self.sync_some()?;
        }
        let end = self.verifier.offset();
        match length > end {
            true => self.set_len(end),
            false => Ok(()),
        }
    }

    fn set_len(&self, bytes: u64) -> Result<(), SnapshotError> {
        let set = self.file.set_len(bytes);
        set.map_err(SnapshotError::io("cut", &self.part_path))
    }

    /// The part at `offset`, if what stands there has the length of one. False: not.
    fn read_kept(
        &self,
        offset: u64,
        length: u64,
        part: &mut Vec<u8>,
    ) -> Result<bool, SnapshotError> {
        let read = |bytes: usize, part: &mut Vec<u8>| {
            part.clear();
            part.resize(bytes, 0);
            sys::read_exact_at(&*self.file, offset, part)
                .map_err(SnapshotError::io("read", &self.part_path))
        };
        let left = length - offset;
        read(left.min(HEADER_BYTES_MIN as u64) as usize, part)?;
        match part_bytes(part, self.next == 0) {
            Some(bytes) if bytes as u64 <= left => read(bytes, part).map(|()| true),
            _ => Ok(false),
        }
    }

    fn sync_some(&mut self) -> Result<(), SnapshotError> {
        let end = self.verifier.offset();
        if end - self.synced >= SYNC_BYTES {
            self.file
                .sync()
                .map_err(SnapshotError::io("sync", &self.part_path))?;
            self.synced = end;
        }
        Ok(())
    }

    fn finish(&mut self, fs: &dyn FileSystem) -> Result<(), SnapshotError> {
        publish(fs, &*self.file, &self.part_path, &self.path)?;
        self.done = true;
        Ok(())
    }

    /// Gives the file up: it goes.
    pub fn abandon(self, fs: &dyn FileSystem) -> Result<(), SnapshotError> {
        remove_if_there(fs, &self.part_path)
    }
}
