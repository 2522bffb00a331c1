//! Transactions: conditions, operations that see each other, and nothing at all when one of them fails.

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, Entry, Row};
use stores::Machine;

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
    let reply = m.one(swap(0));
    assert_eq!((reply.status, reply.first_revision, reply.count), (0, 2, 1));
    assert_eq!(reply.rows, [Row::default()]);
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
