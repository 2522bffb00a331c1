//! What is evaluated and not yet written: invisible to reads, kept until it is written, made anew after a crash.

use eraft_core::store::{ApplyMode, StoreError};

#[path = "common/batches.rs"]
mod batches;
#[path = "common/stores.rs"]
mod stores;
use batches::{Batch, GROUP, Reply, Row, Scan, replies, views};
use stores::{Machine, WITH_RESULTS};

/// Evaluates one more record with these batches.
fn evaluate(m: &mut Machine, batches: &[Batch]) -> Vec<Reply> {
    let record = m.log.record(batches);
    m.records.push(record);
    evaluate_last(m).expect("evaluated")
}

fn evaluate_last(m: &Machine) -> Result<Vec<Reply>, StoreError> {
    let record = m.records.last().expect("a record");
    let mut results = Vec::new();
    let store = m.store();
    store.evaluate(GROUP, &mut views(record), WITH_RESULTS, &mut results)?;
    Ok(replies(&results).pop().expect("one record").1)
}

/// The next write fails.
fn fail_to_write(m: &Machine) {
    m.disk.refuse_writes(1);
    let refused = m.store().write(GROUP, false);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
}

#[test]
fn reads_see_nothing_before_it_is_written_and_all_of_it_then() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"k", b"old"));
    let before = m.applied();
    evaluate(&mut m, &[Batch::new().put(b"k", b"new").put(b"l", b"new")]);
    evaluate(&mut m, &[Batch::new().delete(b"l").increment(b"n", 2)]);
    assert_eq!((m.applied(), m.entries().len()), (before, 1));
    assert_eq!(m.get(b"k"), Some((1, b"old".to_vec())));
    let mut value = Vec::new();
    m.store().peek(GROUP, b"k", &mut value).unwrap();
    assert_eq!(value, b"old");
    let applied = m.store().write(GROUP, false).unwrap();
    assert_eq!((applied.index, applied.revision), (3, 5));
    assert_eq!(m.applied(), applied);
    let expected = [
        (b"k".to_vec(), 2, b"new".to_vec()),
        (b"n".to_vec(), 5, b"2".to_vec()),
    ];
    assert_eq!(m.entries(), expected);
}

#[test]
fn records_see_those_before_them_written_or_not() {
    let mut m = Machine::new();
    m.one(Batch::new().put(b"n", b"1"));
    for n in 2..20 {
        let found = evaluate(&mut m, &[Batch::new().increment(b"n", 1)]);
        assert_eq!(found[0].rows, [Row::number(n)]);
        if n % 3 == 0 {
            m.store().write(GROUP, n % 2 == 0).unwrap();
        }
    }
    assert_eq!(m.value(b"n"), Some(b"18".to_vec()));
}

#[test]
fn a_burst_whose_write_failed_is_kept_and_written_before_what_follows() {
    let mut m = Machine::new();
    evaluate(&mut m, &[Batch::new().put(b"k", b"1").put(b"l", b"1")]);
    fail_to_write(&m);
    assert_eq!((m.applied().index, m.entries().len()), (0, 0));
    // Blind writes go on; what has to look at an entry waits, and takes nothing with it.
    evaluate(&mut m, &[Batch::new().put(b"k", b"2")]);
    fail_to_write(&m);
    let batch = Batch::new().put(b"m", b"3").append(b"l", b"3");
    let record = m.log.record(&[batch]);
    m.records.push(record);
    assert_eq!(evaluate_last(&m), Err(StoreError::Busy));
    assert_eq!(m.store().write(GROUP, false).unwrap().index, 2);
    assert_eq!(m.value(b"l"), Some(b"1".to_vec()));
    assert_eq!(evaluate_last(&m).unwrap()[0].rows[1], Row::number(2));
    m.store().write(GROUP, false).unwrap();
    let expected = [
        (b"k".to_vec(), 3, b"2".to_vec()),
        (b"l".to_vec(), 5, b"13".to_vec()),
        (b"m".to_vec(), 4, b"3".to_vec()),
    ];
    assert_eq!(m.entries(), expected);
}

#[test]
fn a_range_and_a_stored_answer_wait_for_the_write_before_them() {
    let mut m = Machine::new();
    let id = m.one(Batch::register()).first_revision;
    let first = Batch::of(id, 1, 0).increment(b"n", 5);
    let answer = evaluate(&mut m, std::slice::from_ref(&first));
    fail_to_write(&m);
    for batch in [Batch::new().delete_range(b"", b"", -1, false), first] {
        let record = m.log.record(&[batch]);
        m.records.push(record);
        assert_eq!(evaluate_last(&m), Err(StoreError::Busy));
        m.store().write(GROUP, false).unwrap();
        evaluate_last(&m).unwrap();
        fail_to_write(&m);
    }
    m.store().write(GROUP, false).unwrap();
    let again = Batch::of(id, 1, 0).increment(b"n", 5);
    assert_eq!(evaluate(&mut m, &[again]), answer);
    m.store().write(GROUP, false).unwrap();
    assert_eq!(m.entries(), []);
}

