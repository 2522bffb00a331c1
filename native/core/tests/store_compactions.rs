//! Compactions of a store on real files, which rest while they run.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;

use std::thread;
use std::time::{Duration, Instant};

use batches::{Batch, GROUP, Log, views};
use eraft_core::store::{Store, StoreOptions};
use stores::{BLIND, IDENTITY};

const FLUSHES: usize = 14; // compaction begins at 12 files
const KEYS: usize = 64;

fn open(folder: &tempfile::TempDir) -> Store {
    let options = StoreOptions {
        cache_bytes: 1 << 20,
        ..StoreOptions::default()
    };
    Store::open(folder.path(), IDENTITY, options).unwrap()
}

/// 1 MiB that overwrites the rounds before; every fourth key is gone after it.
fn round(n: usize) -> Batch {
    let value = vec![n as u8; 16 * 1024];
    (0..KEYS).fold(Batch::new(), |batch, key| {
        let name = format!("key-{key:03}");
        match (key + n).is_multiple_of(4) {
            true => batch.delete(name.as_bytes()),
            false => batch.put(name.as_bytes(), &value),
        }
    })
}

#[test]
fn files_are_merged_beside_the_work_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut log = Log::default();
    for n in 0..FLUSHES {
        let record = log.record(&[round(n)]);
        store
            .apply(GROUP, &mut views(&record), BLIND, &mut Vec::new())
            .unwrap();
        store.flush().unwrap();
        store.pace_compactions();
    }
    let before = store.digest(GROUP).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = store.status();
        if status.compactions_running == 0 && files(&folder) < 12 {
            break;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        thread::yield_now();
    }
    store.flush().unwrap(); // forgets the digest, too
    assert_eq!(store.digest(GROUP).unwrap(), before);
    drop(store);
    assert_eq!(open(&folder).digest(GROUP).unwrap().1, before.1);
}

fn files(folder: &tempfile::TempDir) -> usize {
    let names = std::fs::read_dir(folder.path()).unwrap();
    names
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|kind| kind == "sst")
        })
        .count()
}
