//! Where the state machine says no, ends early or leaves out: bounds on bursts, records, ranges and replies.

use eraft_core::command::limits;
use eraft_core::store::StoreLimits;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Log, Row, replies, views};
use stores::{BLIND, Machine, WITH_RESULTS};

/// One record may make no more than 128 MiB of values; the same wherever bursts begin.
#[test]
fn a_record_of_large_appends_is_bounded() {
    let key = |n: usize| format!("k{n:04}").into_bytes();
    let fill = |m: &mut Machine| {
        for n in 0..130 {
            m.one(Batch::new().put(&key(n), &vec![b'x'; limits::VALUE_BYTES_MAX - 8]));
        }
    };
    let appends = (0..130).fold(Batch::new(), |batch, n| batch.append(&key(n), b"y"));
    let mut m = Machine::new();
    fill(&mut m);
    let reply = m.one(appends.append(&key(0), b"z"));
    let refused = reply.rows.iter().filter(|row| row.status == 3).count();
    assert_eq!(refused, 2, "128 values fit, and a suffix of one of them");
    assert_eq!(reply.rows.last().unwrap().status, 0);
}

/// The bound on what the appends of one record make is the same on every replica, wherever its bursts begin: a value
/// that was deleted, or appended to, by the record before counts the same from the overlay as from RocksDB.
#[test]
fn the_bound_of_a_record_does_not_depend_on_bursts() {
    const LARGE: usize = (1 << 20) - 16;
    let key = |n: usize| [b'k', n as u8];
    let mut log = Log::default();
    let mut records: Vec<_> = (0..127)
        .map(|n| log.record(&[Batch::new().put(&key(n), &vec![b'x'; LARGE])]))
        .collect();
    let more_than_half = vec![b'y'; 600 << 10];
    records.push(
        log.record(&[Batch::new()
            .append(&key(0), b"1")
            .delete(b"gone")
            .append(b"gone", b"")
            .delete(b"gone")]),
    );
    // 127 large values leave room for one more: for this one, not for a copy of it.
    let appends = (0..127).fold(Batch::new(), |batch, n| batch.append(&key(n), b"2"));
    records.push(
        log.record(&[
            appends,
            Batch::new()
                .append(b"gone", &more_than_half)
                .append(b"gone", b"3")
                .append(b"gone", b"4"),
        ]),
    );
    let state = |last_burst: usize| {
        let m = Machine::new();
        for record in &records[..records.len() - last_burst] {
            m.store()
                .apply(GROUP, &mut views(record), BLIND, &mut Vec::new())
                .unwrap();
        }
        let mut out = Vec::new();
        let rest = records[records.len() - last_burst..].concat();
        m.store()
            .apply(GROUP, &mut views(&rest), WITH_RESULTS, &mut out)
            .unwrap();
        let statuses = |rows: &[Row]| rows.iter().map(|row| row.status).collect::<Vec<_>>();
        let replies = replies(&out).pop().unwrap().1;
        [statuses(&replies[0].rows), statuses(&replies[1].rows)]
    };
    let alone = state(1);
    assert_eq!(
        alone[1],
        [0, 3, 3],
        "the first fits, the second would copy it"
    );
    assert_eq!(state(2), alone);
}

#[test]
fn a_large_burst_ends_early_at_a_record() {
    let mut m = Machine::new();
    let value = vec![b'x'; 1 << 20];
    for n in 0..100u8 {
        let record = m.log.record(&[Batch::new().put(&[n], &value)]);
        m.records.push(record);
    }
    let bytes = m.records.concat();
    let mut taken = 0;
    let mut records = views(&bytes).inspect(|_| taken += 1);
    let applied = m
        .store()
        .apply(GROUP, &mut records, BLIND, &mut Vec::new())
        .unwrap();
    drop(records);
    assert_eq!(applied.index, 64);
    assert_eq!(taken, 64, "no record is taken and left out");
    assert_eq!(m.applied(), applied);
    let rest = m.records[64..].concat();
    assert_eq!(
        m.store()
            .apply(GROUP, &mut views(&rest), BLIND, &mut Vec::new())
            .unwrap()
            .index,
        100
    );
}

/// Keys of a range are kept in many chunks; each stays what it was.
#[test]
fn a_large_range_is_deleted_whole() {
    let limits = StoreLimits {
        delete_range_keys_max: 20_000,
        ..StoreLimits::default()
    };
    let mut m = Machine::with(limits);
    let key = |n: u32| [&n.to_be_bytes()[..], &[b'k'; 40]].concat();
    for chunk in 0..2 {
        m.one((0..8000).fold(Batch::new(), |batch, n| {
            batch.put(&key(chunk * 8000 + n), b"v")
        }));
    }
    let ranges = Batch::new()
        .delete_range(&key(5), &key(10_000), -1, false)
        .delete_range(&key(12_000), b"", 1000, true)
        .delete_range(b"", b"", 2, false)
        .append(&key(4), b"+");
    assert_eq!(m.one(ranges).rows, [9995, 1000, 2, 2].map(Row::number));
    let left = m.entries();
    assert_eq!(left.len(), 16_000 - 9995 - 1000 - 2);
    assert_eq!(
        (&left[0].0, &left[3].0, &left.last().unwrap().0),
        (&key(2), &key(10_000), &key(14_999))
    );
}

/// A reply has to fit into a client frame: the values that do not are marked, and their revisions are told.
#[test]
fn values_beyond_the_reply_are_left_out() {
    let mut m = Machine::new();
    let large = vec![b'x'; limits::VALUE_BYTES_MAX];
    for key in 0..5u8 {
        m.one(Batch::new().put(&[key], &large));
    }
    let rows = m
        .one((0..5u8).fold(Batch::new(), |batch, key| batch.delete_previous(&[key])))
        .rows;
    let present: Vec<_> = rows
        .iter()
        .map(|row| row.entry.as_ref().unwrap())
        .map(|entry| (entry.revision, entry.value.is_some()))
        .collect();
    assert_eq!(
        present,
        [(1, true), (2, true), (3, true), (4, false), (5, false)]
    );
}
