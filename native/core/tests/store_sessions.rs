//! Exactly once: what a session's batches do when they come twice, too early, too late, or after a crash.

use eraft_core::store::StoreLimits;

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Reply, Row, replies, views};
use stores::{BLIND, Machine, WITH_RESULTS};

fn register(m: &mut Machine) -> u64 {
    let reply = m.one(Batch::register());
    assert_eq!((reply.status, reply.count, reply.rows.len()), (0, 1, 0));
    reply.first_revision
}

fn refused(status: u8, count: u32, last_sequence: u64) -> Reply {
    Reply {
        status,
        first_revision: 0,
        count,
        last_sequence,
        rows: vec![],
    }
}

#[test]
fn batches_apply_in_sequence_and_once() {
    let mut m = Machine::new();
    let id = register(&mut m);
    assert_eq!(id, 1);
    let increment = |sequence, acknowledged| {
        Batch::of(id, sequence, acknowledged)
            .increment(b"n", 1)
            .put(b"k", b"v")
    };
    let first = m.one(increment(1, 0));
    assert_eq!(
        (first.status, first.first_revision, first.last_sequence),
        (0, 2, 1)
    );
    assert_eq!(m.one(increment(3, 0)), refused(2, 2, 1));
    let second = m.one(increment(2, 0));
    assert_eq!(second.rows, [Row::number(2), Row::default()]);
    // Duplicates get their first answer, with the session's present sequence.
    assert_eq!(
        m.one(increment(1, 0)),
        Reply {
            last_sequence: 2,
            ..first
        }
    );
    assert_eq!(m.one(increment(2, 1)), second);
    assert_eq!(m.value(b"n"), Some(b"2".to_vec()));
    // The third acknowledges the second.
    assert_eq!(m.one(increment(3, 2)).rows[0], Row::number(3));
    assert_eq!(m.one(increment(2, 1)), refused(3, 2, 3));
    assert_eq!(m.one(increment(1, 0)), refused(3, 2, 3));
}

#[test]
fn plain_batches_are_answered_from_their_revision_alone() {
    let mut m = Machine::new();
    let id = register(&mut m);
    let batch = || Batch::of(id, 1, 0).put(b"k", b"v").delete(b"l");
    let first = m.one(batch());
    m.one(Batch::new().put(b"k", b"newer"));
    assert_eq!(m.one(batch()), first);
    assert_eq!(
        m.value(b"k"),
        Some(b"newer".to_vec()),
        "the duplicate changed nothing"
    );
    assert_eq!(m.applied().revision, 6, "but took its revisions");
}

#[test]
fn unknown_sessions_are_refused() {
    let mut m = Machine::new();
    let id = register(&mut m);
    assert_eq!(
        m.one(Batch::of(id + 1, 1, 0).put(b"k", b"v")),
        refused(1, 1, 0)
    );
    assert_eq!(m.get(b"k"), None);
}

#[test]
fn duplicates_within_one_burst() {
    let mut m = Machine::new();
    let id = register(&mut m);
    let batch = || Batch::of(id, 1, 0).increment(b"n", 1);
    let batches = [
        batch(),
        batch(),
        Batch::of(id, 2, 1).increment(b"n", 1),
        batch(),
        Batch::of(id, 4, 1).put(b"k", b""),
    ];
    let replies = m.apply(&batches);
    assert_eq!(replies[0], replies[1]);
    assert_eq!(replies[2].rows, [Row::number(2)]);
    assert_eq!(replies[3], refused(3, 1, 2));
    assert_eq!(replies[4], refused(2, 1, 2));
    assert_eq!(m.value(b"n"), Some(b"2".to_vec()));
}

#[test]
fn results_survive_a_flush_and_a_crash() {
    for flush in [false, true] {
        let mut m = Machine::new();
        let id = register(&mut m);
        m.one(Batch::new().put(b"k", b"old"));
        let batch = || {
            Batch::of(id, 1, 0)
                .put_previous(b"k", b"new")
                .increment(b"n", 4)
        };
        let first = m.one(batch());
        if flush {
            m.store().flush().unwrap();
        }
        m.crash();
        assert_eq!(m.one(batch()), first, "flushed: {flush}");
        m.one(Batch::of(id, 2, 1).put(b"x", b"y"));
        m.store().flush().unwrap();
        m.crash();
        assert_eq!(m.one(batch()), refused(3, 2, 2));
    }
}

#[test]
fn results_too_large_to_store_are_forgotten() {
    let mut m = Machine::new();
    let id = register(&mut m);
    m.one(Batch::new().put(b"k", &vec![b'x'; 70_000]));
    let batch = || Batch::of(id, 1, 0).delete_previous(b"k");
    let first = m.one(batch());
    assert_eq!(
        first.rows[0]
            .entry
            .as_ref()
            .unwrap()
            .value
            .as_ref()
            .unwrap()
            .len(),
        70_000
    );
    let again = m.one(batch());
    assert_eq!(
        (again.status, again.first_revision, again.rows.len()),
        (3, first.first_revision, 0)
    );
}

#[test]
fn the_least_recently_used_session_gives_way() {
    let limits = StoreLimits {
        sessions_max: 2,
        ..StoreLimits::default()
    };
    let mut m = Machine::with(limits);
    let (a, b) = (register(&mut m), register(&mut m));
    m.one(Batch::of(a, 1, 0).put(b"k", b"a"));
    let c = register(&mut m);
    assert_eq!(m.one(Batch::of(b, 1, 0).put(b"k", b"b")).status, 1);
    assert_eq!(m.one(Batch::of(a, 2, 0).put(b"k", b"a")).status, 0);
    assert_eq!(m.store().status().sessions, Some(2));
    // Also within one burst, and after a crash.
    m.store().flush().unwrap();
    m.crash();
    let replies = m.apply(&[
        Batch::register(),
        Batch::of(c, 1, 0).put(b"k", b"c"),
        Batch::register(),
        Batch::register(),
    ]);
    let (d, e, f) = (
        replies[0].first_revision,
        replies[2].first_revision,
        replies[3].first_revision,
    );
    assert_eq!(replies[1].status, 1, "c was used before a");
    for (id, status) in [(a, 1), (d, 1), (e, 0), (f, 0)] {
        assert_eq!(m.one(Batch::of(id, 1, 0).put(b"k", b"x")).status, status);
    }
}

/// A replica that nobody asks for results keeps the same sessions as one that answers.
#[test]
fn results_are_stored_whether_wanted_or_not() {
    let (mut leader, follower) = (Machine::new(), Machine::new());
    let id = register(&mut leader);
    leader.one(
        Batch::of(id, 1, 0)
            .increment(b"n", 3)
            .put_previous(b"n", b"x"),
    );
    let bytes = leader.records.concat();
    let mut none = Vec::new();
    follower
        .store()
        .apply(GROUP, &mut views(&bytes), BLIND, &mut none)
        .unwrap();
    assert!(none.is_empty());
    let duplicate = leader.log.record(&[Batch::of(id, 1, 0)
        .increment(b"n", 3)
        .put_previous(b"n", b"x")]);
    let answers = [&leader, &follower].map(|m| {
        let mut results = Vec::new();
        m.store()
            .apply(GROUP, &mut views(&duplicate), WITH_RESULTS, &mut results)
            .unwrap();
        replies(&results)
    });
    assert_eq!(answers[0][0].1[0].rows.len(), 2);
    assert_eq!(answers[0], answers[1]);
}
