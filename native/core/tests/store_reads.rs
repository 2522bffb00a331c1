//! Reads: one snapshot, two tiers, pages both ways, pinned views.

use std::sync::Arc;

use eraft_core::command::limits;
use eraft_core::store::{Peek, StoreError, StoreLimits, Tier};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, Entry, GROUP, Scan, read_batch, read_result};
use stores::Machine;

fn filled(keys: u32) -> Machine {
    let mut m = Machine::new();
    for chunk in (0..keys).collect::<Vec<_>>().chunks(1000) {
        m.one(
            chunk
                .iter()
                .fold(Batch::new(), |batch, n| batch.put(&key(*n), &[b'v'; 100])),
        );
    }
    m
}

fn key(n: u32) -> Vec<u8> {
    format!("key{n:06}").into_bytes()
}

#[test]
fn a_view_does_not_change() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"a", b"1").put(b"b", b"2"));
    let view = m.store().view(GROUP).unwrap();
    m.one(Batch::new().put(b"a", b"3").delete(b"b"));
    let mut out = b"before".to_vec();
    assert!(
        m.store()
            .read(
                &view,
                &read_batch(&[b"a", b"b", b"c"], false),
                Tier::Memory,
                &mut out
            )
            .unwrap()
    );
    let entries = vec![Entry::of(1, b"1"), Entry::of(2, b"2"), None];
    assert_eq!(read_result(&out[6..]), (2, entries));
    assert_eq!(m.read(&[b"a", b"b"]), (4, vec![Entry::of(3, b"3"), None]));
}

#[test]
fn a_view_outlives_its_store() {
    let mut m = filled(10);
    let view = m.store().view(GROUP).unwrap();
    let store = Arc::new(m.store.take().unwrap());
    let other = view.clone();
    let reader = std::thread::spawn(move || {
        let mut out = Vec::new();
        store
            .read(&other, &read_batch(&[&key(1)], false), Tier::All, &mut out)
            .unwrap();
        read_result(&out).1.len()
    });
    assert_eq!(reader.join().unwrap(), 1);
    assert_eq!((view.revision(), view.group()), (10, GROUP));
}

#[test]
fn existence_alone() {
    let m = filled(40);
    let keys: Vec<_> = (35..45).map(key).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let mut out = Vec::new();
    assert!(
        m.store()
            .read(
                &m.store().view(GROUP).unwrap(),
                &read_batch(&keys, true),
                Tier::All,
                &mut out
            )
            .unwrap()
    );
    let (_, entries) = read_result(&out);
    let revisions: Vec<_> = entries
        .iter()
        .flatten()
        .map(|entry| entry.revision)
        .collect();
    assert_eq!(revisions, [36, 37, 38, 39, 40]);
    assert!(
        entries
            .iter()
            .flatten()
            .all(|entry| entry.value.as_deref() == Some(b""))
    );
    let (revision, none) = m.read(&[]);
    assert_eq!((revision, none.len()), (40, 0));
}

/// After a restart nothing is cached: the memory tier says so, appends nothing, and the other tier reads the same view.
#[test]
fn what_is_not_in_memory_is_left_to_others() {
    let mut m = filled(20_000);
    m.store().flush().unwrap();
    m.reopen();
    let many: Vec<_> = (0..100).map(|n| key(n * 150)).collect();
    let many: Vec<&[u8]> = many.iter().map(|key| &key[..]).collect();
    for keys in [&many[1..2], &many] {
        let view = m.store().view(GROUP).unwrap();
        let mut out = b"before".to_vec();
        let batch = read_batch(keys, false);
        assert!(
            !m.store()
                .read(&view, &batch, Tier::Memory, &mut out)
                .unwrap()
        );
        assert_eq!(out, b"before");
        assert_eq!(
            m.store().peek(GROUP, keys[keys.len() - 1], &mut out),
            Ok(Peek::NotInMemory)
        );
        assert!(m.store().read(&view, &batch, Tier::All, &mut out).unwrap());
        assert!(read_result(&out[6..]).1.iter().all(Option::is_some));
        let mut cached = Vec::new();
        assert!(
            m.store()
                .read(&view, &batch, Tier::Memory, &mut cached)
                .unwrap()
        );
        assert_eq!(cached, out[6..]);
        drop(view); // it keeps the files open
        m.reopen();
    }
}

