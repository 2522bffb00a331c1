//! The log as it ships: own threads, the real file system.

#[path = "common/logs.rs"]
mod logs;

use std::fs;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use eraft_core::sys::{self, *};
use eraft_core::wal::*;
use logs::*;

/// A log with threads, and a channel that receives something at each notification.
fn start(
    fs: Arc<dyn FileSystem>,
    dir: &Path,
    salt: u64,
    direct_io: bool,
) -> (Wal, Vec<GroupState>, Receiver<()>) {
    let (sender, receiver) = channel();
    let started = Instant::now();
    let options = WalOptions {
        segment_bytes: 1 << 16,
        tail_bytes: 1 << 14,
        frame_bytes_max: 1 << 14,
        threads: true,
        direct_io,
        salt,
        repair: Vec::new(),
        clock_micros: Arc::new(move || started.elapsed().as_micros() as u64),
    };
    let notify = move || _ = sender.send(());
    let (wal, groups) = Wal::open(fs, dir, options, Arc::new(notify)).unwrap();
    (wal, groups, receiver)
}

fn wait_for(wal: &Wal, ticket: u64, notified: &Receiver<()>) {
    while wal.durable() < ticket {
        assert_eq!(wal.failure(), None);
        notified.recv().unwrap();
    }
}

#[test]
fn a_real_log_lives_several_lives() {
    for direct_io in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("log");
        let mut model = Model::default();
        for life in 1..=4 {
            let (wal, groups, notified) = start(Arc::new(RealFileSystem), &dir, life, direct_io);
            model.matches(&wal, &groups).unwrap();
            let mut ticket = 0;
            for _ in 0..400 {
                let (one, two) = (model.last(1) + 1, model.last(2) + 1);
                for batch in [entries(1, one..=one + 3, life), entries(2, two..=two, life)] {
                    model.apply(&batch);
                    ticket = wal.submit(batch).unwrap();
                }
            }
            wait_for(&wal, ticket, &notified);
            let last = model.last(1);
            let read = wal.read(1, last - 99, last, usize::MAX).unwrap();
            assert_eq!(read, entries(1, last - 99..=last, life).records);
            assert!(wal.status().tail_bytes <= 1 << 14);
            wal.truncate(1, last - 200);
            wal.truncate(2, model.last(2) - 50);
            match life {
                2 => drop(wal),
                _ => wal.close().unwrap(),
            }
        }
        let (wal, groups, _) = start(Arc::new(RealFileSystem), &dir, 9, direct_io);
        model.matches(&wal, &groups).unwrap();
        assert!(groups[0].compacted_index > 3000);
        assert!(wal.status().segments < 12, "{:?}", wal.status());
    }
}

/// While one sync runs the next batch gathers: many submissions, few syncs; and one submission is one sync.
#[test]
fn group_commit() {
    let fs = SlowSync::default();
    let (wal, _, notified) = start(Arc::new(fs.clone()), Path::new(DIR), 1, false);
    let before = wal.status().sync_count;
    let gate = fs.gate.lock();
    let mut ticket = wal.submit(entries(1, 1..=1, 1)).unwrap();
    while wal.status().sync_pending_micros == 0 {
        std::thread::yield_now();
    }
    for index in 2..=60 {
        ticket = wal.submit(entries(1, index..=index, 1)).unwrap();
    }
    assert_eq!(
        wal.durable(),
        0,
        "nothing is acknowledged while its sync runs"
    );
    drop(gate);
    wait_for(&wal, ticket, &notified);
    // The first alone, all others together; perhaps a mark before them.
    assert!(wal.status().sync_count - before <= 3, "{:?}", wal.status());
    wal.close().unwrap();
}

/// The mark comes by itself: after it, even the last frame's damage is known for what it is.
#[test]
fn idleness_covers_the_last_frame() {
    let fs = MemoryFileSystem::new();
    let (wal, _, notified) = start(Arc::new(fs.clone()), Path::new(DIR), 1, false);
    let syncs = wal.status().sync_count;
    let ticket = wal.submit(entries(1, 1..=1, 1)).unwrap();
    wait_for(&wal, ticket, &notified);
    while wal.status().sync_count < syncs + 2 {
        std::thread::yield_now();
    }
    drop(wal);
    let path = Path::new(DIR).join("0000000000000001.log");
    let bytes = sys::read_file(&fs, &path).unwrap();
    let record = entry(1, 1, 1, 100);
    let place = bytes
        .windows(record.len())
        .position(|window| window == record)
        .unwrap();
    fs.open(&path, Open::Write)
        .unwrap()
        .write_at(place as u64, &[IoSlice::new(&[9; 8])])
        .unwrap();
    assert!(matches!(
        open(&fs, 2).map(|_| ()),
        Err(WalError::Damaged { .. })
    ));
}

#[test]
fn a_failure_in_a_thread_reaches_everyone() {
    let fs = MemoryFileSystem::new();
    let (wal, _, notified) = start(Arc::new(fs.clone()), Path::new(DIR), 1, false);
    // Both threads work: whichever comes first meets it.
    (1..200).for_each(|next| fs.fail_at(fs.operations() + next, Fault::Error));
    let _ = wal.submit(entries(1, 1..=1, 1));
    while wal.failure().is_none() {
        notified.recv().unwrap();
    }
    assert!(matches!(wal.failure(), Some(WalError::Io { .. })));
    assert_eq!(
        wal.submit(entries(1, 2..=2, 1)),
        Err(wal.failure().unwrap())
    );
    assert_eq!(wal.close(), Err(wal.failure().unwrap()));
    assert_eq!(wal.durable(), 0);
}

