//! The disk under `MemoryFileSystem`: what reads see, what is durable, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Fault;

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// A change to the names of a folder, not yet durable.
#[derive(Clone)]
pub(super) enum NameChange {
    Create {
        path: PathBuf,
        inode: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: usize,
    },
    Remove {
        path: PathBuf,
    },
}

/// A file's bytes: as reads see them, as they are durable, and what was done in between, in order.
#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) content: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    /// Bytes within one sector.
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
}

#[derive(Default)]
pub(super) struct Disk {
    pub(super) inodes: Vec<Inode>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) locked: BTreeSet<PathBuf>,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) operations: u64,
    pub(super) capacity: Option<u64>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    power_lost: bool,
}

impl Disk {
    pub(super) fn device_error() -> io::Error {
        io::Error::from_raw_os_error(libc::EIO)
    }

    pub(super) fn error_of(fault: Fault) -> io::Error {
        match fault {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            _ => Self::device_error(),
        }
    }

    /// Counts an operation and tells which fault it meets.
    pub(super) fn next_fault(&mut self) -> io::Result<Option<Fault>> {
        if self.power_lost {
            return Err(Self::device_error());
        }
        self.operations += 1;
        let fault = self.faults.remove(&self.operations);
        self.power_lost = fault == Some(Fault::PowerLoss);
        Ok(fault)
    }

