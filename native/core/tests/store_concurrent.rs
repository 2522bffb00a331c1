//! Reads, scans and status from several threads while one applies.

use std::sync::atomic::{AtomicBool, Ordering};

use eraft_core::store::{ReadView, Store, Tier};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, Entry, GROUP, Scan, read_batch, read_result, scan_page, views};
use stores::{BLIND, Machine};

const KEYS: u8 = 20;
const RECORDS: u64 = 2000;

/// Each record writes its number to every key, so a view is whole if all values agree, and its revision tells which
/// record was the last: `KEYS` revisions for each.
#[test]
fn views_are_whole_and_know_their_revision() {
    let mut m = Machine::new();
    let batch = |n: u64| {
        (0..KEYS).fold(Batch::new(), |batch, key| {
            batch.put(&[key], &n.to_le_bytes())
        })
    };
    let records: Vec<_> = (1..=RECORDS).map(|n| m.log.record(&[batch(n)])).collect();
    let done = AtomicBool::new(false);
    let store = m.store();
    std::thread::scope(|scope| {
        for look in [read, read_twice, scan] {
            let done = &done;
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let (revision, entries) = look(store);
                    let record = check(revision, &entries);
                    assert!(record >= last, "views never go back");
                    last = record;
                    store.status();
                }
            });
        }
        for (n, record) in records.iter().enumerate() {
            store
                .apply(GROUP, &mut views(record), BLIND, &mut Vec::new())
                .unwrap();
            if n % 500 == 499 {
                store.flush().unwrap();
            }
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(store.applied(GROUP).index, RECORDS);
    assert_eq!(store.flushed(GROUP), RECORDS);
}

fn read(store: &Store) -> (u64, Vec<Entry>) {
    let before = store.applied(GROUP).revision;
    let view = store.view(GROUP).unwrap();
    assert!(view.revision() >= before);
    read_over(store, &view, Tier::All)
}

/// From memory, where values are found that other views have seen: by the older of two views last.
fn read_twice(store: &Store) -> (u64, Vec<Entry>) {
    let older = store.view(GROUP).unwrap();
    let (revision, entries) = read_over(store, &store.view(GROUP).unwrap(), Tier::Memory);
    check(revision, &entries);
    read_over(store, &older, Tier::Memory)
}

fn read_over(store: &Store, view: &ReadView, tier: Tier) -> (u64, Vec<Entry>) {
    let keys: Vec<[u8; 1]> = (0..KEYS).map(|key| [key]).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let mut out = Vec::new();
    let batch = read_batch(&keys, false);
    let found = store.read(view, &batch, tier, &mut out).unwrap()
        || store.read(view, &batch, Tier::All, &mut out).unwrap();
    assert!(found);
    let (revision, entries) = read_result(&out);
    (revision, entries.into_iter().flatten().collect())
}

fn scan(store: &Store) -> (u64, Vec<Entry>) {
    let mut out = Vec::new();
    store
        .scan(GROUP, &Scan::default().encode(), 0, &mut out)
        .unwrap();
    let page = scan_page(&out);
    (page.revision, page.entries)
}

/// The record that a view ends with.
fn check(revision: u64, entries: &[Entry]) -> u64 {
    let record = revision / u64::from(KEYS);
    assert_eq!(revision % u64::from(KEYS), 0, "a view within a record");
    assert_eq!(
        entries.len(),
        if record == 0 { 0 } else { usize::from(KEYS) }
    );
    for entry in entries {
        assert_eq!(
            entry.value.as_deref(),
            Some(&record.to_le_bytes()[..]),
            "revision {revision}"
        );
    }
    record
}