#[test]
fn peek_sees_the_present() {
    let mut m = filled(3);
    let mut out = b"+".to_vec();
    assert_eq!(m.store().peek(GROUP, &key(1), &mut out), Ok(Peek::Found));
    assert_eq!(out.len(), 101);
    assert_eq!(
        m.store().peek(GROUP, b"nothing", &mut out),
        Ok(Peek::Absent)
    );
    m.one(Batch::new().delete(&key(1)));
    assert_eq!(m.store().peek(GROUP, &key(1), &mut out), Ok(Peek::Absent));
}

#[test]
fn values_beyond_the_reply_are_left_out() {
    let mut m = Machine::new();
    for n in 0..5 {
        m.one(Batch::new().put(&key(n), &vec![b'x'; limits::VALUE_BYTES_MAX]));
    }
    m.one(Batch::new().put(&key(5), b"small"));
    let keys: Vec<_> = (0..6).map(key).collect();
    let (_, entries) = m.read(&keys.iter().map(|key| &key[..]).collect::<Vec<_>>());
    let there: Vec<_> = entries
        .iter()
        .flatten()
        .map(|entry| entry.value.is_some())
        .collect();
    assert_eq!(there, [true, true, true, false, false, true]);
}

#[test]
fn malformed_reads_are_requests_errors() {
    let m = filled(1);
    let mut out = Vec::new();
    let wire = |found: Result<_, StoreError>| found.map(|_: bool| ()).unwrap_err().wire();
    assert_eq!(
        wire(m.store().read(
            &m.store().view(GROUP).unwrap(),
            b"garbage",
            Tier::All,
            &mut out
        )),
        25
    );
    assert_eq!(
        wire(m.store().read(
            &m.store().view(GROUP).unwrap(),
            &read_batch(&[b""], false),
            Tier::All,
            &mut out
        )),
        20
    );
    assert_eq!(
        m.store()
            .scan(GROUP, b"garbage", 0, &mut out)
            .unwrap_err()
            .wire(),
        25
    );
    assert!(out.is_empty());
}

#[test]
fn pages_follow_each_other_both_ways() {
    let m = filled(2500);
    for (reverse, keys_only) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut scan = Scan {
            reverse,
            keys_only,
            limit: 400,
            page_bytes: 20_000,
            ..Scan::default()
        };
        let mut found = Vec::new();
        loop {
            let page = m.scan(&scan);
            assert!(page.entries.len() <= 400);
            found.extend(page.entries.iter().map(|entry| entry.key.clone()));
            if !page.more {
                break;
            }
            let last = found.last().unwrap().clone();
            if reverse {
                scan.end = last
            } else {
                scan.first = [&last[..], &[0]].concat()
            }
        }
        let mut wanted: Vec<_> = (0..2500).map(key).collect();
        if reverse {
            wanted.reverse();
        }
        assert!(found == wanted, "reverse {reverse}");
    }
}

#[test]
fn pages_are_bounded_in_bytes_but_never_empty() {
    let mut m = Machine::new();
    m.one(
        Batch::new()
            .put(b"a", &[0; 5000])
            .put(b"b", &[0; 10])
            .put(b"c", &[0; 10]),
    );
    let sizes = |page_bytes| {
        let mut out = Vec::new();
        m.store()
            .scan(
                GROUP,
                &Scan {
                    page_bytes,
                    ..Scan::default()
                }
                .encode(),
                0,
                &mut out,
            )
            .unwrap();
        (batches::scan_page(&out).entries.len(), out.len())
    };
    assert_eq!(sizes(0).0, 1);
    let (entries, bytes) = sizes(u32::MAX);
    assert_eq!(entries, 3);
    assert_eq!(sizes(bytes as u32), (3, bytes));
    assert_eq!(sizes(bytes as u32 - 1).0, 2);
}

