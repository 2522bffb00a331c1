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

fn failed(position: u16, entry: Option<Entry>) -> Row {
    Row {
        status: 1,
        count: position,
        of_condition: true,
        entry,
        ..Row::default()
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

#[test]
fn compare_and_swap_reports_what_is_there() {
    let mut m = Machine::new();
    let swap = |revision| {
        Batch::new()
            .transact(2)
            .revision_is(b"k", revision)
            .put(b"k", b"v")
    };
    assert_eq!(
        m.one(swap(1)).rows,
        [
            Row {
                count: 1,
                ..Row::status(1)
            },
            failed(0, None)
        ]
    );
    assert_eq!(m.one(swap(0)), applied(2, 1, vec![Row::default()]));
    assert_eq!(
        m.one(swap(0)).rows,
        [
            Row {
                count: 1,
                ..Row::status(1)
            },
            failed(0, Entry::of(2, b"v"))
        ]
    );
    assert_eq!(m.one(swap(2)).rows, [Row::default()]);
    assert_eq!(m.get(b"k"), Some((4, b"v".to_vec())));
}

#[test]
fn every_failed_condition_is_reported() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"a", b"1"));
    let batch = Batch::new()
        .put(b"b", b"2")
        .transact(7)
        .exists(b"a")
        .absent(b"a")
        .value_is(b"b", b"2")
        .value_is(b"b", b"x")
        .value_is(b"c", b"")
        .exists(b"c")
        .put(b"d", b"never")
        .put(b"e", b"3");
    let rows = m.one(batch).rows;
    let wanted = [
        Row::default(),
        Row {
            count: 4,
            ..Row::status(1)
        },
        failed(1, Entry::of(1, b"1")),
        failed(3, Entry::of(2, b"2")),
        failed(4, None),
        failed(5, None),
        Row::default(),
    ];
    assert_eq!(rows, wanted);
    assert_eq!(m.get(b"d"), None);
    assert_eq!(m.get(b"e").unwrap().0, 4);
}

#[test]
fn operations_of_a_transaction_see_each_other_and_share_a_revision() {
    let mut m = Machine::new();
    let batch = Batch::new()
        .transact(6)
        .absent(b"n")
        .increment(b"n", 2)
        .increment(b"n", 3)
        .append(b"s", b"a")
        .append(b"s", b"b")
        .delete(b"x");
    assert_eq!(m.one(batch).rows, [Row::default()]);
    assert_eq!(
        m.entries(),
        [
            (b"n".to_vec(), 1, b"5".to_vec()),
            (b"s".to_vec(), 1, b"ab".to_vec())
        ]
    );
}

#[test]
fn a_failing_operation_undoes_the_whole_transaction() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"s", b"text").append(b"t", b"12"));
    let batch = Batch::new()
        .append(b"t", b"34")
        .transact(5)
        .append(b"t", b"lost")
        .put(b"u", b"lost")
        .delete(b"s")
        .put(b"s", b"again")
        .increment(b"s", 1)
        .append(b"t", b"56");
    let rows = m.one(batch).rows;
    assert_eq!(
        rows,
        [
            Row::number(4),
            Row {
                number: 4,
                ..Row::status(2)
            },
            Row::number(6)
        ]
    );
    assert_eq!(m.value(b"t"), Some(b"123456".to_vec()));
    assert_eq!(m.get(b"u"), None);
    assert_eq!(m.get(b"s"), Some((1, b"text".to_vec())));
    let over = Batch::new()
        .transact(2)
        .put(b"n", b"9007199254740991")
        .increment(b"n", 1);
    assert_eq!(
        m.one(over).rows,
        [Row {
            number: 1,
            ..Row::status(3)
        }]
    );
    assert_eq!(m.get(b"n"), None);
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
