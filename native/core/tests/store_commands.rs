//! What each command does, and what it answers.

use eraft_core::command::limits;
use eraft_core::store::StoreLimits;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, Entry, Reply, Row};
use stores::Machine;

fn applied(first_revision: u64, count: u32, rows: Vec<Row>) -> Reply {
    Reply {
        status: 0,
        first_revision,
        count,
        last_sequence: 0,
        rows,
    }
}

#[test]
fn puts_and_deletes_are_answered_compactly() {
    let mut m = Machine::new();
    assert_eq!(
        m.one(Batch::new().put(b"a", b"1").put(b"b", b"").put(b"a", b"2")),
        applied(1, 3, vec![])
    );
    assert_eq!(m.get(b"a"), Some((3, b"2".to_vec())));
    assert_eq!(m.get(b"b"), Some((2, vec![])));
    assert_eq!(
        m.one(Batch::new().delete(b"a").delete(b"unknown")),
        applied(4, 2, vec![])
    );
    assert_eq!(m.get(b"a"), None);
    assert_eq!(m.applied().revision, 5);
}

#[test]
fn previous_entries_come_back() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"a", b"old"));
    let reply = m.one(
        Batch::new()
            .put_previous(b"a", b"new")
            .put(b"b", b"x")
            .delete_previous(b"a")
            .delete_previous(b"a")
            .put_previous(b"c", b"y"),
    );
    let rows = vec![
        Row::entry(Entry::of(1, b"old")),
        Row::default(),
        Row::entry(Entry::of(2, b"new")),
        Row::default(),
        Row::default(),
    ];
    assert_eq!(reply, applied(2, 5, rows));
    assert_eq!(
        m.entries(),
        [
            (b"b".to_vec(), 3, b"x".to_vec()),
            (b"c".to_vec(), 6, b"y".to_vec())
        ]
    );
}

#[test]
fn append_extends_what_the_commands_before_left() {
    let mut m = Machine::new();
    let reply = m.one(
        Batch::new()
            .append(b"a", b"one")
            .append(b"a", b"+two")
            .put(b"a", b"p")
            .append(b"a", b"q")
            .append(b"a", b""),
    );
    assert_eq!(
        reply,
        applied(1, 5, [3, 7, 0, 2, 2].map(Row::number).to_vec())
    );
    assert_eq!(m.get(b"a"), Some((5, b"pq".to_vec())));
    let reply = m.one(
        Batch::new()
            .append(b"a", b"r")
            .delete(b"a")
            .append(b"a", b"s")
            .append(b"a", b"t"),
    );
    assert_eq!(reply.rows, [3, 0, 1, 2].map(Row::number));
    assert_eq!(m.value(b"a"), Some(b"st".to_vec()));
}

#[test]
fn append_stops_at_the_largest_value() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"a", &vec![b'x'; limits::VALUE_BYTES_MAX - 2]));
    let reply = m.one(
        Batch::new()
            .append(b"a", b"123")
            .append(b"a", b"12")
            .append(b"a", b"1"),
    );
    assert_eq!(
        reply.rows,
        [
            Row::status(3),
            Row::number(limits::VALUE_BYTES_MAX as i64),
            Row::status(3)
        ]
    );
    assert_eq!(m.get(b"a").unwrap().0, 3);
}

#[test]
fn increment_counts_in_decimal() {
    let mut m = Machine::new();
    let reply = m.one(
        Batch::new()
            .increment(b"n", 5)
            .increment(b"n", -7)
            .put(b"n", b"10")
            .increment(b"n", 0),
    );
    assert_eq!(reply.rows, [5, -2, 0, 10].map(Row::number));
    assert_eq!(
        m.one(Batch::new().increment(b"n", 1)).rows,
        [Row::number(11)]
    );
    assert_eq!(m.get(b"n"), Some((5, b"11".to_vec())));
}

