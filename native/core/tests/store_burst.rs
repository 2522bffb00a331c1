//! Bursts: all or nothing, in order, bounded; and what a log record may not be.

use eraft_core::record::{self, Header, KIND_BLANK, KIND_COMMANDS, KIND_CONF};
use eraft_core::store::{ApplyMode, StoreError};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Log, Row, replies, views};
use stores::{BLIND, Machine, WITH_RESULTS};

#[test]
fn blank_and_conf_records_advance() {
    let mut m = Machine::new();
    let blank = m.log.seal(KIND_BLANK, &[], 0);
    let commands = m.log.record(&[Batch::new().put(b"k", b"v")]);
    let conf = m.log.seal(KIND_CONF, b"members", 0);
    m.records = vec![blank, commands, conf];
    let replies: Vec<_> = m
        .apply_from(0)
        .iter()
        .map(|(index, replies)| (*index, replies.len()))
        .collect();
    assert_eq!(replies, [(1, 0), (2, 1), (3, 0)]);
    assert_eq!((m.applied().index, m.applied().revision), (3, 1));
}

#[test]
fn revisions_may_leave_gaps() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"k", b"v"));
    m.log.next_revision = 1000;
    assert_eq!(
        m.one(Batch::new().put(b"k", b"w").put(b"l", b"w"))
            .first_revision,
        1000
    );
    assert_eq!(m.applied().revision, 1001);
}

#[test]
fn no_records_change_nothing() {
    let m = Machine::new();
    let mut out = b"x".to_vec();
    let applied = m
        .store()
        .apply(GROUP, &mut std::iter::empty(), WITH_RESULTS, &mut out)
        .unwrap();
    assert_eq!((applied.index, out.len()), (0, 1));
}

#[test]
fn batches_of_a_burst_see_those_before() {
    let mut m = Machine::new();
    m.records = vec![
        m.log.record(&[
            Batch::new().put(b"n", b"1"),
            Batch::new().increment(b"n", 1).append(b"n", b"0"),
        ]),
        m.log.record(&[
            Batch::new()
                .transact(2)
                .value_is(b"n", b"20")
                .increment(b"n", 5),
            Batch::new().put_previous(b"n", b"x"),
        ]),
    ];
    let found = m.apply_from(0);
    assert_eq!(found[0].1[1].rows, [Row::number(2), Row::number(2)]);
    assert_eq!(found[1].1[0].rows, [Row::default()]);
    assert_eq!(found[1].1[1].rows[0].entry, batches::Entry::of(4, b"25"));
    assert_eq!(m.get(b"n"), Some((5, b"x".to_vec())));
}

/// A record that cannot be applied takes the whole burst back: data, sessions, results and indexes.
#[test]
fn a_burst_is_applied_as_a_whole_or_not() {
    let mut m = Machine::new();
    let id = m.one(Batch::register()).first_revision;
    let good = m
        .log
        .record(&[Batch::of(id, 1, 0).increment(b"n", 1), Batch::register()]);
    let before = m.applied();
    let mut log = m.log;
    let mut bad = Vec::new();
    batches_of(&mut bad, &[Batch::new().command(99, 0, 0, b"k", b"", 0)]);
    let bad = log.seal(KIND_COMMANDS, &bad, 1);
    let mut out = b"kept".to_vec();
    let bytes = [&good[..], &bad].concat();
    let error = m
        .store()
        .apply(GROUP, &mut views(&bytes), WITH_RESULTS, &mut out)
        .unwrap_err();
    assert!(matches!(error, StoreError::Log { index: 3, .. }), "{error}");
    assert_eq!(
        (m.applied(), &out[..], m.get(b"n")),
        (before, &b"kept"[..], None)
    );
    assert_eq!(m.store().status().sessions, Some(1));
    let mut out = Vec::new();
    m.store()
        .apply(GROUP, &mut views(&good), WITH_RESULTS, &mut out)
        .unwrap();
    assert_eq!(replies(&out)[0].1[0].last_sequence, 1);
    assert_eq!(m.store().status().sessions, Some(2));
}

fn batches_of(payload: &mut Vec<u8>, batches: &[Batch]) {
    for batch in batches {
        eraft_core::command::push_batch(payload, &batch.encode());
    }
}