#[test]
fn a_pinned_view_stays_as_it_was_until_its_last_page() {
    let mut m = filled(5);
    let first = m.scan(&Scan {
        limit: 2,
        snapshot: 1,
        ..Scan::default()
    });
    assert!(first.more && first.snapshot > 1 && first.snapshot < 1 << 53);
    m.one(Batch::new().delete_range(b"", b"", -1, false));
    let rest = Scan {
        first: b"key000002".to_vec(),
        limit: 2,
        snapshot: first.snapshot,
        ..Scan::default()
    };
    let second = m.scan(&rest);
    assert_eq!(
        (second.keys().len(), second.revision, second.snapshot),
        (2, 5, first.snapshot)
    );
    let last = m.scan(&Scan {
        limit: 3,
        ..rest.clone()
    });
    assert_eq!((last.keys().len(), last.more, last.snapshot), (3, false, 0));
    assert_eq!(m.store().status().views, 0);
    assert_eq!(m.try_scan(&rest, 0).err(), Some(StoreError::SnapshotLost));
    assert_eq!(m.scan(&Scan::default()).keys().len(), 0);
    // One page is enough: nothing stays pinned.
    let only = m.scan(&Scan {
        snapshot: 1,
        ..Scan::default()
    });
    assert_eq!(
        (only.more, only.snapshot, m.store().status().views),
        (false, 0, 0)
    );
}

#[test]
fn pinned_views_are_bounded_in_number_and_life() {
    let limits = StoreLimits {
        views_max: 2,
        view_idle_ms: 100,
        ..StoreLimits::default()
    };
    let mut m = Machine::with(limits);
    m.one(Batch::new().put(b"a", b"").put(b"b", b""));
    let pin = Scan {
        limit: 1,
        snapshot: 1,
        ..Scan::default()
    };
    let page = |id| Scan {
        limit: 1,
        snapshot: id,
        ..Scan::default()
    };
    let a = m.try_scan(&pin, 0).unwrap().snapshot;
    let b = m.try_scan(&pin, 0).unwrap().snapshot;
    assert_ne!(a, b);
    assert_eq!(m.try_scan(&pin, 50).err(), Some(StoreError::TooManyViews));
    assert!(m.try_scan(&page(a), 100).is_ok());
    assert_eq!(
        m.try_scan(&page(b), 101).err(),
        Some(StoreError::SnapshotLost)
    );
    assert!(m.try_scan(&page(a), 200).is_ok());
    assert!(m.try_scan(&pin, 200).is_ok());
    m.store().close_view(a);
    assert_eq!(
        m.try_scan(&page(a), 200).err(),
        Some(StoreError::SnapshotLost)
    );
    m.store().expire_views(301);
    assert_eq!(m.store().status().views, 0);
}

/// An id from before a restart, or of another replica, is lost; it never names somebody else's view.
#[test]
fn ids_of_views_differ_between_openings() {
    let open = |seed| {
        let disk = eraft_core::store::MemoryDisk::new().unwrap();
        let options = eraft_core::store::StoreOptions {
            view_seed: seed,
            ..stores::options(&disk, StoreLimits::default())
        };
        let store =
            eraft_core::store::Store::open(std::path::Path::new("/s"), b"x", options).unwrap();
        let mut m = Machine {
            store: Some(store),
            disk,
            ..Machine::new()
        };
        m.one(Batch::new().put(b"a", b"").put(b"b", b""));
        m.scan(&Scan {
            limit: 1,
            snapshot: 1,
            ..Scan::default()
        })
        .snapshot
    };
    let ids = [0, 1, u64::MAX].map(open);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids.iter().all(|id| (2..1 << 53).contains(id)));
}
