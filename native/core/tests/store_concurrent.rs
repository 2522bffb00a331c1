//! Reads, scans and status from several threads while one applies.

use std::sync::atomic::{AtomicBool, Ordering};

use eraft_core::store::Tier;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Scan, read_batch, read_result, scan_page, views};
use stores::{BLIND, Machine};

const KEYS: u8 = 20;

/// Each record writes its number to every key, so a view is whole if all values agree, and its revision tells which
/// record was the last: `KEYS` revisions for each.
#[test]
fn views_are_whole_and_know_their_revision() {
    let mut m = Machine::new();
    let records: Vec<_> = (1..=2000u64)
        .map(|n| {
            m.log.record(&[(0..KEYS).fold(Batch::new(), |batch, key| {
                batch.put(&[key], &n.to_le_bytes())
            })])
        })
        .collect();
    let done = AtomicBool::new(false);
    let store = m.store();
    let keys: Vec<[u8; 1]> = (0..KEYS).map(|key| [key]).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let check = |revision: u64, values: Vec<Vec<u8>>| {
        let record = revision / u64::from(KEYS);
        assert_eq!(revision % u64::from(KEYS), 0, "a view within a record");
        assert_eq!(
            values.len(),
            if record == 0 { 0 } else { usize::from(KEYS) }
        );
        assert!(
            values.iter().all(|value| value[..] == record.to_le_bytes()),
            "revision {revision}"
        );
        record
    };
    std::thread::scope(|scope| {
        for scans in [false, true] {
            let (done, keys) = (&done, &keys);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let mut out = Vec::new();
                    let (revision, values) = if scans {
                        store
                            .scan(GROUP, &Scan::default().encode(), 0, &mut out)
                            .unwrap();
                        let page = scan_page(&out);
                        (
                            page.revision,
                            page.entries
                                .into_iter()
                                .map(|entry| entry.value.unwrap())
                                .collect(),
                        )
                    } else {
                        let before = store.applied(GROUP).revision;
                        let view = store.view(GROUP);
                        assert!(view.revision() >= before);
                        assert!(
                            store
                                .read(&view, &read_batch(keys, false), Tier::All, &mut out)
                                .unwrap()
                        );
                        let (revision, entries) = read_result(&out);
                        (
                            revision,
                            entries
                                .into_iter()
                                .flatten()
                                .map(|entry| entry.value.unwrap())
                                .collect(),
                        )
                    };
                    let record = check(revision, values);
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
    assert_eq!(store.applied(GROUP).index, 2000);
    assert_eq!(store.flushed(GROUP), 2000);
}
