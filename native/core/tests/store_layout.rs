//! What stands on the disk, byte for byte, as docs/log-format.md says; and that nothing is left behind.

use std::collections::BTreeMap;
use std::path::Path;

use eraft_core::store::{Store, StoreOptions};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Log, TIME, views};
use stores::BLIND;

type Raw = BTreeMap<Vec<u8>, Vec<u8>>;

/// Applies each record as a burst of its own, flushes, and reads what RocksDB then holds.
fn stored(path: &Path, records: &[Vec<u8>]) -> Raw {
    let store = Store::open(path, b"owner", StoreOptions::default()).unwrap();
    for record in records {
        store
            .apply(GROUP, &mut views(record), BLIND, &mut Vec::new())
            .unwrap();
    }
    store.flush().unwrap();
    drop(store);
    let db = rocksdb::DB::open_for_read_only(&rocksdb::Options::default(), path, false).unwrap();
    let entries = db
        .iterator(rocksdb::IteratorMode::Start)
        .map(Result::unwrap);
    entries
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

fn numbers(parts: &[u64]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.to_le_bytes()).collect()
}

#[test]
fn keys_and_values_have_their_documented_form() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log {
        term: 4,
        ..Log::default()
    };
    let records = [
        log.record(&[Batch::register(), Batch::new().put(b"key", b"value")]),
        log.record(&[
            Batch::of(1, 1, 0).increment(b"n", 7),
            Batch::of(1, 2, 0).put(b"key", b"newer"),
        ]),
    ];
    let result = [&[24, 0, 0, 0][..], &[0; 16], &7u64.to_le_bytes()].concat();
    let window = [
        &numbers(&[3])[..],
        &[1, 0, 0, 0, 1],
        &numbers(&[4]),
        &[1, 0, 0, 0, 0],
    ]
    .concat();
    let session = [&[1][..], &numbers(&[2, 0, 4]), &[2, 0, 0, 0], &window].concat();
    let wanted: Raw = [
        (
            b"\0\0\0\0\x01\0\0identity".to_vec(),
            b"\x01\0\0\0owner".to_vec(),
        ),
        (
            b"\0\0\0\x01\x01\0\0applied".to_vec(),
            [&[1][..], &numbers(&[2, 4, TIME + 2, 4])].concat(),
        ),
        (b"\0\0\0\x01\x02\0\0h\0\0\0\0\0\0\0\x01".to_vec(), session),
        (
            b"\0\0\0\x01\x02\0\0r\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec(),
            result,
        ),
        (
            b"\0\0\0\x01\x03\0\0key".to_vec(),
            b"\x01\x04\0\0\0\0\0\0\0newer".to_vec(),
        ),
        (
            b"\0\0\0\x01\x03\0\0n".to_vec(),
            b"\x01\x03\0\0\0\0\0\0\x007".to_vec(),
        ),
    ]
    .into();
    assert_eq!(stored(folder.path(), &records), wanted);
}

/// Results that are acknowledged, and sessions that gave way, take no room.
#[test]
fn what_is_acknowledged_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    let increments = |log: &mut Log, sequences: std::ops::Range<u64>, acknowledged: u64| {
        let batches: Vec<_> = sequences
            .map(|sequence| Batch::of(1, sequence, acknowledged).increment(b"n", 1))
            .collect();
        log.record(&batches)
    };
    let records = [
        log.record(&[Batch::register()]),
        increments(&mut log, 1..6, 0),
        increments(&mut log, 6..7, 4),
    ];
    let results = |raw: &Raw| -> Vec<u8> {
        raw.keys()
            .filter(|key| key[4] == 2 && key[7] == b'r')
            .map(|key| *key.last().unwrap())
            .collect()
    };
    assert_eq!(results(&stored(folder.path(), &records)), [5, 6]);
    // Within one burst, nothing that is acknowledged is ever written.
    let burst = [
        increments(&mut log, 7..9, 6),
        increments(&mut log, 9..10, 8),
    ]
    .concat();
    assert_eq!(results(&stored(folder.path(), &[burst])), [9]);
    let mut options = StoreOptions::default();
    options.limits.sessions_max = 1;
    let store = Store::open(folder.path(), b"owner", options).unwrap();
    store
        .apply(
            GROUP,
            &mut views(&log.record(&[Batch::register()])),
            BLIND,
            &mut Vec::new(),
        )
        .unwrap();
    store.flush().unwrap();
    drop(store);
    let raw = stored(folder.path(), &[]);
    assert!(results(&raw).is_empty());
    assert_eq!(
        raw.keys().filter(|key| key[4] == 2).count(),
        1,
        "the new session alone"
    );
}
