//! A disk on which a removed file takes space as long as it is open, as it does on a real one.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use eraft_core::sys::{File, FileSystem, Lock, MemoryFileSystem, Open};

#[derive(Clone)]
pub struct Lingering {
    names: MemoryFileSystem,
    capacity: u64,
    files: Arc<Mutex<Files>>,
}

#[derive(Default)]
struct Files {
    /// That are open, by name.
    open: BTreeMap<PathBuf, Weak<dyn File>>,
    /// That were open when their name was removed.
    removed: Vec<Weak<dyn File>>,
}

impl Lingering {
    pub fn new(capacity: u64) -> Lingering {
        Lingering {
            names: MemoryFileSystem::new(),
            capacity,
            files: Arc::default(),
        }
    }

    /// What files without a name take.
    pub fn lingering(&self) -> u64 {
        let files = self.files.lock().unwrap();
        let open = files.removed.iter().filter_map(Weak::upgrade);
        open.map(|file| file.len().unwrap()).sum()
    }

    fn measure(&self) {
        let room = self.capacity.saturating_sub(self.lingering());
        self.names.set_capacity(Some(room));
    }
}

impl FileSystem for Lingering {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.names.create_dir(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.names.list(folder)
    }

    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let file = self.names.open(path, mode)?;
        let handle = Handle {
            file: file.clone(),
            disk: self.clone(),
        };
        let mut files = self.files.lock().unwrap();
        let file: Arc<dyn File> = Arc::new(handle);
        files.open.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        if let Some(file) = files.open.remove(from) {
            files.open.insert(to.to_owned(), file);
        }
        self.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.open.remove(path);
        files.removed.extend(file);
        self.names.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.names.sync_dir(folder)
    }

    fn lock(&self, path: &Path, text: &str) -> io::Result<Box<dyn Lock>> {
        self.names.lock(path, text)
    }
}

struct Handle {
    file: Arc<dyn File>,
    disk: Lingering,
}

impl File for Handle {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.disk.measure();
        self.file.write_at(offset, parts)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.measure();
        self.file.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.measure();
        self.file.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