#[test]
fn increment_refuses_what_is_not_a_number_or_leaves_the_range() {
    let mut m = Machine::new();
    let most = (1i64 << 53) - 1;
    for text in ["", "x", "01", "1.5", "99999999999999999999"] {
        let rows = m
            .one(Batch::new().put(b"n", text.as_bytes()).increment(b"n", 1))
            .rows;
        assert_eq!(rows[1], Row::status(2), "{text:?}");
        assert_eq!(m.value(b"n"), Some(text.as_bytes().to_vec()));
    }
    let rows = m
        .one(
            Batch::new()
                .delete(b"n")
                .increment(b"n", most)
                .increment(b"n", 1)
                .increment(b"n", -1),
        )
        .rows;
    assert_eq!(
        rows[1..],
        [Row::number(most), Row::status(3), Row::number(most - 1)]
    );
    let rows = m
        .one(
            Batch::new()
                .put(b"n", i64::MIN.to_string().as_bytes())
                .increment(b"n", -1)
                .increment(b"n", most),
        )
        .rows;
    assert_eq!(rows[1..], [Row::status(3), Row::status(3)]);
}

#[test]
fn ranges_are_deleted_key_by_key() {
    let mut m = Machine::new();
    let keys = [&b"a"[..], b"b", b"c", b"d", b"e"];
    let fill = keys
        .iter()
        .fold(Batch::new(), |batch, key| batch.put(key, b"v"));
    m.one(fill.clone());
    let left = |m: &Machine| {
        m.entries()
            .into_iter()
            .map(|(key, ..)| key)
            .collect::<Vec<_>>()
            .concat()
    };
    let number = |reply: Reply| reply.rows[0].number;
    assert_eq!(
        number(m.one(Batch::new().delete_range(b"b", b"d", -1, false))),
        2
    );
    assert_eq!(left(&m), b"ade");
    assert_eq!(
        number(m.one(Batch::new().delete_range(b"", b"", 1, true))),
        1
    );
    assert_eq!(left(&m), b"ad");
    assert_eq!(
        number(m.one(Batch::new().delete_range(b"", b"", 1, false))),
        1
    );
    assert_eq!(left(&m), b"d");
    for (first, end, limit) in [
        (&b"x"[..], &b""[..], -1),
        (b"d", b"d", -1),
        (b"e", b"a", -1),
        (b"", b"", 0),
    ] {
        assert_eq!(
            number(m.one(Batch::new().delete_range(first, end, limit, false))),
            0
        );
    }
    assert_eq!(
        number(m.one(Batch::new().delete_range(b"", b"", -1, false))),
        1
    );
    assert_eq!(left(&m), b"");
}

#[test]
fn ranges_see_the_burst_before_them() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"b", b"old").put(b"d", b"old"));
    let batch = Batch::new()
        .put(b"a", b"new")
        .delete(b"b")
        .put(b"c", b"new")
        .delete_range(b"a", b"d", -1, false)
        .put(b"c", b"after");
    assert_eq!(m.one(batch).rows[3], Row::number(2));
    assert_eq!(m.entries().len(), 2);
    let from_end = Batch::new()
        .put(b"x", b"")
        .put(b"y", b"")
        .delete(b"d")
        .delete_range(b"", b"", 2, true);
    assert_eq!(m.one(from_end).rows[3], Row::number(2));
    assert_eq!(m.entries(), [(b"c".to_vec(), 7, b"after".to_vec())]);
    // A transaction that failed leaves its keys as RocksDB has them.
    let undone = Batch::new()
        .transact(3)
        .put(b"c", b"no")
        .put(b"z", b"no")
        .increment(b"c", 1)
        .delete_range(b"", b"", -1, false);
    assert_eq!(
        m.one(undone).rows,
        [
            Row {
                number: 2,
                ..Row::status(2)
            },
            Row::number(1)
        ]
    );
    assert_eq!(m.entries(), []);
}

#[test]
fn a_range_of_too_many_keys_is_refused() {
    let mut m = Machine::with(StoreLimits {
        delete_range_keys_max: 3,
        ..StoreLimits::default()
    });
    m.one((0..4u8).fold(Batch::new(), |batch, key| batch.put(&[key], b"v")));
    assert_eq!(
        m.one(Batch::new().delete_range(b"", b"", -1, false)).rows,
        [Row::status(3)]
    );
    assert_eq!(m.entries().len(), 4);
    assert_eq!(
        m.one(Batch::new().delete(&[0]).delete_range(b"", b"", -1, false))
            .rows[1],
        Row::number(3)
    );
    assert_eq!(m.entries().len(), 0);
}