/// A crash takes what was not written, and what was written and not flushed: the log brings both again, with the same
/// answers, also to duplicates.
#[test]
fn after_a_crash_the_same_comes_of_the_same_records() {
    let mut m = Machine::new();
    let id = m.one(Batch::register()).first_revision;
    let mut answers = Vec::new();
    for n in 1..=12u64 {
        let batch = Batch::of(id, n, n.saturating_sub(4)).increment(b"n", 1);
        answers.push(evaluate(&mut m, &[batch.put_previous(b"k", &[n as u8])]));
        match n {
            4 => m.store().flush().unwrap(), // of nothing: it is not written
            6 => assert_eq!(m.store().write(GROUP, false).unwrap().index, 7),
            7 => m.store().flush().unwrap(),
            9 => assert_eq!(m.store().write(GROUP, false).unwrap().index, 10),
            _ => {}
        }
    }
    let duplicate = |m: &mut Machine, n: u64| {
        let batch = Batch::of(id, n, 8).increment(b"n", 1);
        evaluate(m, &[batch.put_previous(b"k", &[n as u8])])
    };
    let before: Vec<_> = (9..=12).map(|n| duplicate(&mut m, n)).collect();
    fail_to_write(&m);
    m.reopen();
    assert_eq!(m.applied().index, 7, "what was flushed");
    let rest = m.records.split_off(7);
    for (n, record) in (7..).zip(rest) {
        m.records.push(record);
        let found = evaluate_last(&m).unwrap();
        match n {
            0..13 => assert_eq!(found, answers[n - 1], "record {n}"),
            _ => assert_eq!(found, before[n - 13], "duplicate in record {n}"),
        }
    }
    for n in 9..=12 {
        assert_eq!(
            duplicate(&mut m, n)[0].rows,
            answers[n as usize - 1][0].rows
        );
    }
    m.store().write(GROUP, false).unwrap();
    assert_eq!(m.value(b"n"), Some(b"12".to_vec()));
    assert_eq!(m.value(b"k"), Some(vec![12]));
}

#[test]
fn of_many_writes_of_a_key_the_last_one_is_written() {
    let mut m = Machine::new();
    for n in 0..100u8 {
        evaluate(&mut m, &[Batch::new().put(&[n % 7], &[n]).delete(b"gone")]);
    }
    m.store().write(GROUP, false).unwrap();
    m.store().flush().unwrap();
    let found: Vec<_> = m
        .entries()
        .into_iter()
        .map(|(key, _, value)| (key, value))
        .collect();
    let expected = (0..7u8).map(|k| (vec![k], vec![if k < 2 { 98 + k } else { 91 + k }]));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

/// The refusal of a record undoes the call, and no more: what was evaluated by calls before stays in the burst.
#[test]
fn a_refused_call_leaves_the_open_burst_as_it_was() {
    let mut m = Machine::new();
    let id = m.one(Batch::register()).first_revision;
    m.store().flush().unwrap();
    let first = evaluate(&mut m, &[Batch::of(id, 1, 0).append(b"k", b"a")]);
    let good = m
        .log
        .record(&[Batch::of(id, 2, 1).append(b"k", b"b"), Batch::register()]);
    let bad = m.log.seal(99, b"", 0);
    let mut results = b"kept".to_vec();
    let mode = ApplyMode {
        results: true,
        no_slowdown: true,
    };
    let bytes = [&good[..], &bad].concat();
    let refused = m
        .store()
        .evaluate(GROUP, &mut views(&bytes), mode, &mut results);
    assert!(
        matches!(refused, Err(StoreError::Log { index: 4, .. })),
        "{refused:?}"
    );
    assert_eq!(
        (&results[..], m.store().status().sessions),
        (&b"kept"[..], Some(1))
    );
    m.records.push(good);
    let found = evaluate_last(&m).unwrap();
    assert_eq!(
        (found[0].last_sequence, &found[0].rows[..]),
        (2, &[Row::number(2)][..])
    );
    assert_eq!(first[0].rows, [Row::number(1)]);
    m.store().write(GROUP, false).unwrap();
    assert_eq!(m.value(b"k"), Some(b"ab".to_vec()));
    assert_eq!(m.scan(&Scan::default()).entries.len(), 1);
    assert_eq!(m.store().status().sessions, Some(2));
}