#[test]
fn records_that_cannot_be_applied_stop_apply() {
    let mut m = Machine::new();
    m.log.term = 5;
    m.one(Batch::new().put(b"k", b"v"));
    let mut payload = Vec::new();
    batches_of(&mut payload, &[Batch::new().put(b"k", b"w")]);
    let good = Header {
        kind: KIND_COMMANDS,
        group: GROUP,
        index: 2,
        term: 5,
        time: 0,
        first_revision: 2,
        count: 1,
    };
    let cut = &payload[..payload.len() - 8];
    let cases = [
        (
            "an index too far",
            Header { index: 3, ..good },
            &payload[..],
        ),
        ("an index again", Header { index: 1, ..good }, &payload),
        ("an older term", Header { term: 4, ..good }, &payload),
        ("another group", Header { group: 2, ..good }, &payload),
        (
            "a revision again",
            Header {
                first_revision: 1,
                ..good
            },
            &payload,
        ),
        ("a count too high", Header { count: 2, ..good }, &payload),
        ("a count too low", Header { count: 0, ..good }, &payload),
        ("an unknown kind", Header { kind: 9, ..good }, &payload),
        (
            "revisions without end",
            Header {
                first_revision: u64::MAX,
                ..good
            },
            &payload,
        ),
        ("a payload cut short", good, cut),
        ("a payload of garbage", good, &[0x77; 64]),
    ];
    for (name, header, payload) in cases {
        let record = record::build(payload, &header);
        let error = m
            .store()
            .apply(GROUP, &mut views(&record), BLIND, &mut Vec::new())
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Log { index: 1..=3, .. }),
            "{name}: {error}"
        );
        assert_eq!(error.wire(), 48);
        assert_eq!(m.get(b"k"), Some((1, b"v".to_vec())), "{name}");
    }
    let record = record::build(&payload, &good);
    assert_eq!(
        m.store()
            .apply(GROUP, &mut views(&record), BLIND, &mut Vec::new())
            .unwrap()
            .index,
        2
    );
}

/// What is not in memory makes a burst that must not wait refuse, with nothing changed.
#[test]
fn a_burst_that_would_wait_for_the_disk_is_busy() {
    let mut m = Machine::new();
    let id = m.one(Batch::register()).first_revision;
    let filler = |batch: Batch, n: u32| batch.put(&n.to_be_bytes(), &[b'x'; 500]);
    m.one((0..1000).fold(Batch::of(id, 1, 0), filler).put(b"n", b"1"));
    m.store().flush().unwrap();
    m.reopen();
    let before = m.applied();
    let mode = ApplyMode {
        results: true,
        no_slowdown: true,
    };
    for batch in [
        Batch::of(id, 2, 0).put(b"x", b"y").increment(b"n", 1),
        Batch::new().put_previous(b"n", b"y"),
        Batch::new().transact(1).exists(b"n"),
        Batch::new().delete_range(b"", b"", -1, false),
    ] {
        let mut log = m.log;
        let record = log.record(&[batch]);
        let mut out = Vec::new();
        assert_eq!(
            m.store().apply(GROUP, &mut views(&record), mode, &mut out),
            Err(StoreError::Busy)
        );
        assert_eq!((m.applied(), out.len()), (before, 0));
    }
    let record = m.log.record(&[Batch::of(id, 2, 0).put(b"x", b"y")]);
    assert!(
        m.store()
            .apply(GROUP, &mut views(&record), mode, &mut Vec::new())
            .is_ok(),
        "blind writes need no read"
    );
}

/// The order of RocksDB's batch does not show: the last write of each key counts, whatever the keys look like.
#[test]
fn the_last_write_of_a_key_counts() {
    let mut m = Machine::new();
    let keys: [&[u8]; 8] = [
        b"k",
        b"k\0",
        b"k\0\0",
        b"key1",
        b"key11111111",
        b"key111111112",
        b"ke",
        &[b'k'; 300],
    ];
    let mut batch = Batch::new();
    for round in 0..50usize {
        for step in 0..keys.len() {
            let key = keys[(round * 5 + step * 3) % keys.len()];
            batch = if (round + step) % 7 == 0 {
                batch.delete(key)
            } else {
                batch.put(key, &[round as u8, step as u8])
            };
        }
    }
    let mut model = model_of(&batch);
    m.one(batch);
    model.sort();
    assert_eq!(m.entries(), model);
}

fn model_of(batch: &Batch) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let mut entries = std::collections::BTreeMap::new();
    let mut data = &batch.data[..];
    for (revision, header) in batch.headers.iter().enumerate() {
        let (key, rest) = data.split_at(header.key_length() as usize);
        let (value, rest) = rest.split_at(header.value_length() as usize);
        data = rest;
        match header.kind() {
            1 => entries.insert(key.to_vec(), (revision as u64 + 1, value.to_vec())),
            _ => entries.remove(key),
        };
    }
    entries
        .into_iter()
        .map(|(key, (revision, value))| (key, revision, value))
        .collect()
}

#[test]
fn one_log_gives_one_state_however_it_is_cut_into_bursts() {
    let mut log = Log::default();
    let records: Vec<_> = (0..60u8)
        .map(|n| {
            log.record(&[
                Batch::new()
                    .append(&[n % 7], &[b'a' + n % 20])
                    .increment(b"n", 1)
                    .delete_range(&[n % 5], &[n % 5 + 1], -1, false),
                Batch::new()
                    .transact(3)
                    .exists(&[n % 7])
                    .append(&[n % 7], b"t")
                    .increment(&[n % 7], 1),
            ])
        })
        .collect();
    let state = |burst: usize| {
        let m = Machine::new();
        let mut out = Vec::new();
        for records in records.chunks(burst) {
            m.store()
                .apply(GROUP, &mut views(&records.concat()), WITH_RESULTS, &mut out)
                .unwrap();
        }
        (m.entries(), out)
    };
    let one = state(1);
    for burst in [2, 7, 60] {
        assert!(state(burst) == one, "bursts of {burst}");
    }
}