    /// Counts an operation that changes nothing when it fails.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        match self.next_fault()? {
            None | Some(Fault::Short) => Ok(()),
            Some(fault) => Err(Self::error_of(fault)),
        }
    }

    /// Counts an operation that a power loss may leave done: the inner result is what to return after doing it.
    pub(super) fn begin_change(&mut self) -> io::Result<io::Result<()>> {
        match self.next_fault()? {
            None | Some(Fault::Short) => Ok(Ok(())),
            Some(Fault::PowerLoss) => Ok(Err(Self::device_error())),
            Some(fault) => Err(Self::error_of(fault)),
        }
    }

    pub(super) fn new_inode(&mut self) -> usize {
        self.inodes.push(Inode::default());
        self.inodes.len() - 1
    }

    pub(super) fn used(&self) -> u64 {
        let linked: BTreeSet<usize> = self.names.values().copied().collect();
        linked
            .iter()
            .map(|&inode| self.inodes[inode].content.len() as u64)
            .sum()
    }

    fn room(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Writes what fits; `StorageFull` if nothing does.
    pub(super) fn write(&mut self, inode: usize, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inodes[inode].content.len() as u64;
        let end_max = length.saturating_add(self.room());
        let fits = (end_max.saturating_sub(offset)).min(bytes.len() as u64) as usize;
        if fits == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let offset = offset as usize;
        let file = &mut self.inodes[inode];
        if offset + fits > file.content.len() {
            file.content.resize(offset + fits, 0);
            file.pending.push(Change::Length(offset + fits));
        }
        let mut done = 0;
        while done < fits {
            let start = offset + done;
            let count = (SECTOR_BYTES - start % SECTOR_BYTES).min(fits - done);
            file.write_sector(start, &bytes[done..done + count]);
            done += count;
        }
        Ok(fits)
    }

    pub(super) fn set_len(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        let more = bytes.saturating_sub(self.inodes[inode].content.len() as u64);
        if more > self.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut self.inodes[inode];
        file.content.resize(bytes as usize, 0);
        file.pending.push(Change::Length(bytes as usize));
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: usize) {
        let file = &mut self.inodes[inode];
        for change in std::mem::take(&mut file.pending) {
            change.apply(&mut file.durable);
        }
    }

    /// A failed sync: some changes reach the disk, the others never will.
    pub(super) fn lose(&mut self, inode: usize) {
        let mut random = Random::new(self.operations);
        let file = &mut self.inodes[inode];
        file.durable = file.survivors(&mut random);
        file.pending.clear();
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub(super) fn sync_names(&mut self, folder: &Path) {
        for change in std::mem::take(&mut self.pending_names) {
            if change.folder() == Some(folder) {
                change.apply(&mut self.durable_names);
            } else {
                self.pending_names.push(change);
            }
        }
    }

    /// See `MemoryFileSystem::crash`.
    pub(super) fn crashed(&self, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut names = self.durable_names.clone();
        let mood = random.below(4);
        let cut = random.below(self.pending_names.len() as u64 + 1) as usize;
        for (position, change) in self.pending_names.iter().enumerate() {
            let survives = match mood {
                0 => true,
                1 => false,
                2 => position < cut,
                _ => random.below(2) == 0,
            };
            if survives {
                change.apply(&mut names);
            }
        }
        let survivors = self.inodes.iter().map(|file| file.survivors(&mut random));
        let inodes = survivors.map(Inode::settled).collect();
        self.reborn(inodes, names)
    }

    /// See `MemoryFileSystem::copy`.
    pub(super) fn settled(&self) -> Self {
        let contents = self.inodes.iter().map(|file| file.content.clone());
        self.reborn(contents.map(Inode::settled).collect(), self.names.clone())
    }

    fn reborn(&self, inodes: Vec<Inode>, names: BTreeMap<PathBuf, usize>) -> Self {
        Self {
            inodes,
            folders: self.folders.clone(),
            durable_names: names.clone(),
            names,
            capacity: self.capacity,
            ..Self::default()
        }
    }
}

impl Inode {
    fn settled(content: Vec<u8>) -> Self {
        Self {
            durable: content.clone(),
            content,
            pending: Vec::new(),
        }
    }

    /// Changes the bits of `mask` in a byte that is durable.
    pub(super) fn rot(&mut self, offset: usize, mask: u8) {
        self.durable[offset] ^= mask;
        self.content[offset] ^= mask;
    }

    /// Writes within one sector. What is there already, read and durable, needs no change: zeros over zeros.
    fn write_sector(&mut self, offset: usize, bytes: &[u8]) {
        let range = offset..offset + bytes.len();
        let durable = self.durable.get(offset..).unwrap_or_default();
        let known = durable.len().min(bytes.len());
        let same = self.content[range.clone()] == *bytes
            && durable[..known] == bytes[..known]
            && bytes[known..].iter().all(|&byte| byte == 0);
        if !same {
            self.content[range].copy_from_slice(bytes);
            let bytes = bytes.to_vec();
            self.pending.push(Change::Write { offset, bytes });
        }
    }

    /// Durable bytes plus what chance saved of the rest.
    fn survivors(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        if self.pending.is_empty() {
            return bytes;
        }
        let mood = random.below(4);
        let cut = random.below(self.pending.len() as u64 + 1) as usize;
        // Each sector stops in time at a moment of its own: the first change that it misses.
        let mut stopped: BTreeSet<usize> = BTreeSet::new();
        for (position, change) in self.pending.iter().enumerate() {
            let sector = match change {
                Change::Write { offset, .. } => offset / SECTOR_BYTES,
                Change::Length(_) => usize::MAX,
            };
            let survives = match mood {
                0 => true,
                1 => false,
                2 => position < cut,
                _ => random.below(2) == 0,
            };
            if !survives {
                stopped.insert(sector);
            }
            if !stopped.contains(&sector) {
                change.apply(&mut bytes);
            }
        }
        bytes
    }
}

impl Change {
    /// A write past the end is lost with the length that would have held it.
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write {
                offset,
                bytes: written,
            } => {
                let end = (offset + written.len()).min(bytes.len());
                if *offset < end {
                    bytes[*offset..end].copy_from_slice(&written[..end - offset]);
                }
            }
        }
    }
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            NameChange::Create { path, .. } | NameChange::Remove { path } => path.parent(),
            NameChange::Rename { to, .. } => to.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Rename { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

/// SplitMix64: what chance does to a disk, from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 0 <= result < `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
