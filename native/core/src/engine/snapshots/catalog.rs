//! The complete snapshots of a folder: which there are, who reads them, and which may go.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{MADE_SUFFIX, PART_SUFFIX, folder};
use crate::engine::error::EngineError;
use crate::engine::lock::io_error;
use crate::snapshot::{Reader, SnapshotError, SnapshotId, snapshot_of};
use crate::sys::FileSystem;

/// What is told of a complete snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub group: u32,
    pub index: u64,
    pub term: u64,
    pub id: SnapshotId,
    /// Header and trailer included.
    pub parts: u32,
    /// Of the file.
    pub bytes: u64,
    pub time: u64,
    pub next_revision: u64,
    pub conf_index: u64,
    pub conf: Vec<u8>,
}

/// What there is, and what is to be removed. Held for moments: nobody touches a disk meanwhile.
#[derive(Default)]
pub(crate) struct Catalog {
    /// In the order in which they became known; the last of a group is the one to send.
    entries: Vec<Entry>,
    gone: Vec<PathBuf>,
}

struct Entry {
    reader: Arc<Reader>,
    holds: u32,
}

impl Catalog {
    /// Reads the folder; keeps the newest sound snapshot of each group, and removes what else is complete, what was being
    /// made, and what was being received of states up to `applied`. A damaged one can be made again: it goes, too.
    pub fn load(fs: &dyn FileSystem, dir: &Path, applied: u64) -> Result<Catalog, EngineError> {
        let folder = folder(dir);
        let names = match fs.list(&folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Catalog::default()),
            Err(error) => return Err(io_error(&folder, &error)),
        };
        let mut catalog = Catalog::default();
        for name in &names {
            let path = folder.join(name);
            let part = name.strip_suffix(PART_SUFFIX).and_then(snapshot_of);
            if name.ends_with(MADE_SUFFIX) || part.is_some_and(|(index, _)| index <= applied) {
                catalog.gone.push(path);
                continue;
            }
            let Some(named) = snapshot_of(name) else {
                continue;
            };
            match Reader::open(fs, &path) {
                Ok(reader) if (reader.header().index, reader.header().term) == named => {
                    catalog.add(reader);
                }
                Ok(_) | Err(SnapshotError::Damaged { .. } | SnapshotError::Version { .. }) => {
                    catalog.gone.push(path);
                }
                Err(error) => return Err(super::snapshot_error(&error)),
            }
        }
        for path in catalog.take_gone() {
            fs.remove(&path).map_err(|e| io_error(&path, &e))?;
        }
        Ok(catalog)
    }

    /// Takes in one that has become complete; the others of its group go, as soon as nobody holds them.
    pub fn add(&mut self, reader: Reader) {
        // One of the same name has been replaced on the disk; who reads it has it open.
        self.entries
            .retain(|entry| entry.reader.path() != reader.path() || entry.holds > 0);
        let reader = Arc::new(reader);
        self.entries.push(Entry { reader, holds: 0 });
        self.prune();
    }

    /// The last one that was made or received of the group.
    pub fn latest(&self, group: u32) -> Option<&Arc<Reader>> {
        let mut entries = self.entries.iter().rev();
        let last = entries.find(|entry| entry.reader.header().group == group);
        last.map(|entry| &entry.reader)
    }

    pub fn find(&self, id: &SnapshotId) -> Option<&Arc<Reader>> {
        let found = self.entries.iter().find(|entry| entry.is(id));
        found.map(|entry| &entry.reader)
    }

    /// Keeps it until `release`, however many are made meanwhile. False: there is no such snapshot.
    pub fn hold(&mut self, id: &SnapshotId) -> bool {
        let found = self.entries.iter_mut().find(|entry| entry.is(id));
        found.map(|entry| entry.holds += 1).is_some()
    }

    pub fn release(&mut self, id: &SnapshotId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.is(id)) {
            entry.holds = entry.holds.saturating_sub(1);
        }
        self.prune();
    }

    /// It has turned out to be damaged: nobody is to have it any more.
    pub fn drop_damaged(&mut self, id: &SnapshotId) {
        if let Some(at) = self.entries.iter().position(|entry| entry.is(id)) {
            self.drop_entry(at);
        }
    }

    /// The log of the group begins behind `compacted`. It follows no older snapshot, which therefore helps nobody: such go, as
    /// soon as nobody holds them. False: there are none.
    pub fn drop_outrun(&mut self, group: u32, compacted: u64) -> bool {
        let before = self.entries.len();
        for at in (0..before).rev() {
            let entry = &self.entries[at];
            let header = entry.reader.header();
            if header.group == group && header.index < compacted && entry.holds == 0 {
                self.drop_entry(at);
            }
        }
        self.entries.len() < before
    }

    /// Files to be removed: by whoever makes and receives, so that none of them has its name given to a new one meanwhile.
    pub fn take_gone(&mut self) -> Vec<PathBuf> {
        let mut gone = std::mem::take(&mut self.gone);
        gone.retain(|path| self.entries.iter().all(|entry| entry.reader.path() != path));
        gone
    }

    fn prune(&mut self) {
        let mut at = 0;
        while at < self.entries.len() {
            let entry = &self.entries[at];
            let latest = self.latest(entry.reader.header().group);
            let is_latest = latest.is_some_and(|latest| Arc::ptr_eq(latest, &entry.reader));
            match is_latest || entry.holds > 0 {
                true => at += 1,
                false => self.drop_entry(at),
            }
        }
    }

    fn drop_entry(&mut self, at: usize) {
        let entry = self.entries.remove(at);
        self.gone.push(entry.reader.path().to_path_buf());
    }
}

impl Entry {
    fn is(&self, id: &SnapshotId) -> bool {
        self.reader.header().id == *id
    }
}

impl SnapshotInfo {
    pub fn of(reader: &Reader) -> SnapshotInfo {
        let header = reader.header();
        SnapshotInfo {
            group: header.group,
            index: header.index,
            term: header.term,
            id: header.id,
            parts: reader.parts(),
            bytes: reader.bytes(),
            time: header.time,
            next_revision: header.next_revision,
            conf_index: header.conf_index,
            conf: header.conf.clone(),
        }
    }
}