#[test]
fn the_real_file_system_keeps_the_traits_promises() {
    let folder = tempfile::tempdir().unwrap();
    file_system_suite(&RealFileSystem, folder.path());
    let memory = MemoryFileSystem::new();
    file_system_suite(&memory, Path::new("/somewhere"));
    // Only the real one: what it creates is private, and no link is followed.
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = folder.path().join("a/b");
    assert_eq!((mode(&dir), mode(&dir.join("moved"))), (0o700, 0o600));
    symlink(dir.join("moved"), dir.join("link")).unwrap();
    assert!(RealFileSystem.open(&dir.join("link"), Open::Read).is_err());
    assert!(
        !RealFileSystem
            .list(&dir)
            .unwrap()
            .contains(&"link".to_owned())
    );
}

/// What holds for every `FileSystem`.
fn file_system_suite(fs: &dyn FileSystem, root: &Path) {
    let dir = root.join("a/b");
    assert!(fs.list(&dir).is_err());
    fs.create_dir(&dir).unwrap();
    fs.create_dir(&dir).unwrap();
    assert_eq!(fs.list(&dir).unwrap(), [""; 0]);
    let path = dir.join("file");
    assert!(fs.open(&path, Open::Write).is_err());
    let file = fs.open(&path, Open::Create).unwrap();
    assert!(file.is_empty().unwrap());
    assert!(fs.open(&path, Open::Create).is_err());
    let mut parts = [
        IoSlice::new(b""),
        IoSlice::new(b"hello "),
        IoSlice::new(b"world"),
    ];
    write_all_at(&*file, 2, &mut parts).unwrap();
    file.sync().unwrap();
    assert_eq!(read_file(fs, &path).unwrap(), b"\0\0hello world");
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    file.allocate(6).unwrap(); // may do nothing
    assert!([4, 6].contains(&file.len().unwrap()));
    let mut buffer = [7; 3];
    assert_eq!(
        read_exact_at(&*file, 1 << 20, &mut buffer)
            .unwrap_err()
            .kind(),
        std::io::ErrorKind::UnexpectedEof
    );
    read_exact_at(&*file, 1, &mut buffer).unwrap();
    assert_eq!(&buffer, b"\0he");
    fs.rename(&path, &dir.join("moved")).unwrap();
    fs.sync_dir(&dir).unwrap();
    assert_eq!(fs.list(&dir).unwrap(), ["moved"]);
    let reader = fs.open(&dir.join("moved"), Open::Read).unwrap();
    assert!(write_all_at(&*reader, 0, &mut [IoSlice::new(b"x")]).is_err());
    let many: Vec<Vec<u8>> = (0..3000u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let mut parts: Vec<IoSlice<'_>> = many.iter().map(|bytes| IoSlice::new(bytes)).collect();
    write_all_at(&*file, 0, &mut parts).unwrap();
    assert_eq!(read_file(fs, &dir.join("moved")).unwrap(), many.concat());
    for text in [&b"first"[..], b"second, longer"] {
        write_file_durably(fs, &dir.join("small"), text).unwrap();
        assert_eq!(read_file(fs, &dir.join("small")).unwrap(), text);
    }
    fs.remove(&dir.join("small")).unwrap();
    assert!(fs.remove(&dir.join("small")).is_err());
    let lock = fs.lock(&dir.join("LOCK"), "pid 1").unwrap();
    assert_eq!(
        fs.lock(&dir.join("LOCK"), "pid 2").err().unwrap().kind(),
        std::io::ErrorKind::WouldBlock
    );
    assert_eq!(read_file(fs, &dir.join("LOCK")).unwrap(), b"pid 1");
    drop(lock);
    drop(fs.lock(&dir.join("LOCK"), "pid 3").unwrap());
    assert_eq!(read_file(fs, &dir.join("LOCK")).unwrap(), b"pid 3");
}

/// A disk whose syncs wait at a gate.
#[derive(Clone, Default)]
struct SlowSync {
    disk: MemoryFileSystem,
    gate: Arc<parking_lot::Mutex<()>>,
}

struct SlowFile(Arc<dyn File>, Arc<parking_lot::Mutex<()>>);

impl FileSystem for SlowSync {
    fn create_dir(&self, path: &Path) -> std::io::Result<()> {
        self.disk.create_dir(path)
    }
    fn list(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        self.disk.list(folder)
    }
    fn open(&self, path: &Path, mode: Open) -> std::io::Result<Arc<dyn File>> {
        Ok(Arc::new(SlowFile(
            self.disk.open(path, mode)?,
            self.gate.clone(),
        )))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, folder: &Path) -> std::io::Result<()> {
        self.disk.sync_dir(folder)
    }
    fn lock(&self, path: &Path, text: &str) -> std::io::Result<Box<dyn Lock>> {
        self.disk.lock(path, text)
    }
}

impl File for SlowFile {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> std::io::Result<usize> {
        self.0.write_at(offset, parts)
    }
    fn set_len(&self, bytes: u64) -> std::io::Result<()> {
        self.0.set_len(bytes)
    }
    fn allocate(&self, bytes: u64) -> std::io::Result<()> {
        self.0.allocate(bytes)
    }
    fn sync(&self) -> std::io::Result<()> {
        let _gate = self.1.lock();
        self.0.sync()
    }
}

#[test]
fn what_is_queued_is_written_even_if_nobody_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (wal, _, notified) = start(Arc::new(RealFileSystem), &dir, 1, false);
    for index in 1..=5 {
        let ticket = wal.queue(entries(1, index..=index, 1)).unwrap();
        wait_for(&wal, ticket, &notified);
    }
    let ticket = wal.queue(entries(1, 6..=6, 1)).unwrap();
    wal.write();
    wait_for(&wal, ticket, &notified);
    wal.close().unwrap();
}
