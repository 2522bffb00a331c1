//! One state in the place of another: who looks finds the old one, the new one, or a refusal.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use batches::{Batch, GROUP, Log, read_batch, read_result, views};
use eraft_core::store::{Applied, Peek, Store, StoreError, StoreLimits, Tier};
use stores::*;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// The rows of a state in which every key has `value`, behind so many registered sessions; and how far it is applied.
fn state(value: &[u8], keys: std::ops::Range<u32>, sessions: u64) -> (Rows, Applied) {
    let mut m = Machine::new();
    for _ in 0..sessions {
        m.one(Batch::register());
    }
    for key in keys {
        m.one(Batch::new().put(format!("key-{key:03}").as_bytes(), value));
    }
    rows(m.store())
}

fn rows(store: &Store) -> (Rows, Applied) {
    let mut export = store.export(GROUP).unwrap();
    let mut found = Rows::new();
    // One row at a time: also a beginning anew behind each.
    while !export
        .rows(&mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap()
    {}
    (found, export.applied())
}

fn replace(store: &Store, (rows, applied): &(Rows, Applied)) {
    store.replace_begin(GROUP).unwrap();
    for some in rows.chunks(7) {
        let mut some = some.iter().map(|(key, value)| (&key[..], &value[..]));
        store.replace_rows(GROUP, &mut some).unwrap();
    }
    store.replace_end(GROUP, *applied).unwrap();
}

#[test]
fn what_goes_out_comes_in_whatever_was_there() {
    let new = state(b"new", 10..60, 5);
    assert!(new.0.iter().all(|(key, value)| Store::is_row(key, value)));
    let mut m = Machine::new();
    for key in 0..30u32 {
        m.one(Batch::new().put(format!("key-{key:03}").as_bytes(), b"old"));
    }
    // Evaluated and not written: it goes as well.
    let mut log = m.log;
    let record = log.record(&[Batch::new().put(b"key-900", b"pending")]);
    m.store()
        .evaluate(GROUP, &mut views(&record), BLIND, &mut Vec::new())
        .unwrap();
    assert_eq!(m.get(b"key-005").unwrap().1, b"old"); // remembered from now on
    assert_eq!(m.get(b"key-015").unwrap().1, b"old");
    replace(m.store(), &new);
    assert_eq!(rows(m.store()), new);
    assert_eq!(
        (m.store().applied(GROUP), m.store().flushed(GROUP)),
        (new.1, new.1.index)
    );
    assert_eq!(m.get(b"key-005"), None);
    assert_eq!(m.get(b"key-015").unwrap().1, b"new");
    m.store().write(GROUP, false).unwrap();
    assert_eq!(m.get(b"key-900"), None);
    m.reopen();
    assert_eq!(rows(m.store()), new);
    // And the log goes on behind it, sessions too: the one that was registered by command 1.
    m.log = Log {
        index: new.1.index,
        term: 1,
        next_revision: new.1.revision + 1,
    };
    m.records.clear();
    let reply = m.one(Batch::of(1, 1, 0).put(b"key-999", b"x"));
    assert_eq!((reply.status, reply.last_sequence), (0, 1));
}

#[test]
fn in_the_middle_everything_is_refused_also_after_an_opening() {
    let new = state(b"new", 0..20, 3);
    let mut m = Machine::new();
    m.one(Batch::new().put(b"key-001", b"old"));
    let view = m.store().view(GROUP).unwrap();
    let refused = |store: &Store| {
        assert!(store.is_replacing(GROUP));
        assert!(matches!(store.view(GROUP), Err(StoreError::Replacing)));
        assert!(matches!(store.export(GROUP), Err(StoreError::Replacing)));
        assert!(matches!(
            store.peek(GROUP, b"key-001", &mut Vec::new()),
            Err(StoreError::Replacing)
        ));
        let scan = batches::Scan::default().encode();
        assert!(matches!(
            store.scan(GROUP, &scan, 0, &mut Vec::new()),
            Err(StoreError::Replacing)
        ));
        assert_eq!(StoreError::Replacing.wire(), 3, "asking again is right");
    };
    m.store().replace_begin(GROUP).unwrap();
    refused(m.store());
    let mut some = new.0[..5].iter().map(|(key, value)| (&key[..], &value[..]));
    m.store().replace_rows(GROUP, &mut some).unwrap();
    refused(m.store());
    let mut out = Vec::new();
    assert!(
        m.store()
            .read(
                &view,
                &read_batch(&[b"key-001"], false),
                Tier::All,
                &mut out
            )
            .unwrap()
    );
    assert_eq!(
        read_result(&out).1[0].as_ref().unwrap().value.as_deref(),
        Some(&b"old"[..])
    );
    drop(view);
    m.store().flush().unwrap();
    drop(m.store.take());
    let options = options(&m.disk, StoreLimits::default());
    let store = Store::open(Path::new(PATH), IDENTITY, options).unwrap();
    refused(&store);
    assert_eq!(store.applied(GROUP), Applied::default());
    replace(&store, &new);
    assert!(!store.is_replacing(GROUP));
    assert_eq!(rows(&store), new);
}

#[test]
fn a_refused_write_is_done_again() {
    let new = state(b"new", 0..20, 3);
    let m = Machine::new();
    let retry = |what: &dyn Fn() -> Result<(), StoreError>| {
        m.disk.refuse_writes(1);
        assert!(matches!(what(), Err(StoreError::Io { .. })));
        what().unwrap();
    };
    retry(&|| m.store().replace_begin(GROUP));
    for some in new.0.chunks(7) {
        retry(&|| {
            let mut some = some.iter().map(|(key, value)| (&key[..], &value[..]));
            m.store().replace_rows(GROUP, &mut some)
        });
    }
    retry(&|| m.store().replace_end(GROUP, new.1));
    assert_eq!(rows(m.store()), new);
}

#[test]
fn readers_beside_it_never_see_a_mixture() {
    let old = state(b"old", 0..80, 3);
    let new = state(b"new", 0..80, 9);
    let m = Machine::new();
    replace(m.store(), &old);
    let (done, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let keys: Vec<Vec<u8>> = (0..80)
        .map(|key| format!("key-{key:03}").into_bytes())
        .collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    thread::scope(|scope| {
        for tier in [Tier::Memory, Tier::All] {
            let (store, done, seen, keys) = (m.store(), &done, &seen, &keys);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let mut out = Vec::new();
                    match store.peek(GROUP, keys[40], &mut out) {
                        Ok(Peek::Found | Peek::NotInMemory) | Err(StoreError::Replacing) => {}
                        other => panic!("{other:?}"),
                    }
                    let Ok(view) = store.view(GROUP) else {
                        continue;
                    };
                    out.clear();
                    if !store
                        .read(&view, &read_batch(keys, false), tier, &mut out)
                        .unwrap()
                    {
                        continue;
                    }
                    let (revision, entries) = read_result(&out);
                    let values: Vec<Vec<u8>> = entries
                        .into_iter()
                        .map(|e| e.expect("in both").value.unwrap())
                        .collect();
                    let expected = if revision == old.1.revision {
                        &b"old"[..]
                    } else {
                        &b"new"[..]
                    };
                    assert!(
                        values.iter().all(|value| value == expected),
                        "a mixture at revision {revision}"
                    );
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..60 {
            replace(m.store(), if round % 2 == 0 { &new } else { &old });
        }
        while seen.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
}
