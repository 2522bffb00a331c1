//! Opening, closing, crashing, flushing: what survives, whose it is, and what damage looks like. On real files.

use std::fs;
use std::path::{Path, PathBuf};

use eraft_core::store::{Applied, Compression, Store, StoreError, StoreOptions};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Log, TIME, views};
use stores::{BLIND, IDENTITY};

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(
        path,
        IDENTITY,
        StoreOptions {
            cache_bytes: 1 << 20,
            memtable_bytes: 1 << 20,
            ..StoreOptions::default()
        },
    )
}

fn apply(store: &Store, record: &[u8]) -> Applied {
    store
        .apply(GROUP, &mut views(record), BLIND, &mut Vec::new())
        .unwrap()
}

#[test]
fn what_is_flushed_survives_and_the_rest_comes_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(store.applied(GROUP), Applied::default());
    let mut log = Log {
        term: 3,
        ..Log::default()
    };
    let first = log.record(&[Batch::new().put(b"a", b"1").put(b"b", b"2")]);
    let second = log.record(&[Batch::new().put(b"a", b"3")]);
    assert_eq!(
        apply(&store, &first),
        Applied {
            index: 1,
            term: 3,
            time: TIME + 1,
            revision: 2
        }
    );
    assert_eq!(store.flushed(GROUP), 0);
    store.flush().unwrap();
    assert_eq!(store.flushed(GROUP), 1);
    apply(&store, &second);
    store.refresh_flushed().unwrap();
    assert_eq!((store.applied(GROUP).index, store.flushed(GROUP)), (2, 1));
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(
        store.applied(GROUP),
        Applied {
            index: 1,
            term: 3,
            time: TIME + 1,
            revision: 2
        }
    );
    assert_eq!(store.flushed(GROUP), 1);
    assert_eq!(apply(&store, &second).index, 2);
}

#[test]
fn a_background_flush_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let mut log = Log::default();
    for n in 0..64u64 {
        apply(
            &store,
            &log.record(&[Batch::new().put(&n.to_be_bytes(), &vec![n as u8; 100_000])]),
        );
    }
    // The last record fills no memtable: waiting for everything before it must be enough.
    while store.flushed(GROUP) == 0 {
        store.refresh_flushed().unwrap();
        std::thread::yield_now();
    }
    let flushed = store.flushed(GROUP);
    drop(store);
    let store = open(folder.path()).unwrap();
    assert!(store.applied(GROUP).index >= flushed);
    assert!(store.status().bytes > 0);
}

#[test]
fn groups_stand_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let record = Log::default().record(&[Batch::register()]);
    apply(&store, &record);
    let header = eraft_core::record::Header {
        group: 70_000,
        ..views(&record).next().unwrap().header()
    };
    let other = eraft_core::record::build(views(&record).next().unwrap().payload(), &header);
    store
        .apply(70_000, &mut views(&other), BLIND, &mut Vec::new())
        .unwrap();
    store.flush().unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(
        (
            store.applied(GROUP).index,
            store.applied(70_000).index,
            store.applied(2).index
        ),
        (1, 1, 0)
    );
    assert_eq!(store.status().sessions, Some(2));
}

#[test]
fn another_owner_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    apply(
        &store,
        &Log::default().record(&[Batch::new().put(b"a", b"1")]),
    );
    store.flush().unwrap();
    drop(store);
    let refused = Store::open(folder.path(), b"somebody else", StoreOptions::default())
        .err()
        .unwrap();
    assert_eq!((&refused, refused.wire()), (&StoreError::Identity, 42));
    assert_eq!(open(folder.path()).unwrap().applied(GROUP).index, 1);
}

#[test]
fn every_compression_reads_every_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    for compression in [
        Compression::None,
        Compression::Lz4,
        Compression::Zstd,
        Compression::None,
    ] {
        let options = StoreOptions {
            compression,
            ..StoreOptions::default()
        };
        let store = Store::open(folder.path(), IDENTITY, options).unwrap();
        assert_eq!(store.applied(GROUP).index, log.index);
        apply(
            &store,
            &log.record(&[Batch::new().put(&[log.index as u8], &[b'v'; 1000])]),
        );
        store.flush().unwrap();
    }
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect()
}

fn store_with_tables(folder: &Path) {
    let store = open(folder).unwrap();
    let batch = (0..100u8).fold(Batch::new(), |batch, n| batch.put(&[n], &[n; 500]));
    apply(&store, &Log::default().record(&[batch]));
    store.flush().unwrap();
}

#[test]
fn damage_is_told_and_not_repaired() {
    type Break = fn(&Path);
    let breaks: [(&str, Break); 4] = [
        ("CURRENT names nothing", |folder| {
            fs::write(folder.join("CURRENT"), "MANIFEST-999999\n").unwrap()
        }),
        ("a table is gone", |folder| {
            fs::remove_file(&files(folder, ".sst")[0]).unwrap()
        }),
        ("a table is cut", |folder| {
            let table = &files(folder, ".sst")[0];
            let bytes = fs::read(table).unwrap();
            fs::write(table, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("the manifest is garbage", |folder| {
            let manifest = fs::read_to_string(folder.join("CURRENT")).unwrap();
            fs::write(folder.join(manifest.trim()), [0x5a; 300]).unwrap();
        }),
    ];
    for (name, damage) in breaks {
        let folder = tempfile::tempdir().unwrap();
        store_with_tables(folder.path());
        damage(folder.path());
        match open(folder.path()) {
            Err(StoreError::Damaged { .. }) => {}
            Err(StoreError::Io { .. }) if name == "CURRENT names nothing" => {}
            other => panic!("{name}: {:?}", other.err()),
        }
    }
}

#[test]
fn a_flipped_bit_in_a_table_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    store_with_tables(folder.path());
    let table = files(folder.path(), ".sst")
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[200] ^= 0x10;
    fs::write(&table, bytes).unwrap();
    let found = open(folder.path()).and_then(|store| {
        store.scan(
            GROUP,
            &batches::Scan::default().encode(),
            0,
            &mut Vec::new(),
        )
    });
    assert!(
        matches!(found, Err(StoreError::Damaged { .. })),
        "{found:?}"
    );
}

#[test]
fn a_folder_that_cannot_be_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("store")).err().unwrap();
    assert_eq!(error.wire(), 45, "{error}");
}
